/** How commands speak: plain lines for people, one JSON document for programs, colour on a terminal only. */
import pc from 'picocolors'

export interface Output {
  readonly json: boolean
  line(text?: string): void
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
  const line = (text = '') => void process.stdout.write(`${visible(text)}\n`)
  return {
    json,
    line: text => {
      if (!json) line(text)
    },
    result: (value, human) => {
      if (json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
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

const sgr = '\u001b\\[[0-9;]*m'
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
