/** Attachments as bytes: every flip, every cut and every swap is named. */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { decodeAttachmentHead, decodeChunks, encodeAttachmentHead, encodeChunk } from '../../lib/format/attachment.ts'

const context = { key: randomBytes(32), origin: 'crm', id: '019bffff-0000-7000-8000-111111111111' }
const plain = ['one', 'two', 'three'].map(text => Buffer.from(text))
const chunks = plain.map((part, i) => encodeChunk(context, i, part))

async function read(bytes: Uint8Array, of = context): Promise<string> {
  const parts: Buffer[] = []
  const source = (async function* () {
    for (let at = 0; at < bytes.length; at += 5) yield bytes.subarray(at, at + 5)
  })()
  for await (const part of decodeChunks(of, source)) parts.push(part)
  return Buffer.concat(parts).toString()
}

it('is read back, and names its slot', async () => {
  expect(await read(Buffer.concat(chunks))).toBe('onetwothree')
  expect(decodeAttachmentHead(encodeAttachmentHead(70_000))).toBe(70_000)
  expect(() => decodeAttachmentHead(Buffer.from('something else'))).toThrowError(
    expect.objectContaining({ code: 'ERR_LEDGER_CORRUPT' }),
  )
})

it('opens with no byte changed, and none missing within a chunk', async () => {
  const whole = Buffer.concat(chunks)
  for (let i = 0; i < whole.length; i += 1) {
    const changed = Buffer.from(whole)
    changed[i]! ^= 1
    await expect(read(changed)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(LEDGER_CORRUPT|DISCLOSURE_MISMATCH)$/),
    })
    const borders = [0, chunks[0]!.length, chunks[0]!.length + chunks[1]!.length]
    if (borders.includes(i)) expect('onetwothree'.startsWith(await read(whole.subarray(0, i)))).toBe(true)
    else await expect(read(whole.subarray(0, i))).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
  }
})

it('opens in no other order, under no other id, ledger or key', async () => {
  const refused = { code: 'ERR_DISCLOSURE_MISMATCH' }
  await expect(read(Buffer.concat([chunks[1]!, chunks[0]!]))).rejects.toMatchObject(refused)
  const whole = Buffer.concat(chunks)
  for (const other of [{ id: '019bffff-0000-7000-8000-222222222222' }, { origin: 'other' }, { key: randomBytes(32) }]) {
    await expect(read(whole, { ...context, ...other })).rejects.toMatchObject(refused)
  }
})
