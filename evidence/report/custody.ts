/** The section on what was erased and disposed of, held back from it, and refused to whoever tried. */
import type { Row } from '../view-columns.ts'
import type { Views } from '../views.ts'
import { type Html, html } from './html.ts'
import { custodyOf, mostCustody } from './listing.ts'
import { count, folded, link, moment, table, textOf } from './page.ts'
import { entryLink } from './rows.ts'

type Has = (index: number) => boolean
type Tell = (row: Row, has: Has) => Html | string

interface Part {
  readonly label: string
  readonly file: string
  readonly none: string
  readonly columns: readonly (readonly [name: string, tell: Tell, numeric?: true])[]
}

const text =
  (...members: readonly string[]): Tell =>
  row =>
    folded(members.map(member => textOf(row[member])).find(found => found !== '') ?? '')
const time =
  (member: string, again?: string): Tell =>
  row => {
    if (row[member] === null) return html`–`
    const at = moment(textOf(row[member]))
    // It was so before that: in an earlier ledger, when exactly.
    return again !== undefined && row[again] === true ? html`before ${at}` : at
  }
const entry =
  (member: string): Tell =>
  (row, has) =>
    entryLink({ index: row[member] ?? null }, has)
/** Whom or what it is about: by name where it is disclosed, else by the id that entries have. */
const about: Tell = row => {
  if (row.scope === 'ledger') return 'the whole ledger'
  return html`${textOf(row.scope)}<br>${text('of_name', 'of_id')(row, () => false)}`
}

// Table: what is shown of each.
// biome-ignore format: a table
const parts: Readonly<Record<'erasures' | 'disposals' | 'holds' | 'attempts', Part>> = {
  erasures: {
    label: 'Erasures', file: 'log/erasures.csv', none: 'Nothing was erased.',
    columns: [
      ['Entry', entry('index'), true], ['Time', time('time')], ['Of', about], ['Ground', text('ground')], ['Basis', text('basis')],
      ['Asked for by', text('erased_by_name', 'erased_by')], ['Approved by', text('approver_names')], ['Keys destroyed', text('slots'), true],
    ],
  },
  disposals: {
    label: 'Disposals', file: 'log/disposals.csv', none: 'No earlier ledger was disposed of.',
    columns: [
      ['Entry', entry('index'), true], ['Time', time('time')], ['Ledger', text('ledger')], ['Entries', text('size'), true],
      ['Ground', text('ground')], ['Basis', text('basis')], ['Asked for by', text('disposed_by_name', 'disposed_by')], ['Approved by', text('approver_names')],
    ],
  },
  holds: {
    label: 'Holds', file: 'log/holds.csv', none: 'Nothing was held back from erasure.',
    columns: [
      ['Entry', entry('placed_index'), true], ['Placed', time('placed_at', 'placed_again')], ['Of', about], ['By', text('placed_by_name', 'placed_by')],
      ['Reason', text('reason')], ['Released', time('released_at', 'released_again')], ['By', text('released_by_name', 'released_by')],
      ['Reason', text('released_reason')], ['Entry', entry('released_index'), true],
    ],
  },
  attempts: {
    label: 'Refused attempts', file: 'log/attempts.csv', none: 'No attempt to approve, deny, revoke, erase or hold was refused.',
    columns: [
      ['Entry', entry('index'), true], ['Time', time('time')], ['Who', text('subject_name', 'subject')], ['Tried to', text('verb')],
      ['What', text('of_id')], ['Refused with', text('code')], ['Because', text('why')], ['Hold in the way', text('hold')],
    ],
  },
}

/** @param has whether an entry has a page */
export function custody(views: Views, has: Has): Html {
  const found = custodyOf(views)
  const shown = (['erasures', 'disposals', 'holds', 'attempts'] as const).map(name =>
    part(parts[name], found[name], has),
  )
  return html`${shown}<p><small>Of the period. A name that was erased stands as ERASED, with the number of the entry that says so.</small></p>`
}

function part({ label, file, none, columns }: Part, rows: readonly Row[], has: Has): Html {
  if (rows.length === 0) return html`<h3>${label}</h3>\n<p>${none}</p>\n`
  const cells = rows.slice(0, mostCustody).map(row => columns.map(([, tell]) => tell(row, has)))
  const shown = columns.map(([name, , numeric]) => ({ name, numeric: numeric === true }))
  const more = rows.length > mostCustody ? html`; ${mostCustody} of them are shown` : html``
  return html`<h3>${label}</h3>
${table({ label, columns: shown }, cells)}
<p>${count(`../${file}`, rows.length)} in ${link(`../${file}`, file)}${more}.</p>
`
}
