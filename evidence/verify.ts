/**
 * Verifies a ledger directory in named steps, trusting nothing in it but what a key pinned from outside has signed. It shares
 * only the format with the code that wrote the ledger.
 */
import { hash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { isOurs, Misuse } from '../lib/errors.ts'
import type { SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { type Entry, type EntryOf, parseEntry } from '../lib/format/entry.ts'
import { certificateFile, checkpointFile } from '../lib/format/layout.ts'
import { consistencyProof, type Hash, sameHash, verifyConsistency } from '../lib/format/merkle.ts'
import { parseFingerprint } from '../lib/openpgp.ts'
import { Continuity } from './continuity.ts'
import { nothingOpened, type Opened, Vault } from './disclosures.ts'
import { type Finding, familyOf, type Step } from './finding.ts'
import { LedgerFiles } from './ledger-files.ts'
import { examineMeaning } from './meaning.ts'
import { type Pin, readPin, writePin } from './pin.ts'
import { examineSeals } from './seals.ts'
import { examineTree, unreadable } from './tree.ts'
import { base64, conclude, type Verification, type VerifyOptions } from './verification.ts'

export type { Verification, VerifyOptions } from './verification.ts'

import { requireNoteSignature, requireSealSignature, sealSignatures, type Trust, trustEntryZero } from './trust.ts'

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
      if (error instanceof NotExamined) {
        this.#steps.push({ name, status: 'not-examined', detail: error.message })
        return
      }
      if (!isOurs(error) || error.name === 'Misuse') throw error
      this.#steps.push({
        name,
        status: 'failed',
        detail: this.#fail(unreadable(error, String(error.data.file ?? name))),
      })
    }
  }

  async #openDirectory(): Promise<string> {
    try {
      this.#files = await LedgerFiles.open(this.#options.directory)
      this.#checkpoint = await settledCheckpoint(this.#files)
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
      return this.#fail({
        code: 'PIN_MISSING',
        what: 'the pin is gone; only a first verification may be without one, and a person says that it is: --first',
      })
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
    const { seals, findings } = await examineSeals(files, checkpoint, trust, this.#rootAt)
    this.#seals.push(...seals)
    this.#findings.push(...findings)
    const newest = this.#seals.at(-1)
    return newest === undefined ? 'none yet' : `${this.#seals.length}, the newest over ${newest.size} entries`
  }

  async #checkEntries(): Promise<string> {
    const [files, checkpoint] = this.#need(this.#files, this.#checkpoint)
    this.#findings.push(...examineMeaning(this.#records))
    this.#findings.push(...(await examineCertificate(files, this.#records)))
    return `${this.#records.length} of ${checkpoint.size} entries are in the strict format`
  }

  async #checkDisclosures(): Promise<string> {
    const [files, checkpoint, trust] = this.#need(this.#files, this.#checkpoint, this.#trust)
    const key = this.#options.wrappingKey
    if (this.#depth === 'envelopes' || key === undefined) return skip('not examined: that needs the key of the vault')
    const vault = new Vault(files, key, trust.origin, checkpoint.size)
    let opened = 0
    for (const [i, record] of this.#records.entries()) {
      const found = await vault.open(record.index, record.entry)
      opened += Object.keys(found.values).length
      if (this.#keep) this.#records[i] = { ...record, opened: found }
    }
    await vault.examineSlots()
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
    return conclude({
      findings: this.#findings,
      steps: this.#steps,
      examined: this.#checkpoint !== undefined && this.#trust !== undefined,
      origin: this.#trust?.origin,
      checkpoint: this.#checkpoint,
      seal: this.#seals.at(-1),
      pin: this.#pin,
      continuity: this.#continuity,
    })
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

/** A live ledger keeps a seal first, and then replaces its checkpoint: one that is just between the two is waited for. */
async function settledCheckpoint(files: LedgerFiles): Promise<SignedCheckpoint> {
  for (let left = 10; ; left -= 1) {
    const { sizes } = await files.sealSizes()
    const checkpoint = await files.checkpoint()
    if (left === 0 || (sizes.at(-1) ?? 0) <= checkpoint.size) return checkpoint
    await setTimeout(50)
  }
}

/** The published certificate is the one that the writer said it published: armor has bytes that no signature covers. */
async function examineCertificate(files: LedgerFiles, records: readonly LedgerRecord[]): Promise<Finding[]> {
  const started = records.flatMap(({ index, entry }) => (entry.kind === 'started' ? [{ index, entry }] : [])).at(-1)
  const expected = started?.entry.certificate
  if (started === undefined || expected === undefined) return []
  const text = await files.certificate().catch(() => undefined)
  const actual = text === undefined ? undefined : hash('sha256', text, 'base64url' as 'hex')
  if (actual === expected) return []
  const what = 'the published certificate is not the one that the writer published'
  return [
    {
      code: 'KEY_SUBSTITUTED',
      what,
      expected,
      ...(actual === undefined ? {} : { actual }),
      file: certificateFile,
      index: started.index,
    },
  ]
}

class NotExamined extends Error {}

function skip(why: string): never {
  throw new NotExamined(why)
}
