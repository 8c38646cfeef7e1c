import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Segment } from '../../lib/ledger/segment.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'

const small = Buffer.alloc(600, 's')
const large = Buffer.alloc(40_000, 'l')
const limit = 512 * 1024

const segment = async () => {
  const path = join(temporaryDirectory(), 'segment')
  return { path, file: await Segment.open(path, 0, { limit }) }
}

describe('a segment of the write-ahead log', () => {
  it('has room laid down ahead for small writes, but none behind where it is full', async () => {
    const { path, file } = await segment()
    for (let i = 0; i < 400; i += 1) await file.write(small, true)
    await file.close()
    const bytes = readFileSync(path)
    expect(bytes.length).toBe(limit)
    expect(bytes.subarray(0, file.position).every(byte => byte === small[0])).toBe(true)
    expect(bytes.subarray(file.position).every(byte => byte === 0)).toBe(true)
  })

  it('grows with large writes by what they are, and no zeros fall upon them whatever was on its way', async () => {
    const { path, file } = await segment()
    const written: Buffer[] = []
    const write = async (bytes: Buffer) => {
      written.push(bytes)
      await file.write(bytes, true)
    }
    // A step is begun behind the small one, and is under way when the large ones reach its end.
    await write(small)
    for (let i = 0; i < 20; i += 1) await write(large)
    expect(statSync(path).size).toBe(file.position)
    await write(small)
    await write(large)
    await file.close()
    const all = Buffer.concat(written)
    expect(readFileSync(path).subarray(0, all.length).equals(all)).toBe(true)
    expect(file.position).toBe(all.length)
  })
})
