/**
 * Verifies a bundle by itself, against a fingerprint from outside: the files, the signature, both checkpoints, every envelope between
 * them, and that each view, population and result can be derived again from the envelopes alone.
 */
import { type AnyError, isOurs, LedgerError } from '../../lib/errors.ts'
import { canonical, type Json } from '../../lib/format/canonical.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import { type EntryOf, parseEntry } from '../../lib/format/entry.ts'
import { leafHash, sameHash, treeRoot, verifyConsistency, verifyInclusion } from '../../lib/format/merkle.ts'
import { parseFingerprint, verifyDetached } from '../../lib/openpgp.ts'
import type { TestResult } from '../control-test.ts'
import type { Step } from '../finding.ts'
import { readPin } from '../pin.ts'
import { openDirectory } from '../read.ts'
import type { Reconciliation } from '../reconcile.ts'
import { requireNoteSignature, type Trust, trustEntryZero } from '../trust.ts'
import type { BundleFinding, BundleVerification, VerifyBundleOptions } from './bundle-verification.ts'
import { derive, stampsOf } from './derive.ts'
import { type Manifest, manifestFile, parseManifest, parseSums, sha256, signatureFile, sumsFile } from './manifest.ts'
import { disclose, type Material, paths, primaryPaths, readMaterial } from './material.ts'
import { rangeReader } from './range.ts'

export type { BundleFinding, BundleVerification, VerifyBundleOptions } from './bundle-verification.ts'

const mostFile = 1024 * 1024 * 1024
const unsummed: ReadonlySet<string> = new Set([sumsFile, signatureFile])

/** @throws Misuse where the options do not make sense or DuckDB is not installed; what the bundle holds never throws */
export async function verifyBundle(options: VerifyBundleOptions): Promise<BundleVerification> {
  return new BundleVerifier(options).run()
}

class BundleVerifier {
  readonly #options: VerifyBundleOptions
  readonly #fingerprint: string
  readonly #findings: BundleFinding[] = []
  readonly #steps: Step[] = []
  readonly #files = new Map<string, Buffer>()
  #manifest: Manifest | undefined
  #material: Material | undefined
  #trust: Trust | undefined
  #results: readonly TestResult[] = []
  #reconciliations: readonly Reconciliation[] = []
  #skipped = false

  constructor(options: VerifyBundleOptions) {
    this.#options = options
    this.#fingerprint = parseFingerprint(options.fingerprint)
  }

  async run(): Promise<BundleVerification> {
    // Table: the steps, in their order; each names the finding that a typed error of it becomes.
    // biome-ignore format: a table
    const steps: readonly [name: string, code: BundleFinding['code'], run: () => Promise<string>][] = [
      ['files',       'FILE_UNREADABLE', () => this.#checkFiles()],
      ['manifest',    'MANIFEST',        () => this.#checkManifest()],
      ['signature',   'SIGNATURE',       () => this.#checkSignature()],
      ['material',    'MANIFEST',        () => this.#readMaterial()],
      ['pinned key',  'TRUST',           () => this.#establishTrust()],
      ['checkpoints', 'CHECKPOINT',      () => this.#checkCheckpoints()],
      ['log',         'LOG',             () => this.#checkLog()],
      ['pin',         'PIN',             () => this.#checkPin()],
      ['state',       'STATE',           () => this.#checkState()],
      ['disclosures', 'DISCLOSURE',      () => this.#checkDisclosures()],
      ['mapping',     'MAPPING',         () => this.#checkMapping()],
      ['results',     'NOT_DERIVED',     () => this.#deriveAgain()],
    ]
    for (const [name, code, run] of steps) await this.#step(name, code, run)
    const exceptions = [...this.#results, ...this.#reconciliations].some(({ word }) => word === 'exceptions-noted')
    return {
      verdict: this.#findings.length > 0 ? 'TAMPERED' : this.#skipped ? 'INCOMPLETE' : 'OK',
      steps: this.#steps,
      findings: this.#findings,
      manifest: this.#manifest,
      results: this.#results,
      reconciliations: this.#reconciliations,
      exceptions,
      undetectable:
        'A bundle shows one period. That the ledger was not rewritten before it was made, and that no entry is missing from ' +
        'state/opening.json, is for the ledger itself to show, against a checkpoint held elsewhere.',
    }
  }

  async #step(name: string, code: BundleFinding['code'], run: () => Promise<string>): Promise<void> {
    const before = this.#findings.length
    let detail: string
    try {
      detail = await run()
    } catch (error) {
      if (error instanceof Skipped) {
        this.#skipped ||= error.needed
        this.#steps.push({ name, status: 'not-examined', detail: error.message })
        return
      }
      if (!isOurs(error) || error.name === 'Misuse') throw error
      detail = this.#fail({ code, what: error.message, ...placeOf(error) })
    }
    const failed = this.#findings.length > before
    this.#steps.push({ name, status: failed ? 'failed' : 'ok', detail: failed ? this.#findings[before]!.what : detail })
  }

  async #checkFiles(): Promise<string> {
    const reader = await openDirectory(this.#options.directory)
    const { files: there, others } = await reader.walk()
    for (const path of others) this.#fail({ code: 'FILE_EXTRA', what: `${path} is no regular file`, file: path })
    for (const path of there) this.#files.set(path, await reader.read(path, mostFile))
    const sums = parseSums(this.#text(sumsFile))
    for (const path of there) {
      if (!sums.has(path) && !unsummed.has(path))
        this.#fail({ code: 'FILE_EXTRA', what: `${path} is not in SHA256SUMS`, file: path })
    }
    for (const [path, digest] of sums) {
      const bytes = this.#files.get(path)
      if (bytes === undefined) this.#fail({ code: 'FILE_MISSING', what: `${path} is missing`, file: path })
      else if (sha256(bytes) !== digest) this.#fail({ code: 'FILE_CHANGED', what: `${path} was changed`, file: path })
    }
    return `${sums.size} files, none changed, none missing, none more`
  }

  async #checkManifest(): Promise<string> {
    this.#manifest = parseManifest(this.#text(manifestFile))
    const listed = new Map(this.#manifest.files.map(file => [file.path, file]))
    for (const [path, bytes] of this.#files) {
      if (path === manifestFile || unsummed.has(path)) continue
      const file = listed.get(path)
      const agrees = file !== undefined && file.bytes === bytes.length && file.sha256 === sha256(bytes)
      if (!agrees) this.#fail({ code: 'MANIFEST', what: `MANIFEST.json disagrees about ${path}`, file: path })
    }
    for (const path of listed.keys()) {
      if (!this.#files.has(path))
        this.#fail({ code: 'FILE_MISSING', what: `${path} is in MANIFEST.json, and missing`, file: path })
    }
    return `${listed.size} files`
  }

  async #checkSignature(): Promise<string> {
    if (!this.#files.has(signatureFile))
      return this.#fail({ code: 'SIGNATURE', what: `${signatureFile} is missing`, file: signatureFile })
    const data = this.#files.get(sumsFile)
    if (data === undefined) skip('there is nothing signed')
    const signature = this.#text(signatureFile)
    const certificate = this.#certificate()
    try {
      await verifyDetached({ data, signature, certificate, fingerprint: this.#fingerprint })
    } catch (error) {
      if (!isOurs(error)) throw error
      return this.#fail({ code: 'SIGNATURE', what: error.message, file: signatureFile })
    }
    return `SHA256SUMS is signed by ${this.#fingerprint}`
  }

  async #readMaterial(): Promise<string> {
    const manifest = this.#manifest ?? skip('no manifest')
    const { organisation, engagement, period, asOf, software, identities, samples, stamps } = manifest
    const demo = stamps.includes('DEMO')
    const scope = { organisation, engagement, period, asOf, software, identities, samples, demo }
    this.#material = readMaterial(scope, path => this.#files.get(path)?.toString('utf8'))
    const expected = [...stampsOf(this.#material)]
    if (expected.join() !== stamps.join())
      this.#fail({ code: 'MANIFEST', what: 'the stamps do not follow from period and as-of', file: manifestFile })
    const mapping = this.#files.get(paths.mapping)
    if (mapping !== undefined && sha256(mapping) !== manifest.mapping) {
      this.#fail({ code: 'MAPPING', what: 'MANIFEST.json names another mapping', file: paths.mapping })
    }
    return `${this.#material.envelopes.length} envelopes`
  }

  async #establishTrust(): Promise<string> {
    const { state, envelopes, openingSize } = this.#need()
    const zero = openingSize === 0 ? envelopes[0] : state.find(({ index }) => index === 0)?.bytes
    const entry = zero === undefined ? undefined : parseEntry(zero)
    if (entry?.kind !== 'opened') throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'entry 0 is not in the bundle')
    const seal = { fingerprint: this.#fingerprint, certificate: this.#certificate() }
    this.#trust = await trustEntryZero(entry as EntryOf<'opened'>, seal)
    return `OpenPGP key ${this.#fingerprint} certifies the note key in entry 0`
  }

  async #checkCheckpoints(): Promise<string> {
    const { opening, closing } = this.#checkpoints()
    const trust = this.#trust ?? skip('no trusted key')
    requireNoteSignature(closing, trust)
    if (opening !== undefined) requireNoteSignature(opening, trust)
    const { ledger } = this.#manifest!
    const told =
      ledger.closing.size === closing.size &&
      ledger.closing.root === base64(closing.root) &&
      ledger.opening.size === (opening?.size ?? 0)
    if (!told) this.#fail({ code: 'CHECKPOINT', what: 'MANIFEST.json names other checkpoints', file: manifestFile })
    return `from ${opening?.size ?? 0} to ${closing.size} entries of ${closing.origin}`
  }

  async #checkLog(): Promise<string> {
    const m = this.#need()
    const { opening, closing } = this.#checkpoints()
    if ((opening?.size ?? 0) !== m.openingSize || closing.size - m.openingSize !== m.envelopes.length) {
      return this.#fail({
        code: 'LOG',
        what: `${m.envelopes.length} envelopes for entries ${m.openingSize} to ${closing.size - 1}`,
        file: paths.entries,
      })
    }
    for (const [i, bytes] of m.envelopes.entries()) {
      try {
        parseEntry(bytes)
      } catch (error) {
        if (!isOurs(error)) throw error
        const index = m.openingSize + i
        this.#fail({ code: 'LOG', what: `entry ${index}: ${error.message}`, index, file: paths.entries })
      }
    }
    const read = rangeReader(m.openingSize, m.frontier, m.envelopes)
    if (opening !== undefined && !sameHash(await treeRoot(opening.size, read), opening.root)) {
      return this.#fail({ code: 'LOG', what: 'the given nodes do not give the opening root', file: paths.frontier })
    }
    if (!sameHash(await treeRoot(closing.size, read), closing.root)) {
      return this.#fail({
        code: 'LOG',
        what: 'the envelopes do not lead from the opening root to the closing root',
        file: paths.entries,
      })
    }
    if (opening !== undefined) verifyConsistency(opening.size, opening.root, closing.size, closing.root, m.consistency)
    return `all ${m.envelopes.length} envelopes lead from the opening root to the closing root`
  }

  async #checkPin(): Promise<string> {
    const m = this.#need()
    if (this.#options.pin === undefined) skip('no checkpoint held elsewhere was given', false)
    const pin = await readPin(this.#options.pin)
    if (pin === undefined) throw new LedgerError('ERR_CHECKPOINT_ROLLBACK', 'the pin is gone')
    const size = m.openingSize + m.envelopes.length
    if (pin.size < m.openingSize || pin.size > size) skip('the pinned size is not within this bundle')
    const root = await treeRoot(pin.size, rangeReader(m.openingSize, m.frontier, m.envelopes))
    if (!sameHash(root, pin.root))
      return this.#fail({ code: 'PIN', what: `history was rewritten: another tree at the pinned ${pin.size} entries` })
    return `agrees with what stood there at ${pin.time}`
  }

  async #checkState(): Promise<string> {
    const { state, openingSize } = this.#need()
    const { opening } = this.#checkpoints()
    for (const { index, bytes, proof } of state) {
      try {
        parseEntry(bytes)
        if (opening === undefined) throw new LedgerError('ERR_PROOF_INVALID', 'there is nothing before the first entry')
        verifyInclusion(leafHash(bytes), index, openingSize, proof, opening.root)
      } catch (error) {
        if (!isOurs(error)) throw error
        this.#fail({ code: 'STATE', what: error.message, index, file: paths.state })
      }
    }
    return `${state.length} entries from before, each in the opening tree`
  }

  async #checkDisclosures(): Promise<string> {
    const m = this.#need()
    try {
      disclose(m)
    } catch (error) {
      if (!isOurs(error)) throw error
      return this.#fail({ code: 'DISCLOSURE', what: error.message, file: paths.disclosures, ...placeOf(error) })
    }
    return `${m.disclosures.length}, each committed to by its entry`
  }

  async #checkMapping(): Promise<string> {
    const m = this.#need()
    const { before, entries } = disclose(m)
    const policies = [...before, ...entries].flatMap(({ entry, values, index }) =>
      entry.kind === 'policy' ? [{ entry, values, index }] : [],
    )
    const named = new Set([...m.mapping.versions.map(version => version.policy), ...m.mapping.unreadable])
    for (const { entry, values, index } of policies) {
      if (!named.delete(entry.digest) && !policies.some(p => p.index < index && p.entry.digest === entry.digest)) {
        this.#fail({
          code: 'MAPPING',
          what: `the policy of entry ${index} is not in the mapping`,
          index,
          file: paths.mapping,
        })
      }
      const text = values.controls
      if (typeof text !== 'string') continue
      if (Buffer.from(sha256(text), 'hex').toString('base64url') !== entry.controls) {
        this.#fail({
          code: 'MAPPING',
          what: `the text of the controls of entry ${index} is another one`,
          index,
          file: paths.disclosures,
        })
      }
      const version = m.mapping.versions.find(({ policy }) => policy === entry.digest)
      const again = this.#options.readControls?.(text)
      if (
        again !== undefined &&
        version !== undefined &&
        canonical(again as unknown as Json) !== canonical(version.controls as unknown as Json)
      ) {
        this.#fail({
          code: 'MAPPING',
          what: `the mapping says other controls than entry ${index} discloses`,
          index,
          file: paths.mapping,
        })
      }
    }
    for (const policy of named)
      this.#fail({ code: 'MAPPING', what: `the mapping names a policy of no entry: ${policy}`, file: paths.mapping })
    return this.#options.readControls === undefined
      ? 'every policy is in it; the texts were not read again'
      : 'read again from the texts that the ledger disclosed'
  }

  async #deriveAgain(): Promise<string> {
    const material = this.#need()
    const derived = await derive(material)
    this.#results = derived.runs.map(run => run.result)
    this.#reconciliations = derived.reconciliations
    for (const [path, content] of derived.files) {
      const bytes = this.#files.get(path)
      if (bytes === undefined)
        this.#fail({ code: 'FILE_MISSING', what: `${path} follows from the envelopes, and is missing`, file: path })
      else if (!bytes.equals(Buffer.from(content))) {
        this.#fail({ code: 'NOT_DERIVED', what: `${path} does not follow from the envelopes`, file: path })
      }
    }
    for (const path of this.#files.keys()) {
      const accounted = derived.files.has(path) || primaryPaths.has(path) || own.has(path)
      if (!accounted)
        this.#fail({ code: 'NOT_DERIVED', what: `${path} does not follow from the envelopes`, file: path })
    }
    return `${derived.files.size} files derived again, to the same bytes`
  }

  #checkpoints(): { opening: SignedCheckpoint | undefined; closing: SignedCheckpoint } {
    const { opening, closing } = this.#need()
    const parse = (note: string) => parseCheckpoint(Buffer.from(note))
    return { opening: opening === undefined ? undefined : parse(opening), closing: parse(closing) }
  }

  #certificate(): string {
    return this.#options.certificate ?? this.#text('log/ledger.pub.asc')
  }

  #text(path: string): string {
    const bytes = this.#files.get(path)
    if (bytes === undefined) throw new LedgerError('ERR_BUNDLE_MANIFEST', `${path} is missing`, { file: path })
    return bytes.toString('utf8')
  }

  #need(): Material {
    return this.#material ?? skip('the material could not be read')
  }

  #fail(finding: BundleFinding): string {
    this.#findings.push(finding)
    return finding.what
  }
}

const own: ReadonlySet<string> = new Set([manifestFile, sumsFile, signatureFile, 'log/ledger.pub.asc'])
const base64 = (hash: Uint8Array) => Buffer.from(hash).toString('base64')

class Skipped extends Error {
  readonly needed: boolean

  constructor(why: string, needed: boolean) {
    super(why)
    this.needed = needed
  }
}

function skip(why: string, needed = true): never {
  throw new Skipped(why, needed)
}

function placeOf({ data }: AnyError): { file?: string; index?: number } {
  const { file, index } = data
  return { ...(typeof file === 'string' ? { file } : {}), ...(typeof index === 'number' ? { index } : {}) }
}
