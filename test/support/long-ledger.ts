/**
 * Ledgers of millions of entries, written as they are made: a read is decided and ends, again and again. Ids and
 * digests are random, so that nothing about them is easier than it would be. Sparse ones have all entries alike but for
 * the first and the last, and of those only their tree.
 */
import { createPublicKey, randomFillSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { formatPin, type Pin } from '../../evidence/pin.ts'
import { checkpointBody, formatCheckpoint } from '../../lib/format/checkpoint.ts'
import { type Entry, encodeEntry, parseEntry, timestamp, uuidv7 } from '../../lib/format/entry.ts'
import {
  certificateFile,
  checkpointFile,
  entryBundle,
  hashTile,
  sealFile,
  tileFill,
  tileWidth,
} from '../../lib/format/layout.ts'
import { Frontier, type Hash, leafHash, nodeHash } from '../../lib/format/merkle.ts'
import { openpgpKeyId, signNote } from '../../lib/format/note.ts'
import { encodeBundle } from '../../lib/format/tile.ts'
import { signDetached } from '../../lib/openpgp.ts'
import { digestOf, type LedgerBuilder } from './ledger-builder.ts'

export interface LongLedger {
  /** Bytes of all entries. */
  readonly bytes: number
  /** What a verification of all but the last `behind` entries would have kept. */
  readonly pin: string
}

/**
 * Goes on from what the builder holds, which is less than a bundle, and writes it all, sealed at its end.
 * @param behind entries after the pin. @param sparse whether only what an incremental verification reads is written: tiles, and the ends
 */
export async function writeLong(
  directory: string,
  builder: LedgerBuilder,
  { entries: size, behind, sparse = false }: { entries: number; behind: number; sparse?: boolean },
): Promise<LongLedger> {
  const put = (path: string, bytes: string | Uint8Array) => {
    const file = join(directory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, bytes)
  }
  const rows: Hash[][] = []
  const frontier = new Frontier()
  const completed = (level: number, index: number, hash: Hash) => {
    if (level % 8 !== 0) return
    rows[level / 8] ??= []
    const row = rows[level / 8]!
    row.push(hash)
    if (row.length < tileWidth) return
    // A level's row of leaves that stand for others is of no file.
    put(hashTile(level / 8, Math.floor(index / tileWidth)), Buffer.concat(row))
    rows[level / 8] = []
  }
  const story = new Reads(builder)
  const pinned = size - behind
  const from = Math.floor(pinned / tileWidth)
  let bytes = 0
  let kept: Pin | undefined
  const alike = sparse ? subtreeOf(new Reads(builder).next(0)) : undefined
  for (let n = 0; n * tileWidth < size; n += 1) {
    const width = tileFill(size, 0, n)
    if (alike !== undefined && n > 0 && n < from) {
      story.skip(tileWidth)
      frontier.appendSubtree(8, alike, completed)
      continue
    }
    const bundle = n === 0 ? [...builder.entries] : []
    while (bundle.length < width) bundle.push(story.next(n * tileWidth + bundle.length))
    for (const [place, entry] of bundle.entries()) {
      frontier.append(leafHash(entry), completed)
      bytes += entry.length
      if (frontier.size === pinned) kept = pinAt(builder, frontier, parseEntry(bundle[place]!))
    }
    put(entryBundle(n, width), encodeBundle(bundle))
  }
  for (const [level, row] of rows.entries()) {
    const n = Math.floor(size / tileWidth ** (level + 1))
    if (row.length > 0) put(hashTile(level, n, row.length), Buffer.concat(row))
  }
  const { note, seal } = builder.keys
  const checkpoint = { origin: builder.origin, size, root: frontier.root() }
  const text = checkpointBody(checkpoint)
  const signature = Buffer.from(await signDetached(seal, Buffer.from(text)))
  const signatures = [
    signNote(text, builder.origin, note, createPublicKey(note)),
    { name: builder.origin, keyId: openpgpKeyId(builder.origin, seal.fingerprint), signature },
  ]
  const signed = formatCheckpoint({ ...checkpoint, note: { text, signatures } })
  put(sealFile(size), signed)
  put(checkpointFile, signed)
  put(certificateFile, seal.certificate)
  return { bytes, pin: formatPin(kept!) }
}

function pinAt(builder: LedgerBuilder, frontier: Frontier, { id, time, writer, seq }: Entry): Pin {
  const start = builder.entries.findIndex(bytes => parseEntry(bytes).kind === 'started')
  const state = {
    ...{ greatest: id, open: [], keys: [] },
    writers: [{ name: writer, seq, time, interval: 60, stopped: false }],
    taken: [{ index: start, kind: 'started' as const, epoch: 1 }],
  }
  const { origin, fingerprint } = builder
  return { origin, size: frontier.size, root: frontier.root(), fingerprint, time, whole: time, state }
}

/** Over a bundle of one entry, again and again. */
function subtreeOf(entry: Uint8Array): Hash {
  let hash = leafHash(entry)
  for (let level = 0; level < 8; level += 1) hash = nodeHash(hash, hash)
  return hash
}

const random = Buffer.alloc(32 * 1024)
let drawn = random.length

function digest(): string {
  if (drawn === random.length) {
    randomFillSync(random)
    drawn = 0
  }
  drawn += 32
  return random.toString('base64url', drawn - 32, drawn)
}

const stands = {
  time: '2000-01-01T00:00:00.000Z',
  id: '00000000-0000-7000-8000-000000000000',
  seq: 987_654_321_012_345,
}

/** A decision of two disclosures with its outcome, in turns; as texts with blanks, since encoding each takes longer than all else. */
class Reads {
  readonly #decision: readonly string[]
  readonly #outcome: readonly string[]
  #seq: number
  #now: number
  #exchange: string | undefined

  constructor(builder: LedgerBuilder) {
    const { writer } = builder
    const actors = { subject: digestOf('agent').slice(0, 22), owner: digestOf('owner').slice(0, 22) }
    const head = { ...stands, v: 1, writer, exchange: stands.id.replace('0', '1') }
    this.#decision = blanks({
      ...{ ...head, kind: 'decision', ...actors, protocol: 'postgres', target: 'crm', sd: ['A', 'B'].map(filled) },
      ...{
        action: filled('C'),
        accesses: [{ action: 'select', resource: 'crm/public.customers' }],
        controls: ['CF-01'],
      },
      ...{ risk: 'low', read: true, verdict: 'permit', policy: digestOf('policy'), durability: 'durable' },
    })
    this.#outcome = blanks({
      ...{
        ...head,
        kind: 'outcome',
        result: 'completed',
        items: 3,
        bytes: 120,
        offered: filled('C'),
        sd: [filled('A')],
      },
      ...{ masked: ['CF-01:email:redact', 'CF-01:ssn:last4'], settled: 'nothing' },
    })
    this.#seq = builder.entries.length
    this.#now = builder.now
  }

  skip(entries: number): void {
    this.#seq += entries
    this.#now += entries
  }

  next(index: number): Buffer {
    this.#seq += 1
    this.#now += 1
    const ends = index % 2 === 1 && this.#exchange !== undefined
    const [a, b] = [digest(), digest()].sort()
    const values: Record<string, string> = {
      [stands.time]: timestamp(this.#now),
      [stands.id]: uuidv7(this.#now),
      [stands.id.replace('0', '1')]: this.#exchange ?? uuidv7(this.#now),
      [String(stands.seq)]: String(this.#seq),
      ...{ [filled('A')]: a!, [filled('B')]: b!, [filled('C')]: digest() },
    }
    this.#exchange = ends ? undefined : values[stands.id.replace('0', '1')]
    return Buffer.from((ends ? this.#outcome : this.#decision).map(part => values[part] ?? part).join(''), 'latin1')
  }
}

const filled = (letter: string) => letter.repeat(43)

function blanks(entry: object): string[] {
  const all = [...Object.values(stands).map(String), stands.id.replace('0', '1'), ...['A', 'B', 'C'].map(filled)]
  return encodeEntry(entry as Entry)
    .toString('latin1')
    .split(new RegExp(`(${all.join('|')})`))
}
