/** What every page of the report is made of: a head that lets nothing in from outside, tables, links, and cells that stay short. */
import type { Cell, Row } from '../view-columns.ts'
import { type Html, html } from './html.ts'
import { style } from './style.ts'

/** @param title of the window. @returns a whole page: no script, no network, nothing but what is in it */
export const page = (title: string, body: Html): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`.html

export const day = (time: string): string => time.slice(0, 10)
/** To the second, for people; the milliseconds are in the files. */
export const moment = (time: string): string => time.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')

export const link = (href: string, text: string | number): Html => html`<a href="${href}">${text}</a>`
/** A number that is the count of the rows it leads to: those of a table's body, of a CSV, or of a JSONL file. */
export const count = (href: string, rows: number): Html => html`<a class="count" href="${href}">${rows}</a>`

export interface Column {
  readonly name: string
  /** A number, right-aligned. */
  readonly numeric?: boolean
}

/** A table that scrolls within the page where it is too wide, also by keyboard. The first cell of a row is its heading. */
export function table(
  { id, label, columns }: { id?: string; label: string; columns: readonly Column[] },
  rows: readonly (readonly (Html | string | number | undefined)[])[],
): Html {
  const head = columns.map(({ name, numeric }) => html`<th scope="col"${flag(numeric, ' class="n"')}>${name}</th>`)
  const body = rows.map(
    cells => html`<tr>${cells.map((cell, i) =>
      i === 0
        ? html`<th scope="row"${flag(columns[0]?.numeric, ' class="n"')}>${cell}</th>`
        : html`<td${flag(columns[i]?.numeric, ' class="n"')}>${cell}</td>`,
    )}</tr>
`,
  )
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${label}"><table${id === undefined ? '' : html` id="${id}"`}><thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody></table></div>`
}

const flag = (on: boolean | undefined, text: string): Html => ({ html: on === true ? text : '' })

export const facts = (rows: readonly (readonly [name: string, value: Html | string | number])[]): Html =>
  html`<table class="facts"><tbody>
${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>\n`)}</tbody></table>`

const longest = 160

/** A cell's text; what is long is folded behind its beginning. */
export function folded(text: string): Html {
  if (text.length <= longest) return html`${text}`
  return html`<details><summary>${text.slice(0, longest / 2)}…</summary>${text}</details>`
}

/** Text of several lines, each escaped. */
export const lines = (text: string): Html => html`<pre>${text.split('\n').map(line => html`${line}\n`)}</pre>`

export const textOf = (cell: Cell | undefined): string =>
  cell === null || cell === undefined ? '' : Array.isArray(cell) ? cell.join(', ') : String(cell)

/** Who acted, as far as a row says it. */
export function who(row: Row): string {
  const name = (member: string) => textOf(row[`${member}_name`] ?? row[member])
  return row.principal === null || row.principal === undefined
    ? name('subject')
    : `${name('subject')} for ${name('principal')}`
}

/** What was done, to what; or what a grant is for. */
export function what(row: Row): string {
  const list = (cell: Cell | undefined) => (Array.isArray(cell) ? (cell as readonly string[]) : [])
  const [actions, resources] = [list(row.actions), list(row.resources)]
  if (resources.length === 0) return [actions.join(', '), textOf(row.resource)].filter(part => part !== '').join(' ')
  return [...new Set(resources.map((resource, i) => `${actions[i] ?? ''} ${resource}`.trim()))].join(', ')
}
