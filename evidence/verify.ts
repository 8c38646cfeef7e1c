/**
 * Verifies a ledger directory in named steps, trusting nothing in it but what a key pinned from outside has signed. It shares
 * only the format with the code that wrote the ledger.
 */
import { isOurs, Misuse } from '../lib/errors.ts'
import type { SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { type Entry, type EntryOf, parseEntry } from '../lib/format/entry.ts'
import { certificateFile, checkpointFile, sealFile } from '../lib/format/layout.ts'
import { consistencyProof, type Hash, sameHash, verifyConsistency } from '../lib/format/merkle.ts'
import { parseFingerprint } from '../lib/openpgp.ts'
import { Continuity, type Gap } from './continuity.ts'
import { nothingOpened, type Opened, Vault } from './disclosures.ts'
import { type Completeness, type Finding, familyOf, type Integrity, type Step, type Verdict } from './finding.ts'
import { LedgerFiles } from './ledger-files.ts'
import { type Pin, readPin, writePin } from './pin.ts'
import { examineTree } from './tree.ts'
import { requireNoteSignature, requireSealSignature, sealSignatures, type Trust, trustEntryZero } from './trust.ts'

export interface VerifyOptions {
  readonly directory: string
  /** The OpenPGP key, pinned from outside: 40 hex digits. */
  readonly fingerprint: string
  /** Armored, from outside; where absent, the ledger's own copy, which must have that fingerprint. */
  readonly certificate?: string
  /** The origin that is expected, where it is known. */
  readonly origin?: string
  /** The file where this verifier keeps its checkpoint, out of the reach of the ledger's operators. */
  readonly pin?: string
  /** There is no pin yet: write the first. */
  readonly first?: boolean
  /** 32 bytes: opens the vault, and so makes the depth `all` possible. */
  readonly wrappingKey?: Uint8Array
  /** `envelopes`: disclosures are not examined. Default: `all` where there is a wrapping key. */
  readonly depth?: 'envelopes' | 'all'
  /** Unix milliseconds. Default: now. */
  readonly now?: number
}

export interface SealSummary {
  readonly size: number
  readonly root: string
}

export interface Verification {
  readonly verdict: Verdict
  readonly integrity: Integrity
  readonly completeness: Completeness
  readonly steps: readonly Step[]
  readonly findings: readonly Finding[]
  readonly origin: string | undefined
  readonly size: number
  /** Base64, as the checkpoint has it; empty where there is none. */
  readonly root: string
  /** The newest seal: a checkpoint that the pinned OpenPGP key signed. */
  readonly seal: SealSummary | undefined
  /** Time of the newest entry, by the writer's own clock. */
  readonly latest: string
  readonly gaps: readonly Gap[]
  /** External anchors; this version writes none. */
  readonly anchors: readonly never[]
  /** What a verification such as this one cannot detect, said plainly. */
  readonly undetectable: string
}

/** An entry of a verified ledger. */
export interface LedgerRecord {
  readonly index: number
  readonly bytes: Uint8Array
  readonly entry: Entry
  readonly opened: Opened
}

export interface Inspection {
  readonly verification: Verification
  readonly records: readonly LedgerRecord[]
  readonly files: LedgerFiles | undefined
  readonly checkpoint: SignedCheckpoint | undefined
  readonly seals: readonly SignedCheckpoint[]
  readonly trust: Trust | undefined
}

/** @throws Misuse ERR_OPTION_INVALID where the options do not make sense; what the ledger holds never throws */
export async function verifyLedger(options: VerifyOptions): Promise<Verification> {
  const inspection = new Verifier(options, false)
  return (await inspection.run()).verification
}

/** As verifyLedger, and keeps the entries: for a bundle, which reads only what was verified. */
export function inspectLedger(options: VerifyOptions): Promise<Inspection> {
  return new Verifier(options, true).run()
}

class Verifier {
  readonly #options: VerifyOptions
  readonly #fingerprint: string
  readonly #now: number
  readonly #depth: 'envelopes' | 'all'
  readonly #keep: boolean
  readonly #findings: Finding[] = []
  readonly #steps: Step[] = []
  readonly #records: LedgerRecord[] = []
  readonly #seals: SignedCheckpoint[] = []
  readonly #rootAt = new Map<number, Hash>()
  #files: LedgerFiles | undefined
  #checkpoint: SignedCheckpoint | undefined
  #trust: Trust | undefined
  #pin: Pin | undefined
  #continuity = new Continuity({})

  constructor(options: VerifyOptions, keep: boolean) {
    this.#options = options
    this.#keep = keep
    this.#fingerprint = parseFingerprint(options.fingerprint)
    this.#now = options.now ?? Date.now()
    this.#depth = options.depth ?? (options.wrappingKey === undefined ? 'envelopes' : 'all')
    if (this.#depth === 'all' && options.wrappingKey?.length !== 32) {
      throw new Misuse('ERR_OPTION_INVALID', 'the depth "all" needs the 32 bytes of the vault\'s wrapping key')
    }
    if (options.first === true && options.pin === undefined) {
      throw new Misuse('ERR_OPTION_INVALID', '"first" says that there is no pin yet: it needs the pin\'s file')
    }
  }

  async run(): Promise<Inspection> {
    // Table: the steps of a verification, in their order. Each needs what the ones before it established.
    // biome-ignore format: a table
    const steps: readonly [name: string, run: () => Promise<string>][] = [
      ['directory',    () => this.#openDirectory()],
      ['pinned key',   () => this.#establishTrust()],
      ['checkpoint',   () => this.#checkNote()],
      ['pin',          () => this.#checkPin()],
      ['tree',         () => this.#checkTree()],
      ['seals',        () => this.#checkSeals()],
      ['entries',      () => this.#checkEntries()],
      ['disclosures',  () => this.#checkDisclosures()],
      ['continuity',   () => this.#checkContinuity()],
      ['anchors',      async () => skip('this version writes no external anchors')],
      ['new pin',      () => this.#keepPin()],
    ]
    for (const [name, run] of steps) await this.#step(name, run)
    return {
      verification: this.#conclude(),
      records: this.#records,
      files: this.#files,
      checkpoint: this.#checkpoint,
      seals: this.#seals,
      trust: this.#trust,
    }
  }

  async #step(name: string, run: () => Promise<string>): Promise<void> {
    const before = this.#findings.length
    try {
      const detail = await run()
      const failed = this.#findings.length > before
      this.#steps.push({
        name,
        status: failed ? 'failed' : 'ok',
        detail: failed ? this.#findings[before]!.what : detail,
      })
    } catch (error) {
      if (!(error instanceof NotExamined)) throw error
      this.#steps.push({ name, status: 'not-examined', detail: error.message })
    }
  }

  async #openDirectory(): Promise<string> {
    try {
      this.#files = await LedgerFiles.open(this.#options.directory)
      this.#checkpoint = await this.#files.checkpoint()
      return `a checkpoint of ${this.#checkpoint.size} entries`
    } catch (error) {
      if (!isOurs(error)) throw error
      const code = error.code === 'ERR_LEDGER_MISSING' ? 'LEDGER_MISSING' : 'CHECKPOINT_MALFORMED'
      return this.#fail({ code, what: error.message, ...(this.#files === undefined ? {} : { file: checkpointFile }) })
    }
  }

  async #establishTrust(): Promise<string> {
    const [files, checkpoint] = this.#need(this.#files, this.#checkpoint)
    const certificate = this.#options.certificate ?? (await files.certificate().catch(() => undefined))
    if (certificate === undefined) {
      return this.#fail({ code: 'KEY_SUBSTITUTED', what: 'no certificate of the pinned key', file: certificateFile })
    }
    if (checkpoint.size === 0) skip('an empty ledger has no entry 0')
    let opened: EntryOf<'opened'> | undefined
    try {
      const { bytes } = await files.entries(0, checkpoint.size)
      const entry = parseEntry(bytes.subarray(2, 2 + bytes.readUInt16BE(0)))
      if (entry.kind === 'opened') opened = entry
    } catch (error) {
      if (!isOurs(error) && !(error instanceof RangeError)) throw error
    }
    if (opened === undefined) {
      return this.#fail({
        code: 'CERTIFICATION_INVALID',
        what: 'entry 0 is missing, or is not the opening of a ledger',
        index: 0,
      })
    }
    try {
      this.#trust = await trustEntryZero(opened, { fingerprint: this.#fingerprint, certificate })
    } catch (error) {
      if (!isOurs(error)) throw error
      return this.#fail({ code: 'KEY_SUBSTITUTED', what: error.message, index: 0, expected: this.#fingerprint })
    }
    const { origin } = this.#options
    if (origin !== undefined && origin !== this.#trust.origin) {
      return this.#fail({
        code: 'ORIGIN',
        what: 'the ledger is of another origin',
        expected: origin,
        actual: this.#trust.origin,
      })
    }
    return `OpenPGP key ${this.#fingerprint} certifies the note key in entry 0`
  }

  async #checkNote(): Promise<string> {
    const [checkpoint, trust] = this.#need(this.#checkpoint, this.#trust)
    try {
      requireNoteSignature(checkpoint, trust)
      if (sealSignatures(checkpoint, trust.seal.fingerprint).length > 0) await requireSealSignature(checkpoint, trust)
      return `signed by ${trust.origin}`
    } catch (error) {
      if (!isOurs(error)) throw error
      return this.#fail({ code: 'CHECKPOINT_SIGNATURE', what: error.message, file: checkpointFile })
    }
  }

  async #checkPin(): Promise<string> {
    const [files, checkpoint, trust] = this.#need(this.#files, this.#checkpoint, this.#trust)
    if (this.#options.pin === undefined) return skip('no checkpoint held elsewhere was given')
    let pin: Pin | undefined
    try {
      pin = await readPin(this.#options.pin)
    } catch (error) {
      if (!isOurs(error)) throw error
      return this.#fail({ code: 'PIN_UNREADABLE', what: error.message })
    }
    if (pin === undefined) {
      if (this.#options.first === true) return 'the first pin: nothing to compare with yet'
      return this.#fail({ code: 'PIN_MISSING', what: 'the pin is gone; only a first verification may be without one' })
    }
    this.#pin = pin
    if (pin.origin !== trust.origin || pin.fingerprint !== this.#fingerprint) {
      const what = 'the pin is of another ledger or another key'
      return this.#fail({ code: 'KEY_SUBSTITUTED', what, expected: pin.fingerprint, actual: this.#fingerprint })
    }
    const [expected, actual] = [`${pin.size} ${base64(pin.root)}`, `${checkpoint.size} ${base64(checkpoint.root)}`]
    if (checkpoint.size < pin.size) {
      const what = `the ledger has ${checkpoint.size} entries, and had ${pin.size} when it was pinned`
      return this.#fail({ code: 'ROLLBACK', what, expected, actual })
    }
    try {
      const proof = await consistencyProof(pin.size, checkpoint.size, files.hashReader(checkpoint.size))
      verifyConsistency(pin.size, pin.root, checkpoint.size, checkpoint.root, proof)
      return `what stood there at ${pin.time}, ${pin.size} entries, is still the beginning of the ledger`
    } catch (error) {
      if (!isOurs(error)) throw error
      // Tiles that are missing or altered prove nothing of a fork: the tree step names them, and compares the roots itself.
      if (error.code !== 'ERR_PROOF_INVALID') return 'no proof from the tiles: the roots are compared below'
      const what = `history was rewritten: the first ${pin.size} entries are not those that were pinned at ${pin.time}`
      return this.#fail({ code: 'FORK', what, expected, actual })
    }
  }

  async #checkTree(): Promise<string> {
    const [files, checkpoint] = this.#need(this.#files, this.#checkpoint)
    const sizes = new Set<number>([checkpoint.size])
    if (this.#pin !== undefined) sizes.add(this.#pin.size)
    for (const size of (await files.sealSizes().catch(() => ({ sizes: [] }))).sizes) sizes.add(size)
    this.#continuity = new Continuity({ now: this.#now })
    const malformed: Finding[] = []
    const { findings, entries, rootAt } = await examineTree(files, checkpoint, sizes, (index, bytes, file) => {
      try {
        const entry = parseEntry(bytes)
        this.#records.push({ index, bytes: this.#keep ? Uint8Array.from(bytes) : bytes, entry, opened: nothingOpened })
      } catch (error) {
        if (!isOurs(error)) throw error
        malformed.push({ code: 'ENTRY_MALFORMED', what: `entry ${index}: ${error.message}`, index, file })
      }
    })
    this.#findings.push(...findings, ...malformed)
    // Roots of altered entries show no fork: that is two signed trees that disagree. The alteration is named already.
    const entire = rootAt.get(checkpoint.size)
    if (entire !== undefined && sameHash(entire, checkpoint.root)) {
      for (const [size, root] of rootAt) this.#rootAt.set(size, root)
    }
    const pinned = this.#pin === undefined ? undefined : this.#rootAt.get(this.#pin.size)
    if (pinned !== undefined && !sameHash(pinned, this.#pin!.root) && !this.#findings.some(f => f.code === 'FORK')) {
      const what = `the first ${this.#pin!.size} entries are not those that were pinned`
      this.#fail({ code: 'FORK', what, expected: base64(this.#pin!.root), actual: base64(pinned) })
    }
    return `${entries} entries and every tile give the signed root`
  }

  async #checkSeals(): Promise<string> {
    const [files, checkpoint, trust] = this.#need(this.#files, this.#checkpoint, this.#trust)
    const { sizes, strange } = await files.sealSizes()
    for (const name of strange) {
      this.#fail({ code: 'SEAL_INVALID', what: 'a file among the seals that is none', file: `checkpoint.d/${name}` })
    }
    for (const size of sizes) {
      const file = sealFile(size)
      try {
        const seal = await files.seal(size)
        requireNoteSignature(seal, trust)
        await requireSealSignature(seal, trust)
        const root = this.#rootAt.get(size)
        if (seal.size !== size)
          this.#fail({ code: 'SEAL_INVALID', what: 'a seal under the name of another size', file })
        else if (size > checkpoint.size) {
          const what = `the ledger has ${checkpoint.size} entries, and was sealed with ${size}`
          this.#fail({ code: 'ROLLBACK', what, expected: String(size), actual: String(checkpoint.size), file })
        } else if (root !== undefined && !sameHash(root, seal.root)) {
          const what = `the first ${size} entries are not those that were sealed`
          this.#fail({ code: 'FORK', what, expected: base64(seal.root), actual: base64(root), file })
        } else this.#seals.push(seal)
      } catch (error) {
        if (!isOurs(error)) throw error
        this.#fail({ code: 'SEAL_INVALID', what: error.message, file })
      }
    }
    const newest = this.#seals.at(-1)
    return newest === undefined ? 'none yet' : `${this.#seals.length}, the newest over ${newest.size} entries`
  }

  async #checkEntries(): Promise<string> {
    const [checkpoint] = this.#need(this.#checkpoint)
    const ids = new Set<string>()
    const decided = new Set<string>()
    for (const { index, entry } of this.#records) {
      if (ids.has(entry.id)) {
        this.#fail({
          code: 'ENTRY_REPEATED',
          what: `entry ${index} has the id of an earlier one`,
          index,
          actual: entry.id,
        })
      }
      ids.add(entry.id)
      if (entry.kind === 'opened' && index > 0) {
        this.#fail({ code: 'ENTRY_MALFORMED', what: `entry ${index} opens a ledger that is open`, index })
      }
      if (entry.kind === 'decision') {
        if (decided.has(entry.exchange)) {
          this.#fail({
            code: 'ENTRY_REPEATED',
            what: `entry ${index} decides an exchange again`,
            index,
            actual: entry.exchange,
          })
        }
        decided.add(entry.exchange)
      }
      if (entry.kind === 'outcome' && !decided.has(entry.exchange)) {
        this.#fail({
          code: 'OUTCOME_ORPHAN',
          what: `entry ${index} is the outcome of nothing decided`,
          index,
          actual: entry.exchange,
        })
      }
    }
    return `${this.#records.length} of ${checkpoint.size} entries are in the strict format`
  }

  async #checkDisclosures(): Promise<string> {
    const [files, checkpoint, trust] = this.#need(this.#files, this.#checkpoint, this.#trust)
    const key = this.#options.wrappingKey
    if (this.#depth === 'envelopes' || key === undefined) return skip('disclosures: not examined')
    const vault = new Vault(files, key, trust.origin, checkpoint.size)
    let opened = 0
    for (const [i, record] of this.#records.entries()) {
      const found = await vault.open(record.index, record.entry)
      opened += Object.keys(found.values).length
      if (this.#keep) this.#records[i] = { ...record, opened: found }
    }
    this.#findings.push(...vault.findings)
    return `${opened} disclosures match what their entries commit to`
  }

  async #checkContinuity(): Promise<string> {
    this.#need(this.#checkpoint)
    for (const { index, entry } of this.#records) this.#continuity.add(index, entry)
    this.#findings.push(...this.#continuity.findings)
    return `no gap in the writers' counters and heartbeats; newest entry ${this.#continuity.latest}`
  }

  async #keepPin(): Promise<string> {
    const [checkpoint, trust] = this.#need(this.#checkpoint, this.#trust)
    if (this.#options.pin === undefined) return skip('no pin is kept')
    // A gap in the recording does not unpin: what is kept is what was signed, and that holds.
    if (this.#findings.some(finding => familyOf(finding.code) !== 'completeness'))
      return skip('the old pin stays as it was')
    const { origin, size, root } = checkpoint
    const { fingerprint } = trust.seal
    await writePin(this.#options.pin, { origin, size, root, fingerprint, time: new Date(this.#now).toISOString() })
    return `${size} entries`
  }

  #conclude(): Verification {
    const of = (family: string) => this.#findings.filter(finding => familyOf(finding.code) === family)
    const [broken, untold, gaps] = [of('integrity'), of('untold'), of('completeness')]
    const examined = this.#checkpoint !== undefined && this.#trust !== undefined
    const integrity: Integrity =
      broken.length > 0
        ? { verdict: 'broken', detail: broken[0]!.what }
        : untold.length > 0 || !examined
          ? { verdict: 'undetermined', detail: untold[0]?.what ?? 'nothing signed to hold it against' }
          : { verdict: 'whole', detail: 'every entry is the one that was signed' }
    const completeness: Completeness =
      gaps.length > 0
        ? { verdict: 'gaps', detail: gaps[0]!.what }
        : broken.length > 0 || !examined
          ? { verdict: 'undetermined', detail: 'a ledger that is not whole cannot tell' }
          : { verdict: 'continuous', detail: 'counters and heartbeats have no gap that the ledger itself can show' }
    const seal = this.#seals.at(-1)
    return {
      verdict: broken.length > 0 ? 'TAMPERED' : untold.length > 0 || gaps.length > 0 || !examined ? 'INCOMPLETE' : 'OK',
      integrity,
      completeness,
      steps: this.#steps,
      findings: this.#findings,
      origin: this.#trust?.origin,
      size: this.#checkpoint?.size ?? 0,
      root: this.#checkpoint === undefined ? '' : base64(this.#checkpoint.root),
      seal: seal === undefined ? undefined : { size: seal.size, root: base64(seal.root) },
      latest: this.#continuity.latest,
      gaps: this.#continuity.gaps,
      anchors: [],
      undetectable: undetectable(this.#pin),
    }
  }

  #fail(finding: Finding): string {
    this.#findings.push(finding)
    return finding.what
  }

  #need<T extends readonly unknown[]>(...values: T): { [I in keyof T]: Exclude<T[I], undefined> } {
    if (values.some(value => value === undefined)) skip('an earlier step failed')
    return values as { [I in keyof T]: Exclude<T[I], undefined> }
  }
}

class NotExamined extends Error {}

function skip(why: string): never {
  throw new NotExamined(why)
}

const base64 = (hash: Hash) => Buffer.from(hash).toString('base64')

function undetectable(pin: Pin | undefined): string {
  if (pin === undefined) {
    return (
      'No checkpoint held elsewhere was given, and there is no anchor: whoever operates this ledger and holds its keys ' +
      'could have rewritten all of it, or have cut its end, undetected.'
    )
  }
  return (
    `Whoever operates this ledger and holds its keys could have rewritten, undetected, what was appended after the ${pin.size} ` +
    `entries pinned at ${pin.time} and before now; there is no anchor. Before that, nothing can have changed since.`
  )
}
