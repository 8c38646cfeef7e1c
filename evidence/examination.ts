/** What the verification of a ledger was asked and has established so far. Each step adds to it, and needs what those before it added. */
import { Misuse } from '../lib/errors.ts'
import { anchorFile } from '../lib/format/anchor.ts'
import type { SignedCheckpoint } from '../lib/format/checkpoint.ts'
import type { Entry, EntryOf, EntrySummary } from '../lib/format/entry.ts'
import type { Hash } from '../lib/format/merkle.ts'
import { parseFingerprint } from '../lib/openpgp.ts'
import { isAddress } from './address.ts'
import type { RecordedAnchor } from './anchor-files.ts'
import { type AnchorKeys, Anchors, readAnchorKeys } from './anchors.ts'
import type { Taken } from './beside.ts'
import { Continuity } from './continuity.ts'
import type { LateErasure } from './custody-rights.ts'
import { nothingOpened, type Opened } from './disclosures.ts'
import { Erasures } from './erasures.ts'
import type { Finding } from './finding.ts'
import { Findings } from './findings.ts'
import type { Tag } from './git-tags.ts'
import { digestOf, type FoundKeyEntry, isKeyEntry, mostKeyEntries } from './key-entries.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { Meaning } from './meaning.ts'
import type { Pin, PinState } from './pin.ts'
import type { Found, Refold } from './snapshots.ts'
import { Speakers } from './speakers.ts'
import { Succession } from './succession.ts'
import type { Trust } from './trust.ts'
import type { VerifyOptions } from './verification.ts'

/** An entry of a verified ledger. */
export interface LedgerRecord {
  readonly index: number
  readonly bytes: Uint8Array
  readonly entry: Entry
  readonly opened: Opened
}

/** A ledger that was opened and stopped more often than this has its later gaps counted, and not told one by one. */
const mostGaps = 10_000
/** Of a ledger with more anchors the later ones are counted, and not missed one by one: of one every hour these are thirty years. */
const mostAnchored = 262_144

export interface Cut {
  readonly index: number
  /** Whole ones that are left. */
  readonly chunks: number
  /** Undefined where no crash is told of: its end could not be written. */
  readonly recovered: number | undefined
}

export class Examination {
  readonly options: VerifyOptions
  readonly fingerprint: string
  /** Unix milliseconds. */
  readonly now: number
  readonly depth: 'envelopes' | 'all'
  /** Whether the entries are wanted afterwards, with their bytes and what was opened of them. */
  readonly keep: boolean
  readonly findings = new Findings<Finding>()
  /** Only where the caller wants them: of a long ledger they are most of the memory. */
  readonly records: LedgerRecord[] = []
  /** Entries in the strict format. */
  strict = 0
  /** The last start between two entries about keys, and the entry of the newest epoch. */
  taken: readonly Taken[] = []
  /** The entries about keys as they were found first, and as the tree holds them. */
  keyEntries: readonly FoundKeyEntry[] = []
  keyEntriesInTree: FoundKeyEntry[] = []
  /** As entry 0 names it; trusted for nothing. */
  sealKey: string | undefined
  meaning = new Meaning()
  readonly speakers = new Speakers()
  readonly succession = new Succession()
  erasures = new Erasures()
  /** What the next ledger of the series is to judge. */
  erasedLate: readonly LateErasure[] = []
  readonly seals: SignedCheckpoint[] = []
  readonly continuity: Continuity
  /** Recordings that were cut, each with the entry that says that there was a crash; the first ten thousand of them. */
  readonly cut: Cut[] = []
  #recovered: number | undefined
  /** From outside: by whose word anchors count. */
  readonly anchorKeys: AnchorKeys
  readonly anchored: RecordedAnchor[] = []
  anchoredBeyond = 0
  anchors: Anchors
  /** Of the repository outside. */
  tags: readonly Tag[] = []
  /** Roots of the stored entries by size; empty where they do not give the signed root. */
  rootAt: ReadonlyMap<number, Hash> = new Map()
  /** What the entries are folded into again, to hold snapshots against. */
  snapshots: Found | undefined
  refold: Refold | undefined
  files: LedgerFiles | undefined
  checkpoint: SignedCheckpoint | undefined
  trust: Trust | undefined
  /** Whether the checkpoint bears the signature of the note key that speaks. */
  isSigned = false
  pin: Pin | undefined
  /** What this verifier knows of this very ledger, read ahead of the step that holds the ledger against it. */
  held: Pin | undefined
  /**
   * The ledger as it is by now, where that has so many entries: established by a verification of its own, which begins
   * with what is verified here. Undefined where it has not, or does not hold: whoever shows it may show anything.
   */
  later: (size: number) => Promise<Examination | undefined> = async () => undefined
  /** The pin, where it is of an earlier ledger of the series, against which it was held. */
  pinnedBefore: Pin | undefined
  /** Whether the keys that spoke before the pin are known, without reading what is before it. */
  mayGoOn = false
  /** The pin from which an incremental verification goes on: what is before it is not read again. */
  after: Pin | undefined

  /** @throws Misuse ERR_OPTION_INVALID where the options do not make sense */
  constructor(options: VerifyOptions, keep: boolean) {
    this.options = options
    this.keep = keep
    this.fingerprint = parseFingerprint(options.fingerprint)
    this.now = options.now ?? Date.now()
    this.depth = options.depth ?? (options.wrappingKey === undefined ? 'envelopes' : 'all')
    this.continuity = new Continuity({ now: this.now, mostGaps })
    this.anchorKeys = readAnchorKeys(options.anchors ?? {})
    this.anchors = new Anchors(this.anchorKeys.quorum)
    if (this.depth === 'all' && options.wrappingKey?.length !== 32) {
      throw new Misuse('ERR_OPTION_INVALID', 'the depth "all" needs the 32 bytes of the vault\'s wrapping key')
    }
    if (options.first === true && options.pin === undefined) {
      throw new Misuse('ERR_OPTION_INVALID', '"first" says that there is no pin yet: it needs the pin\'s file')
    }
    if (options.incremental === true && (options.pin === undefined || this.depth === 'all' || keep)) {
      throw new Misuse(
        'ERR_OPTION_INVALID',
        'an incremental verification goes on from a pin, and examines envelopes only',
      )
    }
    if (this.depth === 'all' && isAddress(options.directory)) {
      throw new Misuse(
        'ERR_OPTION_INVALID',
        'a vault is not published: the depth "all" needs the directory of the ledger',
      )
    }
  }

  /** Whether not one entry of what it says to hold could be read. */
  get isUnread(): boolean {
    return this.after === undefined && this.strict === 0 && (this.checkpoint?.size ?? 0) > 0
  }

  /** Begins behind the pin, with what the verifier kept then. */
  goOn(pin: Pin, { greatest, open, writers, taken }: PinState): void {
    this.after = pin
    this.keyEntriesInTree = this.keyEntries.filter(({ index }) => index < pin.size)
    this.meaning = new Meaning({ greatest, open })
    this.taken = taken.map(({ index, ...entry }) => ({ index, entry }))
    for (const { name, interval, ...left } of writers) {
      const promised = interval === 0 ? undefined : interval
      this.continuity.resumeWriter(name, { ...left, at: Date.parse(left.time), interval: promised })
    }
  }

  /** Takes what each entry in the strict format says, in index order; it is told by the steps that follow. */
  sum(index: number, summary: EntrySummary): void {
    this.strict += 1
    this.meaning.add(index, summary)
    this.succession.sum(index, summary)
    this.continuity.add(index, summary)
    this.speakers.add(index, summary)
  }

  /** Takes an entry as a whole, behind its summary: of those that are rare, or all of them where they are kept. */
  add(index: number, bytes: Uint8Array, entry: Entry): void {
    if (entry.kind === 'anchored') this.#recordAnchor(index, entry)
    if (entry.kind === 'started' || entry.kind === 'recovered') this.#take({ index, entry })
    // What an opening finds cut stands between what says that there was a crash, if there was one, and its start.
    if (entry.kind === 'recovered') this.#recovered = index
    if (entry.kind === 'started') this.#recovered = undefined
    if (entry.kind === 'attachment-cut' && this.cut.length < mostGaps) {
      this.cut.push({ index, chunks: entry.chunks, recovered: this.#recovered })
    }
    // One more than are found: that there are more shows so.
    if (isKeyEntry(entry) && this.keyEntriesInTree.length <= mostKeyEntries) {
      this.keyEntriesInTree.push({ index, entry, digest: digestOf(bytes) })
    }
    this.erasures.add(index, entry)
    this.succession.add(index, entry)
    if (this.keep) this.records.push({ index, bytes, entry, opened: nothingOpened })
  }

  #recordAnchor(index: number, { anchor, size, file }: EntryOf<'anchored'>): void {
    if (this.anchored.length < mostAnchored) this.anchored.push({ index, size, file: anchorFile(anchor, size, file) })
    else this.anchoredBeyond += 1
  }

  #take(one: Taken): void {
    const all = [...this.taken, one]
    const newest = all.reduce((a, b) => (b.entry.epoch >= a.entry.epoch ? b : a))
    const started = all.findLast(({ entry }) => entry.certificate !== undefined)
    const since = this.keyEntriesInTree.at(-1)?.index ?? -1
    const isLast = (each: Taken) => each === started || (each.index < since && each.entry.certificate !== undefined)
    this.taken = all.filter(each => each === newest || isLast(each))
  }

  /**
   * What shows from outside that so many entries were there: anchors, as far as they are established, or this
   * verifier's own pin. RFC 3339, the earliest.
   */
  existedBy(size: number): string | undefined {
    const { held } = this
    const pinned = held !== undefined && held.size >= size ? (held.since ?? held.time) : undefined
    const given = this.options.anchoredBefore?.(size)
    return [pinned, given, this.anchors.anchoredBefore(size)]
      .filter(time => time !== undefined)
      .sort((a, b) => Date.parse(a) - Date.parse(b))[0]
  }

  /** @returns what is wrong, as the step's detail */
  fail(finding: Finding): string {
    return this.findings.add(finding)
  }
}
