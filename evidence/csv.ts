/**
 * CSV (RFC 4180) that a spreadsheet cannot be tricked by: statements in it were written by attackers. Reversible: a cell that opens
 * with = + - @ or ' gets a ' before it, control characters and backslashes are shown as escapes.
 */
import { LedgerError } from '../lib/errors.ts'
import type { Cell, Row } from './view-columns.ts'

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }
// C0, DEL, C1, and the characters that reorder, hide or join text on screen, those that Unicode adds later too.
const shownOnly = /[\\\p{Cc}\p{Default_Ignorable_Code_Point}\u2028\u2029]/gu

const unit = (text: string, at: number) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`

/** Control characters as escapes, backslashes doubled. */
export const visible = (text: string): string =>
  text.replaceAll(
    shownOnly,
    found => escapes[found] ?? [...Array(found.length).keys()].map(i => unit(found, i)).join(''),
  )

/** The inverse of `visible`. */
export const unescapeVisible = (text: string): string =>
  text.replaceAll(/\\(\\|n|r|t|u[0-9a-f]{4})/g, (_, code: string) => {
    if (code.length > 1) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return { n: '\n', r: '\r', t: '\t' }[code] ?? '\\'
  })

export function escapeCell(cell: Cell | undefined): string {
  if (cell === null || cell === undefined) return ''
  if (typeof cell === 'number' || typeof cell === 'boolean') return String(cell)
  const text = visible(typeof cell === 'string' ? cell : cell.join('; '))
  const safe = /^[=+\-@'\u0020]/.test(text) ? `'${text}` : text
  return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** What a cell's text was before it was escaped; of a list, its members joined. */
export const unescapeCell = (cell: string): string => unescapeVisible(cell.startsWith("'") ? cell.slice(1) : cell)

/** LF, a header, one row a line. */
export function toCsv(columns: readonly string[], rows: readonly Row[]): string {
  const lines = rows.map(row => columns.map(column => escapeCell(row[column])).join(','))
  return `${[columns.map(column => escapeCell(column)).join(','), ...lines].join('\n')}\n`
}

export interface CsvRecord {
  readonly cells: readonly string[]
  /** The line it starts on, from 1. */
  readonly line: number
}

/** Reads any RFC 4180 text, quoted line ends included; a leading byte order mark is dropped. @throws LedgerError ERR_ENTRY_MALFORMED */
export function* parseCsv(text: string): Generator<CsvRecord> {
  let at = text.startsWith('\ufeff') ? 1 : 0
  let line = 1
  while (at < text.length) {
    const cells: string[] = []
    const start = line
    for (;;) {
      if (text[at] === '"') {
        let cell = ''
        at += 1
        for (;;) {
          const quote = text.indexOf('"', at)
          if (quote < 0)
            throw new LedgerError('ERR_ENTRY_MALFORMED', `line ${start}: a quoted cell does not end`, { line: start })
          cell += text.slice(at, quote)
          at = quote + 1
          if (text[at] !== '"') break
          cell += '"'
          at += 1
        }
        for (let i = 0; i < cell.length; i += 1) if (cell[i] === '\n') line += 1
        cells.push(cell)
      } else {
        const end = nextBorder(text, at)
        cells.push(text.slice(at, end))
        at = end
      }
      if (text[at] !== ',') break
      at += 1
    }
    if (text[at] === '\r') at += 1
    if (at < text.length && text[at] !== '\n') {
      throw new LedgerError('ERR_ENTRY_MALFORMED', `line ${start}: text after a quoted cell`, { line: start })
    }
    at += 1
    line += 1
    yield { cells, line: start }
  }
}

function nextBorder(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const c = text[at]
    if (c === ',' || c === '\n' || (c === '\r' && text[at + 1] === '\n')) return at
  }
  return text.length
}
