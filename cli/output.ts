/** How commands speak: plain lines for people, one JSON document for programs, colour on a terminal only. */
import pc from 'picocolors'
import { sgr, wrapped } from './width.ts'

/** What may be printed as it stands: what others wrote in it was made visible before any of it was coloured. */
export class Painted {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** A string is printed as `visible` shows it. */
export type Text = string | Painted

export interface Output {
  readonly json: boolean
  /** As `wrapped`, with no indent; what begins with a space, a command to be copied, is one line everywhere. */
  line(text?: Text): void
  /** A line that a terminal too narrow for it has in several, the later ones behind so many spaces; a pipe or a log has it as one. */
  wrapped(text: Text, indent: number): void
  /** The command's result, where `--json` was asked for; else `human` prints it. */
  result(value: unknown, human: () => void): void
  table(rows: readonly (readonly Text[])[]): void
}

/** Whoever read this may have seen enough, as `| head -1` has: that is no failure, and the verdict stays what it was. */
export function endQuietly(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

const colours = pc.createColors(process.stdout.isTTY === true && process.env.NO_COLOR === undefined)

const brush = (paint: (text: string) => string) => (text: Text) => new Painted(paint(printed(text)))

export const colour = {
  bold: brush(colours.bold),
  cyan: brush(colours.cyan),
  dim: brush(colours.dim),
  green: brush(colours.green),
  red: brush(colours.red),
  yellow: brush(colours.yellow),
} as const

/** A line with colours in it: the words of the template are ours, and each value that is a string is made visible. */
export const painted = (words: TemplateStringsArray, ...values: readonly (Text | number)[]): Painted => {
  const shown = values.map(value => (typeof value === 'number' ? String(value) : printed(value)))
  return new Painted(String.raw({ raw: words }, ...shown))
}

export function output(json: boolean): Output {
  const write = (text: string) => void process.stdout.write(`${text}\n`)
  const inLines = (text: Text, indent: number) => {
    if (!json) for (const part of wrapped(printed(text), columnsOf(process.stdout), indent)) write(part)
  }
  return {
    json,
    line: (text = '') => {
      if (!printed(text).startsWith(' ')) inLines(text, 0)
      else if (!json) write(printed(text))
    },
    wrapped: inLines,
    result: (value, human) => {
      if (json) process.stdout.write(`${ascii(value, 2)}\n`)
      else human()
    },
    table: rows => {
      const cells = rows.map(row => row.map(printed))
      const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map(row => plain(row[i] ?? '').length)))
      for (const row of cells) {
        write(
          row
            .map((cell, i) => cell + ' '.repeat(widths[i]! - plain(cell).length))
            .join('  ')
            .trimEnd(),
        )
      }
    },
  }
}

/**
 * What is told beside the result, on standard error: a program that reads the result does not see it. @param text several are a line each
 */
export const say = (text: string | readonly string[], paint = colour.yellow): void => {
  const said = [text].flat().map(visible).join('\n')
  const lines = wrapped(`${paint('counterfoil:').text} ${said}`, columnsOf(process.stderr), 'counterfoil: '.length)
  process.stderr.write(`${lines.join('\n')}\n`)
}

/** Of the terminal; Infinity where it is none. */
const columnsOf = ({ isTTY, columns = 80 }: NodeJS.WriteStream): number =>
  isTTY === true ? columns : Number.POSITIVE_INFINITY

const plain = (text: string) => text.replaceAll(new RegExp(sgr, 'g'), '')

const printed = (text: Text): string => (text instanceof Painted ? text.text : visible(text))

/**
 * Statements and names of files are anybody's: what a terminal obeys is shown, not obeyed, line feeds and colours too,
 * so that none of it is a line of its own. `##[` and `##vso[` are commands to CI systems wherever they stand in a line.
 */
export const visible = (text: string): string =>
  text.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]|(?<=#)#(?=\w*\[)/gu,
    of => `\\u{${of.codePointAt(0)!.toString(16).padStart(4, '0')}}`,
  )

/**
 * JSON in which what a terminal or a CI system could obey is escaped, as JSON allows: names are
 * anybody's. The line ends are those of the indent.
 */
export const ascii = (value: unknown, indent?: number): string =>
  (JSON.stringify(value, null, indent) ?? 'null').replaceAll(
    /(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]|(?<=#)#(?=\w*\[)/gu,
    of =>
      of
        .split('')
        .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join(''),
  )
