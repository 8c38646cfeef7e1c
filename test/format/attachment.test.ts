/** Attachments as bytes: every flip, every cut and every swap is named. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  decodeAttachmentHead,
  decodeContentKey,
  encodeAttachmentHead,
  encodeChunk,
  encodeContentKey,
  isProvenChunk,
  openAttachment,
  readAttachment,
} from '../../lib/format/attachment.ts'
import { macKey } from '../../lib/format/mac.ts'

const context = { key: randomBytes(32), origin: 'crm', id: '019bffff-0000-7000-8000-111111111111' }
const plain = ['one', 'two', 'three'].map(text => Buffer.from(text))
const chunks = plain.map((part, i) => encodeChunk(context, i, part))

async function* piecesOf(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += 5) yield bytes.subarray(at, at + 5)
}

async function read(bytes: Uint8Array, of = context, head = encodeAttachmentHead(7)): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of openAttachment(of, piecesOf(Buffer.concat([head, bytes])), async () => of.key))
    parts.push(part)
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

// A file that nobody lets go of stays open until the process ends.
it.each<[string, Uint8Array, () => Promise<Uint8Array>]>([
  ['is broken off', Buffer.concat([encodeAttachmentHead(7), ...chunks]), async () => context.key],
  ['has another key', Buffer.concat([encodeAttachmentHead(7), ...chunks]), async () => randomBytes(32)],
  ['has a head that is none', Buffer.from('something else that is long enough'), async () => context.key],
  ['has no key', Buffer.concat([encodeAttachmentHead(7), ...chunks]), () => Promise.reject(new Error('no key'))],
])('lets go of what it is read from, where it %s', async (_, bytes, key) => {
  let isOpen = true
  async function* pieces() {
    try {
      yield* piecesOf(bytes)
    } finally {
      isOpen = false
    }
  }
  const first = async () => {
    for await (const chunk of openAttachment(context, pieces(), key)) return chunk
  }
  await first().catch(() => undefined)
  expect(isOpen).toBe(false)
})

describe('with a message in its head', () => {
  const head = encodeAttachmentHead(9, Buffer.from('to somebody'))
  const prover = macKey(randomBytes(32), context.origin, 'chunk')
  const proven = plain.map((part, i) => encodeChunk(context, i, part, prover))

  it('is read back, and names its slot and the message', async () => {
    expect(await read(Buffer.concat(proven), context, head)).toBe('onetwothree')
    expect(decodeAttachmentHead(head)).toBe(9)
    const { head: found } = await readAttachment(piecesOf(head))
    expect(found).toEqual({ slot: 9, message: Buffer.from('to somebody'), length: head.length })
  })

  it('is told to be altered, another or cut by who has no key to open it, up to the last whole chunk', async () => {
    const whole = Buffer.concat(proven)
    const counted = async (bytes: Uint8Array, by = prover, of = context) => {
      let chunks = 0
      const { chunks: all } = await readAttachment(piecesOf(Buffer.concat([head, bytes])))
      try {
        for await (const chunk of all) {
          if (!isProvenChunk(by, of, chunks, chunk)) return { chunks, whole: false }
          chunks += 1
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
        return { chunks, whole: false }
      }
      return { chunks, whole: true }
    }
    const ends = proven.map((_, i) => Buffer.concat(proven.slice(0, i + 1)).length)
    expect(await counted(whole)).toEqual({ chunks: 3, whole: true })
    const none = { chunks: 0, whole: false }
    expect(await counted(whole, macKey(randomBytes(32), context.origin, 'chunk'))).toEqual(none)
    expect(await counted(whole, prover, { ...context, id: '019bffff-0000-7000-8000-222222222222' })).toEqual(none)
    expect(await counted(Buffer.concat([proven[1]!, proven[0]!]))).toEqual(none)
    for (let i = 0; i < whole.length; i += 1) {
      const before = ends.filter(end => end <= i).length
      const changed = Buffer.from(whole)
      changed[i]! ^= 1
      expect(await counted(changed)).toEqual({ chunks: before, whole: false })
      expect(await counted(whole.subarray(0, i))).toEqual({ chunks: before, whole: i === 0 || ends.includes(i) })
    }
  })

  it('has a key that is that of this attachment, and of no other', () => {
    const given = { origin: context.origin, attachment: context.id, key: context.key, salt: 'salt' }
    expect(decodeContentKey(context, encodeContentKey(given))).toEqual(given)
    const refused = expect.objectContaining({ code: 'ERR_DISCLOSURE_MISMATCH' })
    const others = [
      { ...given, attachment: 'another' },
      { ...given, origin: 'another' },
      { ...given, key: Buffer.of(1) },
    ]
    for (const other of others) expect(() => decodeContentKey(context, encodeContentKey(other))).toThrowError(refused)
    for (const none of ['', 'null', '[]', '{'])
      expect(() => decodeContentKey(context, Buffer.from(none))).toThrowError(refused)
  })
})
