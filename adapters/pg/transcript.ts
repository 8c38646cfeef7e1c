/** A recorded reply of PostgreSQL, read for showing it again: its columns, the text of each cell, tags, errors and notices. */
import { Fields, type } from './wire.ts'

export interface Description {
  readonly columns: readonly string[]
  /** One for each column: 0 text, 1 binary. */
  readonly formats: readonly number[]
  /** Oids. */
  readonly types: readonly number[]
}

/** From a RowDescription. @throws ProtocolViolation */
export function readDescription(bytes: Uint8Array): Description {
  const fields = new Fields(Buffer.from(bytes))
  const columns: string[] = []
  const formats: number[] = []
  const types: number[] = []
  for (let left = fields.int16(); left > 0; left -= 1) {
    columns.push(fields.string())
    // Table, column number.
    fields.bytes(4 + 2)
    types.push(fields.uint32())
    // Size, modifier.
    fields.bytes(2 + 4)
    formats.push(fields.int16())
  }
  return { columns, formats, types }
}

/** As psql aligns them: int8, int2, int4, oid, xid, cid, xid8, float4, float8, money, numeric. */
const numeric = new Set([20, 21, 23, 26, 28, 29, 5069, 700, 701, 790, 1700])
export const isNumeric = (type: number | undefined): boolean => type !== undefined && numeric.has(type)

/** From a run of messages: cells of each DataRow; null for no value, hex behind `\x` for what is binary. @throws ProtocolViolation */
export function readRows(
  bytes: Uint8Array,
  { formats, types }: Pick<Description, 'formats' | 'types'>,
): (string | null)[][] {
  const rows: (string | null)[][] = []
  for (const fields of messagesIn(bytes, type.dataRow)) {
    const row: (string | null)[] = []
    for (let i = 0, cells = fields.int16(); i < cells; i += 1) {
      const length = fields.int32()
      row.push(length < 0 ? null : shown(fields.bytes(length), formats[i], types[i]))
    }
    rows.push(row)
  }
  return rows
}

/** What a message of the server's says: `ERROR`, its text, where in the statement. */
export interface Said {
  readonly severity: string
  readonly text: string
  readonly detail?: string
  readonly hint?: string
  readonly context?: string
  /** In characters, from 1. */
  readonly position?: number
}

interface Ended {
  readonly of: number
  readonly tag?: string
  readonly said?: Said
}

/** How an execution ended, and what was said meanwhile: of a run of messages, those that people are told of. @throws ProtocolViolation */
export function readEnds(bytes: Uint8Array): Ended[] {
  return [...allMessagesIn(bytes)].flatMap(({ of, fields }): Ended[] => {
    if (of === type.commandComplete) return [{ of, tag: fields.string() }]
    if (of === type.error || of === type.notice) return [{ of, said: readSaid(fields) }]
    return of === type.portalSuspended ? [{ of }] : []
  })
}

function readSaid(fields: Fields): Said {
  const named = new Map<string, string>()
  for (let code = fields.byte(); code !== 0; code = fields.byte()) named.set(String.fromCharCode(code), fields.string())
  const [detail, hint, context, position] = ['D', 'H', 'W', 'P'].map(code => named.get(code))
  return {
    severity: named.get('S') ?? 'ERROR',
    text: named.get('M') ?? '',
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(context === undefined ? {} : { context }),
    ...(position === undefined ? {} : { position: Number(position) }),
  }
}

export { type as messageType }

/** Of one kind, within a run of messages: whole ones only. */
function* messagesIn(bytes: Uint8Array, wanted: number): Generator<Fields> {
  for (const { of, fields } of allMessagesIn(bytes)) if (of === wanted) yield fields
}

function* allMessagesIn(bytes: Uint8Array): Generator<{ readonly of: number; readonly fields: Fields }> {
  const all = Buffer.from(bytes)
  for (let at = 0; at + 5 <= all.length; ) {
    const end = at + 1 + all.readInt32BE(at + 1)
    if (end <= at || end > all.length) return
    yield { of: all[at]!, fields: new Fields(all.subarray(at, end)) }
    at = end
  }
}

/** Binary values of the types that drivers ask for so: bool, int8, int2, int4, oid, float4, float8; what is text in both formats. */
// biome-ignore format: a table
const binary: Readonly<Record<number, (cell: Buffer) => string>> = {
  16:  cell => (cell.readUInt8() === 0 ? 'f' : 't'),
  20:  cell => String(cell.readBigInt64BE()),
  21:  cell => String(cell.readInt16BE()),
  23:  cell => String(cell.readInt32BE()),
  26:  cell => String(cell.readUInt32BE()),
  700: cell => String(Math.fround(cell.readFloatBE())),
  701: cell => String(cell.readDoubleBE()),
}
const textual = new Set([18, 19, 25, 114, 705, 1042, 1043])

/** Where the format was not described with the rows, what reads as text is shown as text. */
function shown(cell: Buffer, format: number | undefined, of: number | undefined): string {
  const text = cell.toString('utf8')
  if (format === 0 || (format === 1 && textual.has(of ?? 0))) return text
  if (format === 1) {
    try {
      const read = binary[of ?? 0]
      if (read !== undefined) return read(cell)
    } catch {
      // Of another length than its type has: as the bytes that it is.
    }
  }
  const readable = format === undefined && !/[\p{Cc}\ufffd]/u.test(text.replaceAll(/[\t\r\n]/g, ''))
  return readable ? text : `\\x${cell.toString('hex')}`
}
