/** Results as psql 15 prints them by default (aligned, border 1): widths, numbers to the right, cells of several lines, tags, errors. */
import type { Said } from '../../adapters/pg/transcript.ts'
import { padEnd, padStart, widthOf } from '../width.ts'

export interface PrintedTable {
  readonly columns: readonly string[]
  /** Which of them are aligned to the right. */
  readonly right: readonly boolean[]
  readonly rows: readonly (readonly (string | null)[])[]
}

/** @returns lines, without the footer; NULL is shown as nothing, as psql does */
export function tableLines({ columns, right, rows }: PrintedTable): string[] {
  if (columns.length === 0) return ['--']
  const heads = columns.map(cellLines)
  const cells = rows.map(row => columns.map((_, i) => cellLines(row[i] ?? '')))
  const widths = columns.map((_, i) => {
    const lines = [heads[i]!, ...cells.map(row => row[i]!)].flat()
    return lines.reduce((most, line) => Math.max(most, widthOf(line)), 0)
  })
  return [
    ...rowLines(heads, widths, (text, i) => centred(text, widths[i]!), true),
    widths.map(width => '-'.repeat(width + 2)).join('+'),
    ...cells.flatMap(row =>
      rowLines(row, widths, (text, i, isLast) => {
        if (right[i]) return padStart(text, widths[i]!)
        // The last column is filled up only where a mark follows it.
        return isLast ? text : padEnd(text, widths[i]!)
      }),
    ),
  ]
}

type Fill = (text: string, column: number, isLast: boolean) => string

/** A row of cells of several lines: `+` behind each line that its cell goes on after. */
function rowLines(cells: readonly (readonly string[])[], widths: readonly number[], fill: Fill, isHead = false) {
  const height = Math.max(...cells.map(lines => lines.length))
  return Array.from({ length: height }, (_, n) =>
    cells
      .map((lines, i) => {
        const goesOn = n + 1 < lines.length
        const isLast = i === cells.length - 1 && !isHead && !goesOn
        const text = n < lines.length ? fill(lines[n]!, i, isLast) : isLast ? '' : ' '.repeat(widths[i]!)
        return ` ${text}${goesOn ? '+' : isLast ? '' : ' '}`
      })
      .join('|'),
  )
}

function centred(text: string, width: number): string {
  const left = Math.floor((width - widthOf(text)) / 2)
  return padEnd(' '.repeat(left) + text, width)
}

/** As psql's pg_wcsformat: tabs are expanded, other control characters shown; those that format, which psql lets act, are shown too. */
function cellLines(text: string): string[] {
  return text.split('\n').map(line => {
    let shown = ''
    for (const character of line) {
      const code = character.codePointAt(0)!
      if (character === '\r') shown += '\\r'
      else if (character === '\t') shown += ' '.repeat(8 - (widthOf(shown) % 8))
      else if (code < 0x20 || code === 0x7f) shown += `\\x${hex(code, 2)}`
      else if (/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(character)) shown += `\\u${hex(code, 4)}`
      else shown += character
    }
    return shown
  })
}

const hex = (code: number, digits: number) => code.toString(16).toUpperCase().padStart(digits, '0')

export const footer = (rows: number): string => `(${rows} ${rows === 1 ? 'row' : 'rows'})`

/** Below rows psql tells the tag of a change that returned them, and of nothing else. */
export const isToldTag = (tag: string, hasRows: boolean): boolean =>
  !hasRows || /^(INSERT|UPDATE|DELETE|MERGE) /.test(tag)

/** Beyond as many columns psql cuts the line that it quotes; here it is left out. */
const widestQuoted = 60

/** @param statement what was sent, where it is known: a place in it is shown */
export function saidLines({ severity, text, detail, hint, context, position }: Said, statement?: string): string[] {
  const lines = [`${severity}:  ${text}`]
  if (position !== undefined && statement !== undefined) lines.push(...pointed(statement, position))
  if (detail !== undefined) lines.push(`DETAIL:  ${detail}`)
  if (hint !== undefined) lines.push(`HINT:  ${hint}`)
  // SHOW_CONTEXT is `errors`.
  if (context !== undefined && ['ERROR', 'FATAL', 'PANIC'].includes(severity)) lines.push(`CONTEXT:  ${context}`)
  return lines.flatMap(line => line.split('\n'))
}

function pointed(statement: string, position: number): string[] {
  const before = [...statement].slice(0, position - 1).join('')
  const number = before.split('\n').length
  const line = statement.split('\n')[number - 1]?.replaceAll('\t', ' ') ?? ''
  if (widthOf(line) > widestQuoted) return []
  const mark = `LINE ${number}: `
  return [`${mark}${line}`, `${' '.repeat(mark.length + widthOf(before.split('\n').at(-1)!))}^`]
}
