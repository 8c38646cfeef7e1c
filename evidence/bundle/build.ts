/**
 * Builds the evidence bundle of a period from a ledger that it verifies first. The same ledger, controls, period and as-of give the
 * same bytes, the signature apart.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Control } from '../../lib/control.ts'
import { LedgerError, Misuse } from '../../lib/errors.ts'
import { formatCheckpoint } from '../../lib/format/checkpoint.ts'
import { consistencyProof, inclusionProof } from '../../lib/format/merkle.ts'
import { readAttachment } from '../attachments.ts'
import type { TestResult } from '../control-test.ts'
import { Vault } from '../disclosures.ts'
import { isKeyEntry } from '../key-entries.ts'
import { type ControlVersion, isControl, type Mapping } from '../mapping.ts'
import { type ImportOptions, type Reconciliation, readImport } from '../reconcile.ts'
import { included } from '../recorded.ts'
import type { Trust } from '../trust.ts'
import { inspectLedger, type LedgerRecord, type Verification, type VerifyOptions } from '../verify.ts'
import { chooseAnchors, listAnchors, writeAnchors } from './anchors.ts'
import { requireArmor } from './armor.ts'
import { requireVerifiable } from './bundle-files.ts'
import { derive, manifestOf } from './derive.ts'
import {
  byPath,
  certificateCopy,
  formatManifest,
  formatSums,
  listFiles,
  type Manifest,
  manifestFile,
  sha256,
  signatureFile,
  sumsFile,
} from './manifest.ts'
import { disclose, type KeyMaterial, type Material, type Scope, writeMaterial } from './material.ts'
import { compactNodes } from './range.ts'
import { listRecordings, type Open, writeRecordings } from './recordings.ts'
import { chooseBounds, type DisclosurePolicy, isShown, openingState } from './select.ts'
import { withhold } from './withheld.ts'

export interface BundleOptions {
  /** How the ledger is verified first; with a wrapping key, names and texts can be disclosed. A pin is compared with, never written. */
  readonly ledger: VerifyOptions
  /** Must not exist, or be empty. */
  readonly out: string
  readonly organisation: string
  /** What it is collected for; part of the seed of every sample. Default: the organisation and the period. */
  readonly engagement?: string
  /** RFC 3339 or a date, UTC; included. */
  readonly from: string
  /** Excluded. */
  readonly to: string
  /** Where several are made of one period, one for each ledger of a series: which this is, from 1 on, of how many. */
  readonly part?: { readonly number: number; readonly of: number }
  /** Unix milliseconds; later than this is the future. Default: now. */
  readonly asOf?: number
  /** The controls, where they were the same all the time; or a reader of the texts that the ledger's policy entries disclose. */
  readonly controls: readonly Control[] | ((text: string) => readonly Control[])
  /** Signs SHA256SUMS. @returns the armored detached signature */
  readonly sign: (bytes: Uint8Array) => Promise<string>
  readonly identities?: 'identified' | 'pseudonyms'
  /** Which exact actions are disclosed. Default: those that were approved. */
  readonly actions?: 'none' | 'approved' | 'all'
  /** Names or pseudonyms of principals of whom nothing is disclosed in this copy, by whomever it was said. */
  readonly withhold?: readonly string[]
  /** Whether the recordings themselves are put in, as they were shown. Default: they are listed. Takes the vault's key. */
  readonly recordings?: boolean
  readonly imports?: readonly ImportOptions[]
  /** What imports may be of, beside what the entries name; where left out, anything. */
  readonly targets?: readonly string[]
  /** Entries drawn from each population. Default: 5. */
  readonly samples?: number
  readonly software?: string
  readonly demo?: boolean
}

export interface BundleResult {
  readonly directory: string
  /** All but the recordings, which may be long, and the anchors, which are bytes: they are in the directory alone. */
  readonly files: ReadonlyMap<string, string>
  /** Of all files in the directory: what verifying it counts. */
  readonly count: number
  readonly manifest: Manifest
  readonly results: readonly TestResult[]
  readonly reconciliations: readonly Reconciliation[]
  readonly verification: Verification
  /** That the ledger is younger than the period, in words; undefined where it is not. */
  readonly begins: string | undefined
  /** Whether any test or reconciliation noted an exception: exit status 1. */
  readonly exceptions: boolean
}

/**
 * @throws LedgerError ERR_LEDGER_INCONSISTENT where the ledger is not whole: from such a one nothing is evidence;
 * ERR_CHECKPOINT_SIGNATURE where `sign` gives no plain armor
 * @throws Misuse ERR_OPTION_INVALID, ERR_PACKAGE_MISSING
 */
export async function buildBundle(options: BundleOptions): Promise<BundleResult> {
  const asked = scopeOf(options)
  await requireEmpty(options.out)
  const inspection = await inspectLedger({ ...options.ledger, renew: false })
  const { verification, records, files: ledger, checkpoint, seals, trust } = inspection
  if (
    verification.integrity.verdict === 'broken' ||
    ledger === undefined ||
    checkpoint === undefined ||
    trust === undefined
  ) {
    throw new LedgerError(
      'ERR_LEDGER_INCONSISTENT',
      `no bundle: the ledger is not whole: ${verification.integrity.detail}`,
      {
        findings: verification.findings,
      },
    )
  }
  // Integrity is not broken, and yet undetermined: of a pin that was asked for, and is gone or cannot be read.
  if (verification.integrity.verdict !== 'whole') {
    const missing = verification.findings.some(({ code }) => code === 'PIN_MISSING')
    const why = missing ? `no pin at ${options.ledger.pin}: "verify" keeps one` : verification.integrity.detail
    throw new Misuse('ERR_OPTION_INVALID', `no bundle: ${why}`)
  }
  requireTargets(options, records)
  const { opening, closing } = chooseBounds(records, seals, checkpoint, asked.period)
  const openingSize = opening?.size ?? 0
  const read = ledger.hashReader(checkpoint.size)
  const frontier = await Promise.all(
    compactNodes(openingSize).map(async ({ level, index }) => ({
      level,
      index,
      hash: Buffer.from(await read(level, index)),
    })),
  )
  const state = await Promise.all(
    openingState(records, openingSize).map(async ({ index, bytes, entry }) => ({
      index,
      bytes,
      entry,
      proof: await inclusionProof(index, openingSize, ledger.hashReader(checkpoint.size)),
    })),
  )
  const range = records.filter(({ index }) => index >= openingSize && index < closing.size)
  const before = openingState(records, openingSize)
  const shown = [...before, ...range]
  const { withheld, isWithheld } = withhold(options.withhold ?? [], records, shown, closing.size)
  const scope = { ...asked, withheld }
  const policy = { ...scope, isWithheld }
  const material: Material = {
    scope,
    opening: opening === undefined ? undefined : formatCheckpoint(opening),
    openingSize,
    closing: formatCheckpoint(closing),
    consistency: await consistencyProof(openingSize, closing.size, read),
    frontier,
    envelopes: range,
    state,
    disclosures: [
      ...disclosuresOf(before, { ...policy, recordings: false }),
      ...disclosuresOf(range, { ...policy, recordings: options.recordings ?? false }),
    ],
    mapping: mappingOf(shown, options.controls, isWithheld),
    imports: (options.imports ?? []).map(readImport),
    keys: keysOf(trust, records, closing.size),
    anchors: await chooseAnchors(ledger, records, { size: checkpoint.size, openingSize, closing }),
    ledger: {
      verdict: verification.verdict,
      integrity: verification.integrity.verdict,
      completeness: verification.completeness.verdict,
      size: verification.size,
      root: verification.root,
      findings: verification.findings.map(finding => `${finding.code}: ${finding.what}`),
      pinned: options.ledger.pin !== undefined,
      undetectable: verification.undetectable,
    },
  }
  const disclosed = disclose(material)
  const derived = await derive(material, disclosed)
  const recordings = included(disclosed.entries)
  const open = opener(options.ledger, ledger, trust.origin, checkpoint.size)
  const anchor = (path: string) => ledger.anchor(path)
  const listed = [...(await listRecordings(recordings, open)), ...(await listAnchors(material.anchors, anchor))]
  requireVerifiable(listed)
  const files = new Map([...writeMaterial(material), ...derived.files])
  files.set(certificateCopy, trust.seal.certificate)
  const manifest = manifestOf(material, derived.views, trust.seal.fingerprint, byPath([...listFiles(files), ...listed]))
  files.set(manifestFile, formatManifest(manifest))
  const sums = formatSums([...manifest.files, { path: manifestFile, sha256: sha256(files.get(manifestFile)!) }])
  files.set(sumsFile, sums)
  const signature = await options.sign(Buffer.from(sums))
  requireArmor(signature)
  files.set(signatureFile, signature)
  requireVerifiable([...files].map(([path, content]) => ({ path, bytes: Buffer.byteLength(content) })))
  await write(options.out, files)
  await writeRecordings(options.out, recordings, open)
  await writeAnchors(options.out, material.anchors, anchor)
  const results = derived.runs.map(run => run.result)
  const { reconciliations, begins } = derived
  const exceptions = [...results, ...reconciliations].some(({ word }) => word === 'exceptions-noted')
  const count = files.size + listed.length
  return { directory: options.out, files, count, manifest, results, reconciliations, verification, begins, exceptions }
}

/** Of a name that was mistyped, all would be what came by another way. @throws Misuse ERR_OPTION_INVALID */
function requireTargets({ imports = [], targets }: BundleOptions, records: readonly LedgerRecord[]): void {
  if (targets === undefined || imports.length === 0) return
  const known = new Set(targets)
  for (const { entry } of records) if (entry.kind === 'decision') known.add(entry.target)
  const unknown = imports.find(({ target }) => !known.has(target))?.target
  if (unknown === undefined) return
  throw new Misuse('ERR_OPTION_INVALID', `no listener ${unknown}; there are: ${[...known].sort().join(', ')}`)
}

/** Date.parse makes the 2nd of March of a 30th of February. */
const isDay = (text: string): boolean => {
  const at = Date.parse(text)
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text)
}

function scopeOf(options: BundleOptions): Omit<Scope, 'withheld'> {
  const time = (name: string, text: string) => {
    const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
    if (Number.isNaN(at) || !isDay(text.slice(0, 10)))
      throw new Misuse('ERR_OPTION_INVALID', `${name} is no date or RFC 3339 time`)
    return new Date(at).toISOString()
  }
  const period = { from: time('from', options.from), to: time('to', options.to) }
  if (period.from >= period.to) throw new Misuse('ERR_OPTION_INVALID', 'the period ends before it begins')
  const { organisation, samples = 5 } = options
  if (!/^[\x20-\x7e]{1,200}$/.test(organisation))
    throw new Misuse('ERR_OPTION_INVALID', 'the organisation is printable ASCII')
  if (!Number.isSafeInteger(samples) || samples < 0) throw new Misuse('ERR_OPTION_INVALID', 'samples is a count')
  const identified = options.ledger.wrappingKey !== undefined && options.ledger.depth !== 'envelopes'
  if (!identified && (options.identities === 'identified' || options.withhold !== undefined))
    throw new Misuse('ERR_OPTION_INVALID', "names are opened with the vault's key")
  if (options.recordings && !identified)
    throw new Misuse('ERR_OPTION_INVALID', "recordings are opened with the vault's key")
  if (options.recordings && options.identities === 'pseudonyms')
    throw new Misuse('ERR_OPTION_INVALID', 'recordings may name people: with pseudonyms they stay out')
  return {
    organisation,
    engagement: options.engagement ?? `${organisation} ${period.from} ${period.to}`,
    period,
    part: options.part,
    asOf: new Date(options.asOf ?? Date.now()).toISOString(),
    demo: options.demo ?? false,
    software: options.software ?? 'counterfoil',
    identities: options.identities ?? (identified ? 'identified' : 'pseudonyms'),
    actions: identified ? (options.actions ?? 'approved') : 'none',
    samples,
  }
}

/** Nothing where one key has spoken all the time: the bundle is then as it always was. */
function keysOf(
  { spans, certificates }: Trust,
  records: readonly LedgerRecord[],
  size: number,
): KeyMaterial | undefined {
  if (spans.length === 1) return undefined
  return {
    certificates: Object.fromEntries(
      [...certificates].map(([fingerprint, { certificate }]) => [fingerprint, certificate]),
    ),
    later: records.filter(({ index, entry }) => index >= size && isKeyEntry(entry)),
  }
}

function opener(
  { wrappingKey }: VerifyOptions,
  files: Parameters<typeof readAttachment>[0],
  origin: string,
  size: number,
): Open {
  // Without the key no salt is disclosed, and nothing is opened.
  const vault = wrappingKey === undefined ? undefined : new Vault(files, wrappingKey, origin, size)
  return recording => readAttachment(files, vault!, origin, recording)
}

function disclosuresOf(
  records: readonly LedgerRecord[],
  policy: DisclosurePolicy & { readonly isWithheld: IsWithheld },
) {
  return records.flatMap(record => {
    const { index, entry, opened } = record
    const names = Object.keys(opened.encoded).sort()
    const shown = names.filter(name => isShown(entry, name, policy) && !policy.isWithheld(record, name))
    return shown.map(name => ({ index, encoded: opened.encoded[name]! }))
  })
}

type IsWithheld = (record: LedgerRecord, name: string) => boolean

function mappingOf(
  records: readonly LedgerRecord[],
  controls: BundleOptions['controls'],
  isWithheld: IsWithheld,
): Mapping {
  const versions: ControlVersion[] = []
  const unreadable: string[] = []
  const seen = new Set<string>()
  for (const record of records) {
    const { entry, opened } = record
    if (entry.kind !== 'policy' || seen.has(entry.digest)) continue
    seen.add(entry.digest)
    const text = isWithheld(record, 'controls') ? undefined : opened.values.controls
    if (typeof controls !== 'function') versions.push({ policy: entry.digest, controls })
    else if (typeof text === 'string') versions.push({ policy: entry.digest, controls: controls(text) })
    else unreadable.push(entry.digest)
  }
  if (versions.some(version => !version.controls.every(isControl))) {
    throw new Misuse(
      'ERR_OPTION_INVALID',
      'a control that cannot be tested: ids are letters, digits, dots, dashes and underscores',
    )
  }
  return { versions, unreadable }
}

async function requireEmpty(out: string): Promise<void> {
  let names: string[] = []
  try {
    names = await readdir(out)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new Misuse('ERR_OPTION_INVALID', 'the place for the bundle cannot be used', {}, error)
  }
  if (names.length > 0) throw new Misuse('ERR_OPTION_INVALID', 'the place for the bundle is not empty')
}

async function write(out: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [path, content] of files) {
    const file = join(out, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content, { flag: 'wx', mode: 0o644 })
  }
}
