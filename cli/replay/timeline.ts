/** Shows a timeline to a person: rows as psql would, an HTTP reply as its head and body, anything else as text. */
import { readDescription, readRows, readTags } from '../../adapters/pg/transcript.ts'
import type { TimelineEvent } from '../../lib/format/timeline.ts'
import { visible } from './safe.ts'

/** A table is begun anew after as many rows, so that one of any length takes no memory. */
const rowsInTable = 500
const widest = 64

export async function showTimeline(events: AsyncIterable<TimelineEvent>, write: (text: string) => void): Promise<void> {
  let table: Table | undefined
  const close = (note = '') => {
    table?.print(note)
    table = undefined
  }
  for await (const { channel, bytes } of events) {
    if (channel === 'head') {
      close()
      const border = bytes.indexOf(0x0a)
      const described = JSON.parse(Buffer.from(bytes.subarray(0, border)).toString()) as Described
      const own = bytes.subarray(border + 1)
      if (described.kind === 'rows') table = new Table(described.columns ?? [], own, write)
      else if (own.length > 0) write(lines(own))
    } else if (channel === 'rows' && table !== undefined) {
      table.add(bytes)
    } else if (channel === 'command') {
      const tags = readTags(bytes)
      close(tags.join(', '))
    } else {
      write(lines(bytes))
    }
  }
  close()
}

interface Described {
  readonly kind: string
  readonly columns?: readonly string[]
}

/** Line feeds are lines; everything else that is no text is shown. */
const lines = (bytes: Uint8Array) => {
  const text = Buffer.from(bytes).toString('utf8').replaceAll('\r\n', '\n')
  const shown = text
    .split('\n')
    .map(line => line.split('\t').map(visible).join('\t'))
    .join('\n')
  return shown.endsWith('\n') ? shown : `${shown}\n`
}

class Table {
  readonly #columns: readonly string[]
  readonly #formats: readonly number[]
  readonly #write: (text: string) => void
  #rows: (string | null)[][] = []
  #total = 0

  constructor(columns: readonly string[], description: Uint8Array, write: (text: string) => void) {
    this.#columns = columns
    this.#formats = description.length === 0 ? [] : readDescription(description).formats
    this.#write = write
  }

  add(bytes: Uint8Array): void {
    for (const row of readRows(bytes, this.#formats)) {
      this.#rows.push(row)
      this.#total += 1
      if (this.#rows.length === rowsInTable) this.#flush()
    }
  }

  print(note: string): void {
    if (this.#rows.length > 0 || this.#total === 0) this.#flush()
    this.#write(`(${this.#total} ${this.#total === 1 ? 'row' : 'rows'})${note === '' ? '' : `  ${visible(note)}`}\n`)
  }

  #flush(): void {
    const cells = this.#rows.map(row => row.map(cell => (cell === null ? '' : shortened(visible(cell)))))
    const heads = this.#columns.map(name => shortened(visible(name)))
    const widths = heads.map((head, i) => Math.max(head.length, ...cells.map(row => (row[i] ?? '').length)))
    const line = (row: readonly string[]) =>
      ` ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')}`.trimEnd()
    const rule = widths.map(width => '-'.repeat(width + 2)).join('+')
    this.#write(`${[line(heads), rule, ...cells.map(line)].join('\n')}\n`)
    this.#rows = []
  }
}

const shortened = (text: string) => (text.length > widest ? `${text.slice(0, widest - 1)}…` : text)
