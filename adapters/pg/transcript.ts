/** A recorded reply of PostgreSQL, read for showing it again: what its columns are called, and the text of each cell. */
import { Fields, type } from './wire.ts'

export interface Description {
  readonly columns: readonly string[]
  /** One for each column: 0 text, 1 binary. */
  readonly formats: readonly number[]
}

/** From a RowDescription. @throws ProtocolViolation */
export function readDescription(bytes: Uint8Array): Description {
  const fields = new Fields(Buffer.from(bytes))
  const columns: string[] = []
  const formats: number[] = []
  for (let left = fields.int16(); left > 0; left -= 1) {
    columns.push(fields.string())
    // Table, column number, type, size, modifier.
    fields.bytes(4 + 2 + 4 + 2 + 4)
    formats.push(fields.int16())
  }
  return { columns, formats }
}

/** From a run of messages: cells of each DataRow; null for no value, hex behind `\x` for what is binary. @throws ProtocolViolation */
export function readRows(bytes: Uint8Array, formats: readonly number[]): (string | null)[][] {
  const rows: (string | null)[][] = []
  for (const fields of messagesIn(bytes, type.dataRow)) {
    const row: (string | null)[] = []
    for (let i = 0, cells = fields.int16(); i < cells; i += 1) {
      const length = fields.int32()
      row.push(length < 0 ? null : shown(fields.bytes(length), formats[i]))
    }
    rows.push(row)
  }
  return rows
}

/** Tags of what was completed: `UPDATE 3`. */
export function readTags(bytes: Uint8Array): string[] {
  return [...messagesIn(bytes, type.commandComplete)].map(fields => fields.string())
}

function* messagesIn(bytes: Uint8Array, of: number): Generator<Fields> {
  const all = Buffer.from(bytes)
  for (let at = 0; at + 5 <= all.length; ) {
    const end = at + 1 + all.readInt32BE(at + 1)
    if (end <= at || end > all.length) return
    if (all[at] === of) yield new Fields(all.subarray(at, end))
    at = end
  }
}

/** Where the format was not described with the rows, what reads as text is shown as text. */
function shown(cell: Buffer, format: number | undefined): string {
  const text = cell.toString('utf8')
  const readable = format === 0 || (format === undefined && !/[\p{Cc}\ufffd]/u.test(text.replaceAll(/[\t\r\n]/g, '')))
  return readable ? text : `\\x${cell.toString('hex')}`
}
