/**
 * The bytes of a write-ahead frame: one group of entries that became durable together, with what recovery needs to judge it.
 * Pure. Integers are big-endian.
 *
 *   at 0  magic "CFf2"      4  length of the whole frame      8  epoch        12  count of entries
 *     16  index of the first entry (uint64)                  24  entries known durable when it was written (uint64)
 *     32  root of the tree after the frame                   64  length of the entry bundle
 *     68  entry bundle (tile.ts), sealed disclosures of each entry in turn (vault.ts), HMAC-SHA-256 of all before it (mac.ts), crc32 of
 *         all before it
 *
 * The checksum tells what was torn from what was written whole, and anybody can make it. The MAC tells who
 * wrote it: it binds every byte, so the place, and through the root all entries before; that of another
 * ledger, or of another past of this one, is nowhere in place. What is read here without the key is
 * vouched for by nobody, until a checkpoint covers it.
 */
import { crc32 } from 'node:zlib'
import { LedgerError } from '../errors.ts'
import { holds, type MacKey, macBytes, macOf } from './mac.ts'
import { encodeBundle } from './tile.ts'

export interface Frame {
  readonly epoch: number
  readonly first: number
  /** Entries that were durable when this frame was written: a gap before it is a torn write only from there on. */
  readonly durable: number
  readonly count: number
  readonly root: Uint8Array
  readonly bundle: Uint8Array
  readonly sealed: Uint8Array
  /** All that the MAC is of. */
  readonly covered: Uint8Array
  readonly mac: Uint8Array
}

const magic = 0x43_46_66_32
const headBytes = 68
const crcBytes = 4
const tailBytes = macBytes + crcBytes
/** One append is one frame; this bounds what a reader must hold. */
export const longestFrame = 32 * 1024 * 1024

export interface FrameHead {
  readonly epoch: number
  readonly first: number
  readonly durable: number
  readonly root: Uint8Array
}

/** @param sealed the encoded sealed disclosures of each entry, as many as entries */
export function encodeFrame(
  head: FrameHead,
  entries: readonly Uint8Array[],
  sealed: readonly Uint8Array[],
  key: MacKey,
): Buffer {
  const bundle = encodeBundle(entries)
  const disclosures = Buffer.concat(sealed)
  const length = headBytes + bundle.length + disclosures.length + tailBytes
  if (length > longestFrame) throw new LedgerError('ERR_ENTRY_MALFORMED', `an append of over ${longestFrame} bytes`)
  const frame = Buffer.allocUnsafe(length)
  frame.writeUInt32BE(magic, 0)
  frame.writeUInt32BE(length, 4)
  frame.writeUInt32BE(head.epoch, 8)
  frame.writeUInt32BE(entries.length, 12)
  frame.writeBigUInt64BE(BigInt(head.first), 16)
  frame.writeBigUInt64BE(BigInt(head.durable), 24)
  frame.set(head.root, 32)
  frame.writeUInt32BE(bundle.length, 64)
  frame.set(bundle, headBytes)
  frame.set(disclosures, headBytes + bundle.length)
  finish(frame, key)
  return frame
}

/** Writes the MAC and the checksum of a frame that has all else. */
function finish(frame: Buffer, key: MacKey): void {
  const [end, behind] = [frame.length - tailBytes, frame.length - crcBytes]
  frame.set(macOf(key, frame.subarray(0, end)), end)
  frame.writeUInt32BE(crc32(frame.subarray(0, behind)), behind)
}

/** Whether it was made with one of these keys. */
export const isAuthentic = ({ covered, mac }: Frame, keys: readonly MacKey[]): boolean => holds(keys, covered, mac)

/**
 * @param bytes frames from the first byte on, then anything
 * @returns the same with every frame under `to`, as long; undefined where all were. @throws LedgerError
 * ERR_LEDGER_CORRUPT: one under neither
 */
export function reauthenticate(bytes: Buffer, from: MacKey, to: MacKey): Buffer | undefined {
  let changed: Buffer | undefined
  let at = 0
  for (let next = decodeFrame(bytes, at); next !== undefined; next = decodeFrame(bytes, at)) {
    if (!isAuthentic(next.frame, [to])) {
      if (!isAuthentic(next.frame, [from])) throw forged(next.frame.first)
      changed ??= Buffer.from(bytes)
      finish(changed.subarray(at, next.end), to)
    }
    at = next.end
  }
  return changed
}

/** @param first index of its first entry */
export const forged = (first: number): LedgerError =>
  new LedgerError('ERR_LEDGER_CORRUPT', 'a frame of the write-ahead log was not made with the key of the vault', {
    first,
  })

/**
 * Reads the frame at `at`; who made it is not judged. @returns it and where it ends, or undefined where no whole valid frame lies there
 */
export function decodeFrame(bytes: Buffer, at: number): { readonly frame: Frame; readonly end: number } | undefined {
  if (at + headBytes + tailBytes > bytes.length || bytes.readUInt32BE(at) !== magic) return undefined
  const length = bytes.readUInt32BE(at + 4)
  const bundleLength = bytes.readUInt32BE(at + 64)
  const end = at + length
  if (length > longestFrame || end > bytes.length || length < headBytes + bundleLength + tailBytes) return undefined
  if (crc32(bytes.subarray(at, end - crcBytes)) !== bytes.readUInt32BE(end - crcBytes)) return undefined
  const frame = {
    epoch: bytes.readUInt32BE(at + 8),
    count: bytes.readUInt32BE(at + 12),
    first: Number(bytes.readBigUInt64BE(at + 16)),
    durable: Number(bytes.readBigUInt64BE(at + 24)),
    root: bytes.subarray(at + 32, at + 64),
    bundle: bytes.subarray(at + headBytes, at + headBytes + bundleLength),
    sealed: bytes.subarray(at + headBytes + bundleLength, end - tailBytes),
    covered: bytes.subarray(at, end - tailBytes),
    mac: bytes.subarray(end - tailBytes, end - crcBytes),
  }
  return { frame, end }
}

/** How long the frame that begins at `at` says to be, its head alone being there; undefined where none begins. */
export function announcedLength(bytes: Buffer, at: number): number | undefined {
  if (at + 8 > bytes.length || bytes.readUInt32BE(at) !== magic) return undefined
  const length = bytes.readUInt32BE(at + 4)
  return length <= longestFrame ? length : undefined
}

/** The valid frames that begin at `from` or anywhere behind it: signs that bytes before them were altered. */
export function* findFrames(bytes: Buffer, from: number): Generator<Frame> {
  const mark = Buffer.alloc(4)
  mark.writeUInt32BE(magic)
  for (let at = bytes.indexOf(mark, from); at >= 0; at = bytes.indexOf(mark, at + 1)) {
    const found = decodeFrame(bytes, at)
    if (found !== undefined) yield found.frame
  }
}
