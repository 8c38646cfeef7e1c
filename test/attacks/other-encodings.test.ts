/**
 * Text in an encoding in which ASCII is not written as ASCII, of which the head says nothing:
 * the byte order mark does, to whoever reads it.
 */
import type { OutgoingHttpHeaders } from 'node:http'
import { gzipSync } from 'node:zlib'
import express from 'express'
import { afterEach, describe, expect, test } from 'vitest'
import { controlled } from '../../adapters/express/index.ts'
import { everywhere } from '../../lib/masking/detectors/index.ts'
import { TextMasker } from '../../lib/masking/text.ts'
import { keptInput } from '../../lib/recording/kept.ts'
import { listen } from '../adapters/http/client.ts'
import { fixture, maskControl, requester } from '../support/guard.ts'

const values = ['078-05-1120', 'jane@crm.example', '4111111111111111']
const text = `name,value\r\n${values.join('\r\n')}\r\n`

const swapped = (bytes: Buffer) => Buffer.from(bytes).swap16()
const wide = (of: string) => Buffer.concat([...of].map(c => Buffer.from([c.charCodeAt(0), 0, 0, 0])))

/** As any reader of that encoding sees it, wherever its units begin. */
function seen(bytes: Uint8Array): string {
  return Buffer.from(bytes.filter(byte => byte !== 0)).toString('latin1')
}

describe('text of which each character takes several bytes', () => {
  // Table: its name, its bytes.
  const encodings: readonly [string, Buffer][] = [
    ['UTF-16LE', Buffer.from(text, 'utf16le')],
    ['UTF-16BE', swapped(Buffer.from(text, 'utf16le'))],
    ['UTF-32LE', wide(text)],
  ]
  for (const [name, bytes] of encodings) {
    for (const size of [1, 3, bytes.length]) {
      test(`${name} without a mark, ${size} bytes at a time, shows no value`, () => {
        const masker = new TextMasker(everywhere)
        const out: Uint8Array[] = []
        for (let at = 0; at < bytes.length; at += size) out.push(masker.push(bytes.subarray(at, at + size)))
        out.push(masker.end())
        for (const value of values) expect(seen(Buffer.concat(out))).not.toContain(value)
      })
    }
  }
})

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

describe('a reply under a mask', () => {
  const mask = { ...maskControl, covers: { resource: 'crm/**' }, mask: { '*': 'detect' as const } }
  const marked = (mark: readonly number[], bytes: Buffer) => Buffer.concat([Buffer.from(mark), bytes])
  const little = Buffer.from(text, 'utf16le')

  // Table: what it is, its headers, its pieces.
  const replies: readonly [string, OutgoingHttpHeaders, readonly Buffer[]][] = [
    ['UTF-16LE, as spreadsheets export', { 'content-type': 'text/csv' }, [marked([0xff, 0xfe], little)]],
    ['UTF-16LE that says it is UTF-8', { 'content-type': 'text/csv; charset=utf-8' }, [marked([0xff, 0xfe], little)]],
    ['UTF-16BE', { 'content-type': 'text/plain' }, [marked([0xfe, 0xff], swapped(little))]],
    ['UTF-32BE', { 'content-type': 'text/plain' }, [marked([0, 0, 0xfe, 0xff], swapped(wide(text)))]],
    ['UTF-16LE, its mark cut in two', { 'content-type': 'text/plain' }, [Buffer.from([0xff]), marked([0xfe], little)]],
    [
      'a transfer coding beside chunked',
      { 'content-type': 'text/plain', 'transfer-encoding': 'gzip, chunked' },
      [gzipSync(text)],
    ],
  ]
  for (const [name, headers, pieces] of replies) {
    test(`${name}: is refused, and nothing of it is shown`, async () => {
      const at = await fixture([mask])
      closing.push(() => at.guard.close())
      const app = express()
      app.use(controlled(at.guard, { subject: () => requester }))
      app.get('/', (_, response) => {
        response.writeHead(200, headers)
        for (const piece of pieces) response.write(piece)
        response.end()
      })
      const server = await listen(app)
      closing.push(server.close)
      const { status, text: shown } = await server.ask('/')
      expect(status).toBe(403)
      for (const value of values) expect(seen(Buffer.from(shown, 'latin1'))).not.toContain(value)
    })
  }
})

test('what is typed in such an encoding is kept in a recording without what is masked', () => {
  const kept = keptInput([{ control: 'C', resource: 'crm/**', field: '*', strategy: 'detect' }])
  const out = Buffer.concat([kept.push(Buffer.from(text, 'utf16le')), kept.end()])
  for (const value of values) expect(seen(out)).not.toContain(value)
})
