/** The pages of rows: for each test its exceptions, its sample and, where it is small, its population, each row linked to its entry. */
import type { Reconciliation } from '../reconcile.ts'
import type { Row } from '../view-columns.ts'
import { type Html, html, sentence } from './html.ts'
import { entryOf, type Listing } from './listing.ts'
import { type Column, facts, folded, link, moment, page, table, textOf, what, who } from './page.ts'

export const rowsFile = (name: string): string => `rows/${name}.html`

// What is shown of a row beside its entry, time, who and what, where it has it.
// biome-ignore format: a table
const details: readonly [column: string, shown: string, numeric?: true][] = [
  ['grant_id',       'Grant'],
  ['approval_id',    'Approval'],
  ['approver_name',  'Approver'],
  ['reason',         'Reason'],
  ['ended_by',       'Ended'],
  ['latency_ms',     'Latest end, ms after', true],
  ['verdict',        'Verdict'],
  ['code',           'Code'],
  ['method',         'Identified by'],
  ['result',         'Result'],
  ['items',          'Items', true],
  ['bytes',          'Bytes shown', true],
  ['recorded_bytes', 'Bytes recorded', true],
  ['masked',         'Masked'],
  ['writer',         'Writer'],
  ['kind',           'Sign of life'],
]

/** @param has whether an entry has a page */
export function rowsPage(
  { name, run, population, exceptions, sample }: Listing,
  has: (index: number) => boolean,
): string {
  const { result } = run
  const show = (id: string, label: string, rows: readonly Row[]) => rowTable(id, label, rows, run.population.rows, has)
  const more = run.exceptions.rows.length - exceptions.length
  return page(
    `${name}: rows`,
    html`<p>${link('../report.html', 'The report')} › ${link(`../report.html#control-${result.control}`, result.control)}</p>
<h1>${result.control}: ${result.test}</h1>
<p class="lead">${result.title}.</p>
${facts([
  ['Result', html`<span class="word ${result.word}">${result.word}</span>`],
  [
    'Population',
    html`${result.population}: ${link(`../../populations/${name}.csv`, 'rows, all columns')}, ${link(`../../populations/${name}.sql`, 'query')}, ${link(`../../populations/${name}.meta.json`, 'how it was retrieved')}`,
  ],
  ['Exceptions', html`${result.exceptions}: ${link(`../../results/${name}.sql`, 'query')}`],
  [
    'Sample',
    html`${sample.length}: ${link(`../../samples/${name}.csv`, 'rows, all columns')}, ${link('../../samples/selection.json', 'how it was drawn')}`,
  ],
])}
<h2 id="of-exceptions">Exceptions</h2>
${exceptions.length === 0 ? html`<p>The query for exceptions gave no row.</p>` : show('exceptions', 'Exceptions', exceptions)}
${more > 0 ? html`<p>${more} more are in ${link('../../results/exceptions.csv', 'results/exceptions.csv')}.</p>` : html``}
<h2 id="of-sample">Sample</h2>
${sample.length === 0 ? html`<p>There was nothing to draw from.</p>` : show('sample', 'Sample', sample)}
<h2 id="of-population">Population</h2>
${population === undefined ? html`<p>It is too large for a page: ${link(`../../populations/${name}.csv`, `populations/${name}.csv`)} has all of it.</p>` : population.length === 0 ? html`<p>The query for the population gave no row: this did not occur.</p>` : show('population', 'Population', population)}`,
  )
}

/** @param population where a row of exceptions finds who and what, which its own query need not repeat */
function rowTable(
  id: string,
  label: string,
  rows: readonly Row[],
  population: readonly Row[],
  has: (i: number) => boolean,
): Html {
  const wanted = new Set(rows.map(row => String(row.index)))
  const byEntry = new Map(population.flatMap(row => (wanted.has(String(row.index)) ? [[String(row.index), row]] : [])))
  const whole = rows.map(row => ({ ...byEntry.get(String(row.index)), ...dropNulls(row) }))
  const present = (column: string) => whole.some(row => textOf((row as Row)[column]) !== '')
  const shown = details.filter(([column]) => present(column))
  const told = (
    [
      ['Who', who],
      ['What', what],
    ] as const
  ).filter(([, tell]) => (whole as Row[]).some(row => tell(row) !== ''))
  const failed = rows.some(row => row.reasons !== undefined)
  const columns: Column[] = [
    { name: 'Entry', numeric: true },
    { name: 'Time' },
    ...(failed ? [{ name: 'Attributes that failed' }] : []),
    ...told.map(([name]) => ({ name })),
    ...shown.map(([, name, numeric]) => ({ name, numeric: numeric === true })),
  ]
  const cells = (whole as Row[]).map(row => [
    entryLink(row, has, '../'),
    moment(textOf(row.time)),
    ...(failed ? [html`<strong>${textOf(row.reasons)}</strong>`] : []),
    ...told.map(([, tell]) => folded(tell(row))),
    ...shown.map(([column]) => folded(textOf(row[column]))),
  ])
  return table({ id, label, columns }, cells)
}

const dropNulls = (row: Row): Row => Object.fromEntries(Object.entries(row).filter(([, cell]) => cell !== null))

/** @param up from the page to the report's folder */
export function entryLink(row: Row, has: (index: number) => boolean, up = ''): Html {
  const index = entryOf(row)
  if (index === undefined) return html`–`
  return has(index) ? link(`${up}entries/${index}.html`, index) : html`${index}`
}

export const bypassesFile = 'rows/second-sources.html'
const mostBypasses = 500

/** What came by another way than the gateway, as the servers' own logs name it: there is no entry of it, only a line. */
export function bypassesPage(reconciliations: readonly Reconciliation[]): string {
  const columns = ['Line of the log', 'Time', 'User', 'Application', 'Command'].map((name, i) => ({
    name,
    numeric: i === 0,
  }))
  const sections = reconciliations.map((one, i) => {
    const rows = one.bypasses.slice(0, mostBypasses)
    const cells = rows.map(row => [
      textOf(row.line),
      textOf(row.time),
      folded(textOf(row.user)),
      folded(textOf(row.application)),
      folded(textOf(row.tag)),
    ])
    return html`<h2 id="of-source-${i + 1}">${one.name}, the log of ${one.target}</h2>
${one.why === undefined ? '' : html`<p>${sentence(one.why)}</p>`}
${rows.length === 0 ? html`<p>Nothing came by another way.</p>` : table({ id: `source-${i + 1}`, label: `Statements of ${one.name}`, columns }, cells)}
${rows.length < one.bypasses.length ? html`<p>${one.bypasses.length - rows.length} more are in ${link('../../results/bypasses.csv', 'results/bypasses.csv')}.</p>` : ''}
`
  })
  return page(
    'What came by another way',
    html`<p>${link('../report.html', 'The report')} › ${link('../report.html#second', 'Second sources')}</p>
<h1>What came by another way</h1>
<p class="lead">Statements in the servers' own logs that did not come through the gateway. The ledger has no entry of them; what was kept of the logs is in
${link('../../imports/imports.json', 'imports/imports.json')}.</p>
${sections}`,
  )
}

export const bypassCount = ({ bypasses }: Reconciliation): boolean => bypasses.length <= mostBypasses
