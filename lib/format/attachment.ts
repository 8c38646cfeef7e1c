/**
 * The bytes of an attachment: a head, then chunks, each sealed (AES-256-GCM) under one key for this ledger, this
 * attachment and its place in it. After a crash it is valid up to its last whole chunk; cut between two chunks, it
 * shows by the count that its entry commits to. Version 1: the key is that of the slot which the head names. Version 2:
 * the key is in none of the vault's slots, but in an OpenPGP message in the head, to those who may read it; each chunk
 * has a MAC behind it under a key that the slot's gives, so that who wrote it can tell where the last whole one ends,
 * and that it is its own, without the key that opens it. Pure.
 */
import { createHash } from 'node:crypto'
import { LedgerError } from '../errors.ts'
import { holds, type MacKey, macBytes, macOf } from './mac.ts'
import { openBox, sealBox } from './vault.ts'

/** Eight bytes, the last of them the version. */
const magic = { slot: Buffer.from('cfattch\x01', 'latin1'), message: Buffer.from('cfattch\x02', 'latin1') }
/** What every version begins with: the magic, and the slot under which it is erased. */
export const attachmentHeadBytes = 8 + 4
/** Plain bytes of a chunk, at most. */
export const longestChunk = 64 * 1024
/** What stands around a chunk's bytes: its length, then nonce and tag. */
const overhead = 12 + 16
/** Of the OpenPGP message: some recipients' worth. */
const longestMessage = 64 * 1024

export interface AttachmentHead {
  /** Under which it is erased; in version 1 its key is the attachment's, too. */
  readonly slot: number
  /** OpenPGP: what `encodeContentKey` gives, to those who may read it. Undefined in version 1. */
  readonly message: Uint8Array | undefined
  /** Bytes of the head. */
  readonly length: number
}

/** @param message makes it version 2 */
export function encodeAttachmentHead(slot: number, message?: Uint8Array): Buffer {
  const head = Buffer.alloc(attachmentHeadBytes)
  magic[message === undefined ? 'slot' : 'message'].copy(head)
  head.writeUInt32BE(slot, 8)
  if (message === undefined) return head
  const length = Buffer.alloc(4)
  length.writeUInt32BE(message.length)
  return Buffer.concat([head, length, message])
}

/** @returns the slot. @throws LedgerError ERR_LEDGER_CORRUPT */
export function decodeAttachmentHead(head: Uint8Array): number {
  versionOf(head)
  return Buffer.from(head).readUInt32BE(8)
}

function versionOf(head: Uint8Array): keyof typeof magic {
  const begins = (of: Buffer) => head.length >= attachmentHeadBytes && of.equals(head.subarray(0, of.length))
  if (begins(magic.slot)) return 'slot'
  if (begins(magic.message)) return 'message'
  throw corrupt('not an attachment')
}

export interface AttachmentContext {
  readonly key: Uint8Array
  readonly origin: string
  /** The attachment's id. */
  readonly id: string
}

type Place = Omit<AttachmentContext, 'key'>

const contextOf = ({ origin, id }: Place, index: number) => `counterfoil attachment\n${origin}\n${id}\n${index}`

const digestOf = (place: Place, index: number, box: Uint8Array): Buffer =>
  createHash('sha256').update(contextOf(place, index)).update('\n').update(box).digest()

/** A uint32 length, then the box; in version 2 the MAC of its place and digest. @param prover version 2 */
export function encodeChunk(context: AttachmentContext, index: number, plain: Uint8Array, prover?: MacKey): Buffer {
  const box = sealBox(context.key, plain, contextOf(context, index))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(box.length)
  return Buffer.concat(
    prover === undefined ? [length, box] : [length, box, macOf(prover, digestOf(context, index, box))],
  )
}

/** Whether a chunk of version 2 was written by who has the slot's key. @param prover of `macKey`, for `chunk` */
export const isProvenChunk = (prover: MacKey, place: Place, index: number, { box, mac }: SealedChunk): boolean =>
  mac !== undefined && holds([prover], digestOf(place, index, box), mac)

/** A chunk as it lies: sealed. */
export interface SealedChunk {
  readonly box: Buffer
  /** In version 2. */
  readonly mac: Buffer | undefined
  /** All of it, in turn. */
  readonly written: readonly Buffer[]
  /** Where it ends in the file. */
  readonly end: number
  /** Of what is sealed in it. */
  readonly bytes: number
}

export interface SealedAttachment {
  readonly head: AttachmentHead
  readonly chunks: AsyncGenerator<SealedChunk>
  /** Lets go of the pieces: for who does not take the chunks to their end, or begins with none. */
  readonly close: () => Promise<void>
}

/**
 * Reads a file's head, and then its chunks, none of which is opened.
 * @throws LedgerError ERR_LEDGER_CORRUPT where the head is none; by `chunks`, behind the last
 * whole one, where there is more than whole ones
 */
export async function readAttachment(pieces: AsyncIterable<Uint8Array>): Promise<SealedAttachment> {
  const source = new Source(pieces)
  try {
    const head = await readHead(source)
    return { head, chunks: chunksOf(source, head), close: () => source.close() }
  } catch (error) {
    await source.close()
    throw error
  }
}

async function readHead(source: Source): Promise<AttachmentHead> {
  const start = await source.take(attachmentHeadBytes)
  const slot = decodeAttachmentHead(start)
  if (versionOf(start) === 'slot') return { slot, message: undefined, length: attachmentHeadBytes }
  const length = (await source.take(4)).readUInt32BE(0)
  if (length > longestMessage) throw corrupt('the head of an attachment has no valid length')
  return { slot, message: await source.take(length), length: attachmentHeadBytes + 4 + length }
}

async function* chunksOf(source: Source, { message, length }: AttachmentHead): AsyncGenerator<SealedChunk> {
  const behind = message === undefined ? 0 : macBytes
  let end = length
  while (await source.has()) {
    const before = await source.take(4)
    const size = before.readUInt32BE(0)
    if (size < overhead || size > longestChunk + overhead) throw corrupt('a chunk of an attachment has no valid length')
    const all = await source.take(size + behind)
    const box = all.subarray(0, size)
    end += 4 + all.length
    const mac = behind === 0 ? undefined : all.subarray(size)
    yield { box, mac, written: [before, all], end, bytes: size - overhead }
  }
}

/** Pieces as they come, taken in the lengths that are wanted. */
class Source {
  readonly #pieces: AsyncIterator<Uint8Array>
  #held: Buffer = Buffer.alloc(0)

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  async close(): Promise<void> {
    await this.#pieces.return?.()
  }

  /** Whether there is more. */
  async has(): Promise<boolean> {
    while (this.#held.length === 0) {
      const { done, value } = await this.#pieces.next()
      if (done) return false
      this.#held = Buffer.from(value)
    }
    return true
  }

  /** @throws LedgerError ERR_LEDGER_CORRUPT where there are fewer */
  async take(count: number): Promise<Buffer> {
    const parts = [this.#held]
    let length = this.#held.length
    while (length < count) {
      const { done, value } = await this.#pieces.next()
      if (done) throw corrupt('an attachment is cut within its head or a chunk')
      parts.push(Buffer.from(value))
      length += value.length
    }
    const all = parts.length === 1 ? this.#held : Buffer.concat(parts, length)
    this.#held = all.subarray(count)
    return all.subarray(0, count)
  }
}

/**
 * Reads a whole file, head and chunks.
 * @param key of the head: a slot's, or whoever can read its message knows it. @returns the plain chunks
 * @throws LedgerError ERR_LEDGER_CORRUPT where it is cut within a chunk, ERR_DISCLOSURE_MISMATCH where one does not open
 */
export async function* openAttachment(
  place: Place,
  pieces: AsyncIterable<Uint8Array>,
  key: (head: AttachmentHead) => Promise<Uint8Array>,
): AsyncGenerator<Buffer> {
  const { head, chunks, close } = await readAttachment(pieces)
  try {
    const context = { ...place, key: await key(head) }
    let index = 0
    for await (const { box } of chunks) {
      yield openChunk(context, index, box)
      index += 1
    }
  } finally {
    await close()
  }
}

/** @throws LedgerError ERR_DISCLOSURE_MISMATCH */
export const openChunk = (context: AttachmentContext, index: number, box: Uint8Array): Buffer =>
  openBox(context.key, box, contextOf(context, index))

/** What the message in a head of version 2 says, in the words of JSON, so that it can be read with no code of ours. */
export interface ContentKey {
  readonly origin: string
  readonly attachment: string
  /** 32 bytes: opens the chunks. */
  readonly key: Uint8Array
  /** Of the commitment to all plain bytes: in nobody else's hands, or a short recording could be guessed. */
  readonly salt: string
}

export function encodeContentKey({ origin, attachment, key, salt }: ContentKey): Buffer {
  return Buffer.from(JSON.stringify({ attachment, key: Buffer.from(key).toString('base64url'), origin, salt }))
}

/** @throws LedgerError ERR_DISCLOSURE_MISMATCH where it is none, or of another attachment */
export function decodeContentKey({ origin, id }: Place, bytes: Uint8Array): ContentKey {
  const said = parsed(bytes)
  const key = Buffer.from(String(said.key), 'base64url')
  if (said.origin !== origin || said.attachment !== id || typeof said.salt !== 'string' || key.length !== 32)
    throw new LedgerError(
      'ERR_DISCLOSURE_MISMATCH',
      'the key in the head of an attachment is not that of this attachment',
    )
  return { origin, attachment: id, key, salt: said.salt }
}

function parsed(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(Buffer.from(bytes).toString('utf8'))) as Record<string, unknown>
  } catch {
    throw new LedgerError('ERR_DISCLOSURE_MISMATCH', 'the head of an attachment holds no key')
  }
}

const corrupt = (what: string) => new LedgerError('ERR_LEDGER_CORRUPT', what)
