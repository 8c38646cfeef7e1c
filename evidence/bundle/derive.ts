/**
 * Everything in a bundle that follows from its material: views, populations, results, samples, proofs, statements, report. Building
 * and verifying call the same function, so a result that cannot be derived again is none.
 */
import { formatTlogProof, parseCheckpoint } from '../../lib/format/checkpoint.ts'
import type { Entry, EntryOf } from '../../lib/format/entry.ts'
import { inclusionProof } from '../../lib/format/merkle.ts'
import { counted } from '../../lib/format/words.ts'
import { runControlTests, type TestRun } from '../control-test.ts'
import { criteria } from '../criteria.ts'
import { toCsv } from '../csv.ts'
import { requirementRows } from '../mapping.ts'
import { bypassColumns, type Reconciliation, reconcile } from '../reconcile.ts'
import { included, recordingColumns, recordingRows, summaryOf } from '../recorded.ts'
import { reportFiles } from '../report/files.ts'
import { citations, custodyOf, type Drawn, entryOf, listingsOf, operationsOf, refusedOf } from '../report/listing.ts'
import { views as columnsOf, openSql, type Row, toNdjson, type ViewName, viewNames } from '../view-columns.ts'
import { type Disclosed, deriveViews, type Period, type Views } from '../views.ts'
import { cosignatureScript, newestOf, verifyCosignature } from './anchor-texts.ts'
import { anchorColumns, anchorRows } from './anchors.ts'
import { type ListedFile, type Manifest, sha256 } from './manifest.ts'
import { disclose, type Material, paths, primaryPathsOf } from './material.ts'
import { rangeReader } from './range.ts'
import { readme } from './readme.ts'
import { byTime, select } from './sample.ts'
import { statements, verifyInclusion, verifyText } from './texts.ts'

export interface Derived {
  readonly files: ReadonlyMap<string, string>
  readonly runs: readonly TestRun[]
  readonly reconciliations: readonly Reconciliation[]
  readonly views: Views
  /** That the ledger is younger than the period, and what it follows, in words; undefined where it is not. */
  readonly begins: string | undefined
}

/** @throws LedgerError where the material contradicts itself, Misuse ERR_PACKAGE_MISSING without DuckDB */
export async function derive(material: Material, disclosed = disclose(material)): Promise<Derived> {
  const { scope, mapping } = material
  const { before, entries } = disclosed
  const checkpoints = checkpointRows(material)
  const views = deriveViews({
    before,
    entries,
    period: scope.period,
    checkpoints,
    requirements: requirementRows(mapping),
  })
  const runs = await runControlTests(views, mapping, scope.period)
  const reconciliations = material.imports.map(source => reconcile(source, views, scope.period))
  const files = new Map<string, string>()
  for (const name of viewNames) files.set(`views/${name}.jsonl`, toNdjson(columnsOf[name], views[name]))
  files.set('views/open.sql', openSql('views'))
  files.set('recordings/index.csv', toCsv(recordingColumns, recordingRows(views, material.openingSize)))
  const anchors = anchorRows(material.anchors, entries)
  files.set('anchors/index.csv', toCsv(anchorColumns, anchors))
  files.set('log/operations.csv', csvOf('operations', operationsOf(views)))
  files.set('log/refused.csv', csvOf('operations', refusedOf(views)))
  const { erasures, disposals, holds, attempts } = custodyOf(views)
  files.set('log/erasures.csv', csvOf('erasures', erasures))
  files.set('log/disposals.csv', csvOf('disposals', disposals))
  files.set('log/holds.csv', csvOf('holds', holds))
  files.set('log/attempts.csv', csvOf('attempts', attempts))
  files.set('log/heartbeats.csv', csvOf('heartbeats', views.heartbeats))
  files.set('log/gaps.csv', csvOf('gaps', views.gaps))
  const opened = firstOf('opened', before, entries)
  const [noteKey, fingerprint] = keysAt(opened, before, entries, material.keys?.later ?? [])
  if (noteKey !== undefined) files.set('log/note.key', `${noteKey}\n`)
  const drawn = writeTests(files, material, runs)
  const listings = listingsOf(runs, drawn)
  writeReconciliations(files, reconciliations)
  await writeProofs(files, material, proved(runs, drawn, citations(listings, views)))
  writeConfiguration(files, [...before, ...entries])
  const criteriaRows = criteria.map((criterion): Row => ({ ...criterion }))
  files.set('mapping/criteria.csv', toCsv(['id', 'paraphrase', 'strength', 'evidence'], criteriaRows))
  const times = entries.map(one => one.entry.time).sort()
  const begins = opened === undefined ? undefined : beginsLate(opened.time, scope.period)
  const follows = followsIn(firstOf('continued', before, entries), views)
  const provisional = scope.period.to > scope.asOf
  const shown = {
    material,
    runs,
    listings,
    reconciliations,
    views,
    origin: parseCheckpoint(Buffer.from(material.closing)).origin,
    fingerprint: fingerprint ?? '',
    stamps: stampsOf(material),
    anchors,
    coverage: { first: times[0] ?? '-', last: times.at(-1) ?? '-', provisional, begins, follows },
  }
  for (const [path, text] of statements(shown)) files.set(path, text)
  for (const [path, text] of reportFiles(shown, disclosed)) files.set(path, text)
  files.set('VERIFY.txt', verifyText(shown, firstProved(files)))
  if (newestOf(material.anchors).cosigned !== undefined) files.set(cosignatureScript, verifyCosignature)
  files.set('verify-inclusion.sh', verifyInclusion)
  files.set(
    'README.html',
    readme(shown, [
      ...primaryPathsOf(material),
      ...files.keys(),
      ...included(entries).map(({ file }) => file),
      ...material.anchors.files.map(({ path }) => path),
    ]),
  )
  const young = begins === undefined || follows === undefined ? begins : `${begins}; ${follows}`
  return { files, runs, reconciliations, views, begins: young }
}

const firstOf = <K extends Entry['kind']>(kind: K, ...all: readonly (readonly Disclosed[])[]) =>
  all.flat().find(({ entry }) => entry.kind === kind)?.entry as EntryOf<K> | undefined

/** The note key that signs the closing checkpoint, and the OpenPGP key that signs the bundle: the one that speaks when it is made. */
function keysAt(
  opened: EntryOf<'opened'> | undefined,
  before: readonly { readonly entry: Entry }[],
  entries: readonly { readonly entry: Entry }[],
  later: readonly { readonly entry: Entry }[],
): [note: string | undefined, seal: string | undefined] {
  const last = (key: 'note' | 'seal', all: readonly { readonly entry: Entry }[]) =>
    all.flatMap(({ entry }) => (entry.kind === 'key-rotated' && entry.key === key ? [entry.new] : [])).at(-1)
  const within = [...before, ...entries]
  return [last('note', within) ?? opened?.noteKey, last('seal', [...within, ...later]) ?? opened?.sealKey]
}

/** The lowest index of which there is a proof. */
function firstProved(files: ReadonlyMap<string, string>): number | undefined {
  const indices = [...files.keys()].flatMap(path => /^proofs\/(\d+)\./.exec(path)?.[1] ?? []).map(Number)
  return indices.length === 0 ? undefined : indices.reduce((a, b) => Math.min(a, b))
}

/** What the ledger says of the one that it follows, in words, and of those that are gone; undefined where it follows none. */
function followsIn(continued: EntryOf<'continued'> | undefined, { disposals }: Views): string | undefined {
  if (continued === undefined) return undefined
  const gone = disposals.find(row => row.ledger === continued.of)
  const what = `the ledger follows ${continued.of}, at ${counted(continued.size, 'entry')}`
  if (gone === undefined) return `${what}: what that recorded is not here, but what was still in force`
  return `${what}, which was disposed of (entry ${gone.index}): what that recorded is gone, but what was still in force, and its last checkpoint`
}

function beginsLate(began: string, { from, to }: Period): string | undefined {
  if (began <= from) return undefined
  return `the ledger begins on ${began.slice(0, 10)}, after ${began >= to ? '' : 'the beginning of '}this period`
}

export const stampsOf = ({ scope }: Material): ('DEMO' | 'PROVISIONAL')[] => [
  ...(scope.demo ? (['DEMO'] as const) : []),
  ...(scope.period.to > scope.asOf ? (['PROVISIONAL'] as const) : []),
]

/** @param views as derived. @param fingerprint of the key that signs. @param files all but the manifest, its sums and their signature */
export function manifestOf(
  material: Material,
  views: Views,
  fingerprint: string,
  files: readonly ListedFile[],
): Manifest {
  const { scope, opening, openingSize, closing } = material
  const { origin, size, root } = parseCheckpoint(Buffer.from(closing))
  const head = (note: string | undefined) => {
    const at = note === undefined ? undefined : parseCheckpoint(Buffer.from(note))
    return { size: at?.size ?? 0, root: at === undefined ? '' : Buffer.from(at.root).toString('base64') }
  }
  return {
    format: 1,
    organisation: scope.organisation,
    engagement: scope.engagement,
    period: scope.period,
    ...(scope.part === undefined ? {} : { part: scope.part }),
    asOf: scope.asOf,
    stamps: stampsOf(material),
    software: scope.software,
    identities: scope.identities,
    actions: scope.actions,
    withheld: scope.withheld,
    samples: scope.samples,
    ledger: {
      origin,
      fingerprint,
      opening: head(opening),
      closing: { size, root: Buffer.from(root).toString('base64') },
    },
    recordings: summaryOf(views, openingSize),
    mapping: files.find(({ path }) => path === paths.mapping)!.sha256,
    files,
  }
}

const csvOf = (name: ViewName, rows: readonly Row[]) =>
  toCsv(
    columnsOf[name].map(([column]) => column),
    rows,
  )

function checkpointRows({ opening, closing }: Material): Row[] {
  const row = (note: string, role: string): Row => {
    const { size, root } = parseCheckpoint(Buffer.from(note))
    return { size, root: Buffer.from(root).toString('base64'), role }
  }
  return [...(opening === undefined ? [] : [row(opening, 'opening')]), row(closing, 'closing')]
}

/** Populations, samples and results. @returns each population by time, and what was drawn from it */
function writeTests(
  files: Map<string, string>,
  { scope, openingSize, envelopes }: Material,
  runs: readonly TestRun[],
): Map<string, Drawn> {
  const drawn = new Map<string, Drawn>()
  const selections: Record<string, unknown> = {}
  const exceptions: Row[] = []
  const exceptionColumns = ['control', 'test', 'index', 'exchange', 'time', 'subject', 'reasons']
  for (const { result, sql, population, exceptions: failed } of runs) {
    const name = `${result.control}.${result.test}`
    for (const row of failed.rows) exceptions.push({ ...row, control: result.control, test: result.test })
    if (sql === undefined) continue
    files.set(`populations/${name}.sql`, `${sql.population}\n`)
    files.set(`results/${name}.sql`, `${sql.exceptions}\n`)
    if (sql.unable !== undefined) files.set(`results/${name}.unable.sql`, `${sql.unable}\n`)
    const ordered = byTime(population.rows)
    const csv = toCsv(population.columns, ordered)
    files.set(`populations/${name}.csv`, csv)
    const meta = {
      query: { file: `populations/${name}.sql`, sha256: sha256(`${sql.population}\n`) },
      parameters: { period: scope.period },
      run: { asOf: scope.asOf, software: scope.software },
      rows: population.rows.length,
      sha256: sha256(csv),
      entries: { from: openingSize, before: openingSize + envelopes.length },
    }
    files.set(`populations/${name}.meta.json`, pretty(meta))
    const selection = select(scope.engagement, name, csv, ordered.length, scope.samples)
    const chosen = selection.positions.map(position => ordered[position]!)
    files.set(`samples/${name}.csv`, toCsv(population.columns, chosen))
    selections[name] = selection
    drawn.set(name, { ordered, chosen })
  }
  files.set('samples/selection.json', pretty(selections))
  for (const control of new Set(runs.map(run => run.result.control))) {
    files.set(
      `results/${control}.json`,
      pretty(runs.map(run => run.result).filter(result => result.control === control)),
    )
  }
  const rows = runs.map(({ result }): Row => {
    const { unable, ...rest } = result
    return { ...rest, why: result.why ?? null, unable: unable.map(({ from, to, why }) => `${from} to ${to}: ${why}`) }
  })
  files.set(
    'results/results.csv',
    toCsv(['control', 'test', 'word', 'population', 'exceptions', 'why', 'unable'], rows),
  )
  files.set('results/exceptions.csv', toCsv(exceptionColumns, exceptions))
  return drawn
}

/**
 * Entries whose proofs are written: those that samples and exceptions cite, however many, and those of the rows that the report shows.
 */
function proved(
  runs: readonly TestRun[],
  drawn: ReadonlyMap<string, Drawn>,
  cited: ReadonlyMap<number, unknown>,
): ReadonlySet<number> {
  const rows = [...runs.flatMap(run => run.exceptions.rows), ...[...drawn.values()].flatMap(({ chosen }) => chosen)]
  return new Set([...rows.map(entryOf).filter(index => index !== undefined), ...cited.keys()])
}

function writeReconciliations(files: Map<string, string>, reconciliations: readonly Reconciliation[]): void {
  if (reconciliations.length === 0) return
  files.set('results/reconciliation.json', pretty(reconciliations.map(({ bypasses: _, ...counts }) => counts)))
  files.set(
    'results/bypasses.csv',
    toCsv(
      bypassColumns,
      reconciliations.flatMap(one => one.bypasses),
    ),
  )
}

async function writeProofs(files: Map<string, string>, material: Material, cited: ReadonlySet<number>): Promise<void> {
  const { openingSize, frontier, envelopes, closing } = material
  const size = openingSize + envelopes.length
  const read = rangeReader(openingSize, frontier, envelopes)
  for (const index of [...cited].sort((a, b) => a - b)) {
    if (index < openingSize || index >= size) continue
    const hashes = await inclusionProof(index, size, read)
    files.set(`proofs/${index}.tlog-proof`, formatTlogProof({ index, hashes, checkpoint: closing }))
  }
}

/** The policy at the opening, every change of it, and the texts as far as they are disclosed. */
function writeConfiguration(files: Map<string, string>, entries: readonly Disclosed[]): void {
  const columns = ['index', 'time', 'digest', 'model', 'rules', 'controls', 'changed_by', 'texts']
  const rows: Row[] = []
  for (const { index, entry, values } of entries) {
    if (entry.kind !== 'policy') continue
    const texts = ['model', 'rules', 'controls'].filter(name => typeof values[name] === 'string')
    for (const name of texts) files.set(`config/${index}.${name}.txt`, values[name] as string)
    const { time, digest, model, rules, controls } = entry
    rows.push({ index, time, digest, model, rules, controls, changed_by: entry.by ?? null, texts })
  }
  files.set('config/changes.csv', toCsv(columns, rows))
}

const pretty = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`
