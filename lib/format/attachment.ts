/**
 * The bytes of an attachment: a head that names its slot, then chunks, each sealed (AES-256-GCM) under that slot's key for this
 * ledger, this attachment and its place in it. After a crash it is valid up to its last whole chunk; cut between two chunks, it shows
 * by the count that its entry commits to. Pure.
 */
import { LedgerError } from '../errors.ts'
import { openBox, sealBox } from './vault.ts'

/** Eight bytes, the last of them the version. */
const magic = Buffer.from('cfattch\x01', 'latin1')
export const attachmentHeadBytes = magic.length + 4
/** Plain bytes of a chunk, at most. */
export const longestChunk = 64 * 1024
/** What stands around a chunk's bytes: its length, then nonce and tag. */
const overhead = 12 + 16

export function encodeAttachmentHead(slot: number): Buffer {
  const head = Buffer.alloc(attachmentHeadBytes)
  magic.copy(head)
  head.writeUInt32BE(slot, magic.length)
  return head
}

/** @returns the slot. @throws LedgerError ERR_LEDGER_CORRUPT */
export function decodeAttachmentHead(head: Uint8Array): number {
  if (head.length < attachmentHeadBytes || !magic.equals(head.subarray(0, magic.length))) {
    throw new LedgerError('ERR_LEDGER_CORRUPT', 'not an attachment')
  }
  return Buffer.from(head).readUInt32BE(magic.length)
}

export interface AttachmentContext {
  readonly key: Uint8Array
  readonly origin: string
  /** The attachment's id. */
  readonly id: string
}

const contextOf = ({ origin, id }: AttachmentContext, index: number) =>
  `counterfoil attachment\n${origin}\n${id}\n${index}`

/** A uint32 length, then the box. */
export function encodeChunk(context: AttachmentContext, index: number, plain: Uint8Array): Buffer {
  const box = sealBox(context.key, plain, contextOf(context, index))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(box.length)
  return Buffer.concat([length, box])
}

/**
 * Reads chunks from pieces of a file, as they come, its head left out.
 * @returns the plain chunks. @throws LedgerError ERR_LEDGER_CORRUPT where it is cut within a chunk, ERR_DISCLOSURE_MISMATCH where one does not open
 */
export async function* decodeChunks(
  context: AttachmentContext,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  let index = 0
  for await (const piece of pieces) {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece])
    for (;;) {
      if (rest.length < 4) break
      const length = rest.readUInt32BE(0)
      if (length < overhead || length > longestChunk + overhead)
        throw corrupt('a chunk of an attachment has no valid length')
      if (rest.length < 4 + length) break
      yield openBox(context.key, rest.subarray(4, 4 + length), contextOf(context, index))
      rest = rest.subarray(4 + length)
      index += 1
    }
  }
  if (rest.length > 0) throw corrupt('an attachment is cut within a chunk')
}

/**
 * Reads a whole file, head and chunks.
 * @param key of a slot. @returns the plain chunks. @throws as decodeAttachmentHead and decodeChunks
 */
export async function* openAttachment(
  { origin, id }: Omit<AttachmentContext, 'key'>,
  pieces: AsyncIterable<Uint8Array>,
  key: (slot: number) => Promise<Uint8Array>,
): AsyncGenerator<Buffer> {
  const source = pieces[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  while (head.length < attachmentHeadBytes) {
    const { done, value } = await source.next()
    if (done) break
    head = Buffer.concat([head, value])
  }
  const slot = decodeAttachmentHead(head)
  const rest = (async function* () {
    yield head.subarray(attachmentHeadBytes)
    for (;;) {
      const { done, value } = await source.next()
      if (done) return
      yield value
    }
  })()
  yield* decodeChunks({ key: await key(slot), origin, id }, rest)
}

const corrupt = (what: string) => new LedgerError('ERR_LEDGER_CORRUPT', what)
