/** How commands speak: plain lines for people, one JSON document for programs, colour on a terminal only. */
import pc from 'picocolors'
import { sgr, wrapped } from './width.ts'

export interface Output {
  readonly json: boolean
  /** As `wrapped`, with no indent; what begins with a space, a command to be copied, is one line everywhere. */
  line(text?: string): void
  /** A line that a terminal too narrow for it has in several, the later ones behind so many spaces; a pipe or a log has it as one. */
  wrapped(text: string, indent: number): void
  /** The command's result, where `--json` was asked for; else `human` prints it. */
  result(value: unknown, human: () => void): void
  table(rows: readonly (readonly string[])[]): void
}

/** Whoever read this may have seen enough, as `| head -1` has: that is no failure, and the verdict stays what it was. */
export function endQuietly(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

export const colour = pc.createColors(process.stdout.isTTY === true && process.env.NO_COLOR === undefined)

export function output(json: boolean): Output {
  const line = (text: string) => void process.stdout.write(`${visible(text)}\n`)
  const inLines = (text: string, indent: number) => {
    if (!json) for (const part of wrapped(visible(text), columnsOf(process.stdout), indent)) line(part)
  }
  return {
    json,
    line: (text = '') => {
      if (!text.startsWith(' ')) inLines(text, 0)
      else if (!json) line(text)
    },
    wrapped: inLines,
    result: (value, human) => {
      if (json) process.stdout.write(`${ascii(value, 2)}\n`)
      else human()
    },
    table: rows => {
      const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map(row => plain(row[i] ?? '').length)))
      for (const row of rows) {
        line(
          row
            .map((cell, i) => cell + ' '.repeat(widths[i]! - plain(cell).length))
            .join('  ')
            .trimEnd(),
        )
      }
    },
  }
}

/** What is told beside the result, on standard error: a program that reads the result does not see it. */
export const say = (text: string, paint = colour.yellow): void => {
  const lines = wrapped(`${paint('counterfoil:')} ${visible(text)}`, columnsOf(process.stderr), 'counterfoil: '.length)
  process.stderr.write(`${lines.join('\n')}\n`)
}

/** Of the terminal; Infinity where it is none. */
const columnsOf = ({ isTTY, columns = 80 }: NodeJS.WriteStream): number =>
  isTTY === true ? columns : Number.POSITIVE_INFINITY

const plain = (text: string) => text.replaceAll(new RegExp(sgr, 'g'), '')

/** Statements are written by attackers: control characters are shown, not obeyed; our own colours pass. */
export function visible(text: string): string {
  return text
    .split(new RegExp(`(${sgr})`))
    .map((part, i) => (i % 2 === 1 ? part : part.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, shown)))
    .join('')
}

const shown = (character: string) =>
  character === '\n' ? character : `\\u{${character.codePointAt(0)!.toString(16).padStart(4, '0')}}`

/** Text of others within a line of ours: it begins no line of its own. */
export const inOneLine = (text: string): string => text.replaceAll('\n', '\\n')

/** JSON in which what a terminal could obey is escaped, as JSON allows: names are anybody's. The line ends are those of the indent. */
export const ascii = (value: unknown, indent?: number): string =>
  (JSON.stringify(value, null, indent) ?? 'null').replaceAll(/(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]/gu, of =>
    of
      .split('')
      .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
