/**
 * The bytes of a write-ahead frame: one group of entries that became durable together, with what recovery needs to judge it.
 * Pure. Integers are big-endian.
 *
 *   at 0  magic "CFf1"      4  length of the whole frame      8  epoch        12  count of entries
 *     16  index of the first entry (uint64)                  24  entries known durable when it was written (uint64)
 *     32  root of the tree after the frame                   64  length of the entry bundle
 *     68  entry bundle (tile.ts), sealed disclosures of each entry in turn (vault.ts), crc32 of all before it
 */
import { crc32 } from 'node:zlib'
import { LedgerError } from '../errors.ts'
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
}

const magic = 0x43_46_66_31
const headBytes = 68
const crcBytes = 4
/** One append is one frame; this bounds what a reader must hold. */
export const longestFrame = 32 * 1024 * 1024

export interface FrameHead {
  readonly epoch: number
  readonly first: number
  readonly durable: number
  readonly root: Uint8Array
}

/** @param sealed the encoded sealed disclosures of each entry, as many as entries */
export function encodeFrame(head: FrameHead, entries: readonly Uint8Array[], sealed: readonly Uint8Array[]): Buffer {
  const bundle = encodeBundle(entries)
  const disclosures = Buffer.concat(sealed)
  const length = headBytes + bundle.length + disclosures.length + crcBytes
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
  frame.writeUInt32BE(crc32(frame.subarray(0, length - crcBytes)), length - crcBytes)
  return frame
}

/** Reads the frame at `at`. @returns it and where it ends, or undefined where no whole valid frame lies there */
export function decodeFrame(bytes: Buffer, at: number): { readonly frame: Frame; readonly end: number } | undefined {
  if (at + headBytes + crcBytes > bytes.length || bytes.readUInt32BE(at) !== magic) return undefined
  const length = bytes.readUInt32BE(at + 4)
  const bundleLength = bytes.readUInt32BE(at + 64)
  const end = at + length
  if (length > longestFrame || end > bytes.length || length < headBytes + bundleLength + crcBytes) return undefined
  if (crc32(bytes.subarray(at, end - crcBytes)) !== bytes.readUInt32BE(end - crcBytes)) return undefined
  const frame = {
    epoch: bytes.readUInt32BE(at + 8),
    count: bytes.readUInt32BE(at + 12),
    first: Number(bytes.readBigUInt64BE(at + 16)),
    durable: Number(bytes.readBigUInt64BE(at + 24)),
    root: bytes.subarray(at + 32, at + 64),
    bundle: bytes.subarray(at + headBytes, at + headBytes + bundleLength),
    sealed: bytes.subarray(at + headBytes + bundleLength, end - crcBytes),
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
