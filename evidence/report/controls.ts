/**
 * A section for each control: what it promises, which criteria it claims and how strongly this product can show them, each test of it.
 */
import type { Control } from '../../lib/control.ts'
import type { TestRun } from '../control-test.ts'
import { criteria } from '../criteria.ts'
import { type Html, html } from './html.ts'
import type { Listing } from './listing.ts'
import { count, facts, link, table } from './page.ts'
import { rowsFile } from './rows.ts'

const mostIntervals = 10

export function controlSection(
  control: Control,
  versions: number,
  runs: readonly TestRun[],
  listings: readonly Listing[],
): Html {
  const columns = ['Test', 'Population', 'Exceptions', 'Sample', 'Result', 'Its queries']
  const rows = runs.map(run => {
    const { result, sql } = run
    const listing = listings.find(one => one.run === run)
    const name = `${result.control}.${result.test}`
    const queries = html`${link(`../populations/${name}.sql`, 'population')}, ${link(`../results/${name}.sql`, 'exceptions')}${sql?.unable === undefined ? '' : html`, ${link(`../results/${name}.unable.sql`, 'what cannot be told')}`}`
    return [
      html`<strong>${result.test}</strong><br><small>${result.title}</small>`,
      ...numbers(run, listing),
      html`<span class="word ${result.word}">${link(`../results/${result.control}.json`, result.word)}</span>${result.why === undefined ? '' : html`<br><small>${result.why}</small>`}`,
      sql === undefined ? '' : queries,
    ]
  })
  return html`<section class="control" aria-labelledby="control-${control.id}"><h3 id="control-${control.id}">${control.id}: ${control.title}</h3>
${facts([
  ['Promises', promise(control)],
  ['Owner', control.owner ?? 'none is named'],
  ['Criteria', html`${control.criteria.map((id, i) => html`${i === 0 ? '' : html`<br>`}${criterion(id)}`)}`],
  ...(versions > 1
    ? [
        [
          'Versions',
          html`${versions} in the ${link('../mapping/controls.json', 'mapping')}; this is the newest. Each operation is tested against the one in force.`,
        ] as const,
      ]
    : []),
])}
${table({ label: `Tests of ${control.id}`, columns: columns.map((name, i) => ({ name, numeric: i > 0 && i < 4 })) }, rows)}
${unable(runs)}</section>
`
}

/** Population, exceptions and sample, each linked to its rows where a page or file holds just those. */
export function numbers({ result, sql, exceptions }: TestRun, listing: Listing | undefined): Html[] {
  if (sql === undefined || listing === undefined)
    return [html`${result.population}`, html`${result.exceptions}`, html`–`]
  const file = rowsFile(listing.name)
  const to = (id: string, rows: number) => (rows === 0 ? link(`${file}#of-${id}`, 0) : count(`${file}#${id}`, rows))
  return [
    listing.population === undefined
      ? count(`../populations/${listing.name}.csv`, result.population)
      : to('population', result.population),
    listing.exceptions.length < exceptions.rows.length
      ? link(`${file}#of-exceptions`, result.exceptions)
      : to('exceptions', result.exceptions),
    to('sample', listing.sample.length),
  ]
}

function criterion(id: string): Html {
  const known = criteria.find(one => one.id === id)
  return known === undefined ? html`${id}` : html`${id} ${known.paraphrase} (${known.strength})`
}

function unable(runs: readonly TestRun[]): Html {
  const intervals = runs.flatMap(({ result }) => result.unable.map(({ from, to, why }) => `${from} to ${to}: ${why}`))
  const different = [...new Set(intervals)]
  if (different.length === 0) return html``
  const control = runs[0]!.result.control
  const more = different.length - mostIntervals
  return html`<p>Of these intervals nothing can be told:</p><ul>${different.slice(0, mostIntervals).map(text => html`<li>${text}</li>\n`)}</ul>
${more > 0 ? html`<p>${more} more are in ${link(`../results/${control}.json`, `results/${control}.json`)}.</p>` : ''}`
}

// By name: a declaration that was read back from a bundle has its members in another order.
const masks = (mask: NonNullable<Control['mask']>) =>
  Object.entries(mask)
    .map(([field, strategy]) => `${field} (${strategy})`)
    .sort()

const sequence = (items: readonly string[]) => items.join(', ')

/** What a control asks for, in words, from its declaration. */
function promise({ covers, require, mask, record, mode, effective }: Control): string {
  const { grant, approval } = require ?? {}
  const parts = [
    `For ${covers.actions === undefined ? 'whatever is done' : sequence(covers.actions)} on ${covers.resource}${covers.risk === undefined ? '' : `, of ${covers.risk} risk`}:`,
    ...(grant === undefined
      ? []
      : [
          `a live grant of at most ${duration(grant.longestMs)}${grant.reason ? ', with a reason' : ''}${grant.from === undefined ? '' : `, given by who holds ${grant.from}`};`,
        ]),
    ...(approval === undefined
      ? []
      : [
          `the approval of this exact action by ${approval.people === 1 ? 'another person' : `${approval.people} other people`}${approval.from === undefined ? '' : ` who hold${approval.people === 1 ? 's' : ''} ${approval.from}`};`,
        ]),
    ...(mask === undefined ? [] : [`masked: ${sequence(masks(mask))};`]),
    ...(record?.response === 'masked' ? ['what is shown is recorded, as it was shown;'] : []),
    ...(mode === 'enforce' ? [] : [`only observed until ${mode.observeUntil};`]),
    ...(effective === undefined ? [] : [`from ${effective.from} on;`]),
  ]
  if (parts.length === 1) return `${parts[0]!.slice(0, -1)}: recorded, and no more is asked for.`
  return `${parts.join(' ').slice(0, -1)}.`
}

function duration(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const
  const [unit, length] = units.find(([, size]) => ms % size === 0) ?? (['ms', 1] as const)
  return `${ms / length} ${unit}`
}
