/** Shows a timeline to a person: results as psql would, an HTTP reply as its head and body, anything else as text. */
import { isNumeric, messageType, readDescription, readEnds, readRows } from '../../adapters/pg/transcript.ts'
import type { TimelineEvent } from '../../lib/format/timeline.ts'
import { visible } from '../output.ts'
import { footer, isToldTag, saidLines, tableLines } from './psql.ts'

/** A table is begun anew after as much, so that one of any length takes no more memory: its columns may be wider from there on. */
const mostRows = 100_000
const mostBytes = 16 * 1024 * 1024

/** @param statement what the reply was to, where that is known: errors show a place in it */
export async function showTimeline(
  events: AsyncIterable<TimelineEvent>,
  write: (text: string) => void,
  statement?: string,
): Promise<void> {
  let table: Table | undefined
  const close = () => {
    table?.print()
    table = undefined
  }
  for await (const { channel, bytes } of events) {
    if (channel === 'head') {
      close()
      const border = bytes.indexOf(0x0a)
      const described = JSON.parse(Buffer.from(bytes.subarray(0, border)).toString()) as Described
      const own = bytes.subarray(border + 1)
      if (described.kind === 'rows') table = new Table(described.columns ?? [], own, write)
      // What a server says before an empty result is its protocol's, and nothing that people read.
      else if (own.length > 0 && described.kind !== 'empty') write(lines(own))
    } else if (channel === 'rows' && table !== undefined) {
      table.add(bytes)
    } else if (channel === 'command' || channel === 'notice' || channel === 'end') {
      for (const { of, tag, said } of readEnds(bytes)) {
        // Notices come between rows; psql tells them when they come.
        if (said !== undefined && of === messageType.notice) write(text(saidLines(said, statement)))
        else {
          const hasRows = table !== undefined
          close()
          if (said !== undefined) write(text(saidLines(said, statement)))
          else if (tag === undefined) write('(more rows are to be fetched)\n')
          else if (isToldTag(tag, hasRows)) write(text([tag]))
        }
      }
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
const lines = (bytes: Uint8Array) => text(Buffer.from(bytes).toString('utf8').replaceAll('\r\n', '\n').split('\n'))

const text = (all: readonly string[]) => {
  const shown = all.map(line => line.split('\t').map(visible).join('\t')).join('\n')
  return shown.endsWith('\n') ? shown : `${shown}\n`
}

class Table {
  readonly #columns: readonly string[]
  readonly #formats: readonly number[]
  readonly #types: readonly number[]
  readonly #write: (text: string) => void
  #rows: (string | null)[][] = []
  #bytes = 0
  #total = 0

  constructor(columns: readonly string[], description: Uint8Array, write: (text: string) => void) {
    const { formats, types, ...described } =
      description.length === 0 ? { columns, formats: [], types: [] } : readDescription(description)
    this.#columns = described.columns
    this.#formats = formats
    this.#types = types
    this.#write = write
  }

  add(bytes: Uint8Array): void {
    this.#bytes += bytes.length
    for (const row of readRows(bytes, { formats: this.#formats, types: this.#types })) {
      this.#rows.push(row)
      this.#total += 1
    }
    if (this.#rows.length >= mostRows || this.#bytes >= mostBytes) this.#flush()
  }

  print(): void {
    if (this.#rows.length > 0 || this.#total === 0) this.#flush()
    this.#write(`${footer(this.#total)}\n\n`)
  }

  #flush(): void {
    const right = this.#columns.map((_, i) => isNumeric(this.#types[i]))
    const printed = tableLines({ columns: this.#columns, right, rows: this.#rows })
    this.#write(`${printed.join('\n')}\n`)
    this.#rows = []
    this.#bytes = 0
  }
}
