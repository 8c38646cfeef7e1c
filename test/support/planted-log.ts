/** What somebody can make who writes into a ledger's directory and knows the format: entries of their own in a frame that fits. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { composeEntry, type Entry, parseEntry, timestamp, uuidv7, versionOf } from '../../lib/format/entry.ts'
import { encodeFrame } from '../../lib/format/frame.ts'
import { checkpointFile, entryBundle, segmentFile, tileFill, tileWidth } from '../../lib/format/layout.ts'
import type { MacKey } from '../../lib/format/mac.ts'
import { Frontier, leafHash } from '../../lib/format/merkle.ts'
import { decodeBundle } from '../../lib/format/tile.ts'
import { encodeSealed } from '../../lib/format/vault.ts'

export interface Planted {
  /** Of the checkpoint: the planted entries begin there. */
  readonly size: number
  readonly entries: readonly Uint8Array[]
  readonly leaves: readonly Uint8Array[]
  /** Of the checkpoint's tree, and behind it the entries. */
  readonly tree: Frontier
}

/** Entries of a closed ledger's writer that go on where its checkpoint ends, as members beside what every entry has. */
export function goingOn(directory: string, drafts: readonly Record<string, unknown>[]): Planted {
  const { size } = parseCheckpoint(readFileSync(join(directory, checkpointFile)))
  const tree = new Frontier()
  let last: Entry | undefined
  for (let n = 0; n * tileWidth < size; n += 1) {
    const width = tileFill(size, 0, n)
    for (const bytes of decodeBundle(readFileSync(join(directory, entryBundle(n, width))), width)) {
      tree.append(leafHash(bytes))
      last = parseEntry(bytes)
    }
  }
  const now = Date.now()
  const entries = drafts.map((draft, i) => {
    const { kind } = draft as { kind: Entry['kind'] }
    const own = {
      v: versionOf(kind),
      id: uuidv7(now),
      time: timestamp(now),
      writer: last!.writer,
      seq: last!.seq + 1 + i,
    }
    return composeEntry({ ...draft, ...own } as unknown as Entry).bytes
  })
  const leaves = entries.map(leafHash)
  for (const leaf of leaves) tree.append(leaf)
  return { size, entries, leaves, tree }
}

/** Lays them into a write-ahead log that had nothing, as one frame. @param key that it is made with: the intruder's own */
export function plantFrame(directory: string, { size, entries, tree }: Planted, key: MacKey): string {
  const epoch = Number(readFileSync(join(directory, 'epoch'), 'utf8'))
  const head = { epoch, first: size, durable: size, root: tree.root() }
  const path = join(directory, segmentFile(size))
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(
    path,
    encodeFrame(
      head,
      entries,
      entries.map(() => encodeSealed([])),
      key,
    ),
  )
  return path
}

/** The checksum of a frame, for all that stands before it now. */
export function withChecksum(frame: Buffer): Buffer {
  frame.writeUInt32BE(crc32(frame.subarray(0, -4)), frame.length - 4)
  return frame
}
