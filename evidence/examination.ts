/** What the verification of a ledger was asked and has established so far. Each step adds to it, and needs what those before it added. */
import { Misuse } from '../lib/errors.ts'
import type { SignedCheckpoint } from '../lib/format/checkpoint.ts'
import type { Entry } from '../lib/format/entry.ts'
import type { Hash } from '../lib/format/merkle.ts'
import { parseFingerprint } from '../lib/openpgp.ts'
import type { Taken } from './beside.ts'
import { Continuity } from './continuity.ts'
import { nothingOpened, type Opened } from './disclosures.ts'
import { Erasures } from './erasures.ts'
import type { Finding } from './finding.ts'
import { Findings } from './findings.ts'
import { isKeyEntry, type KeyEntry } from './key-entries.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { Meaning } from './meaning.ts'
import type { Pin } from './pin.ts'
import type { Trust } from './trust.ts'
import type { VerifyOptions } from './verification.ts'

/** An entry of a verified ledger. */
export interface LedgerRecord {
  readonly index: number
  readonly bytes: Uint8Array
  readonly entry: Entry
  readonly opened: Opened
}

const nothing = new Uint8Array()

export class Examination {
  readonly options: VerifyOptions
  readonly fingerprint: string
  /** Unix milliseconds. */
  readonly now: number
  readonly depth: 'envelopes' | 'all'
  /** Whether the entries are wanted afterwards, with their bytes and what was opened of them. */
  readonly keep: boolean
  readonly findings = new Findings<Finding>()
  /** Only where later steps or the caller want them: of a long ledger they are most of the memory. */
  readonly records: LedgerRecord[] = []
  /** Entries in the strict format. */
  strict = 0
  readonly taken: Taken[] = []
  /** The entries about keys as they were found first, and as the tree holds them. */
  keyEntries: readonly KeyEntry[] = []
  /** As entry 0 names it; trusted for nothing. */
  sealKey: string | undefined
  readonly keyEntriesInTree: KeyEntry[] = []
  readonly meaning = new Meaning()
  readonly erasures = new Erasures()
  readonly seals: SignedCheckpoint[] = []
  readonly continuity: Continuity
  /** Roots of the stored entries by size; empty where they do not give the signed root. */
  rootAt: ReadonlyMap<number, Hash> = new Map()
  files: LedgerFiles | undefined
  checkpoint: SignedCheckpoint | undefined
  trust: Trust | undefined
  pin: Pin | undefined

  /** @throws Misuse ERR_OPTION_INVALID where the options do not make sense */
  constructor(options: VerifyOptions, keep: boolean) {
    this.options = options
    this.keep = keep
    this.fingerprint = parseFingerprint(options.fingerprint)
    this.now = options.now ?? Date.now()
    this.depth = options.depth ?? (options.wrappingKey === undefined ? 'envelopes' : 'all')
    this.continuity = new Continuity({ now: this.now })
    if (this.depth === 'all' && options.wrappingKey?.length !== 32) {
      throw new Misuse('ERR_OPTION_INVALID', 'the depth "all" needs the 32 bytes of the vault\'s wrapping key')
    }
    if (options.first === true && options.pin === undefined) {
      throw new Misuse('ERR_OPTION_INVALID', '"first" says that there is no pin yet: it needs the pin\'s file')
    }
  }

  /** Takes an entry in the strict format, in index order; what it says is told by the steps that follow. */
  add(index: number, bytes: Uint8Array, entry: Entry): void {
    this.strict += 1
    this.meaning.add(index, entry)
    this.erasures.add(index, entry)
    this.continuity.add(index, entry)
    if (entry.kind === 'opened' && index === 0) this.sealKey = entry.sealKey
    if (entry.kind === 'started' || entry.kind === 'recovered') this.taken.push({ index, entry })
    if (isKeyEntry(entry)) this.keyEntriesInTree.push({ index, entry })
    if (!this.keep && this.depth === 'envelopes') return
    // A view of them would hold the whole bundle that they were read in.
    this.records.push({ index, bytes: this.keep ? Uint8Array.from(bytes) : nothing, entry, opened: nothingOpened })
  }

  /** What shows from outside that so many entries were there: an anchor, or this verifier's own pin. RFC 3339, the earliest. */
  existedBy(size: number): string | undefined {
    const { pin } = this
    const pinned = pin !== undefined && pin.size >= size ? pin.time : undefined
    const anchored = this.options.anchoredBefore?.(size)
    return [pinned, anchored].filter(time => time !== undefined).sort((a, b) => Date.parse(a) - Date.parse(b))[0]
  }

  /** @returns what is wrong, as the step's detail */
  fail(finding: Finding): string {
    return this.findings.add(finding)
  }
}
