/** Where the columns of a result come from, and the replacing of cells in DataRow messages, in text and binary format. */
import type { CellMask, Column, RowsForm } from '../../lib/reply.ts'
import { leaks } from './functions.ts'
import type { Names } from './names.ts'
import { analyseView, beneath } from './statement.ts'
import { Fields, type } from './wire.ts'

/** A field of a RowDescription. */
export interface Described {
  readonly name: string
  /** Oid of the table that it comes from, and its attribute number there; 0 where it is computed. */
  readonly table: number
  readonly attribute: number
  readonly type: number
  readonly format: number
}

export function describedFields(bytes: Buffer): readonly Described[] {
  const fields = new Fields(bytes)
  const found = Array.from({ length: fields.int16() }, () => {
    const name = fields.string()
    const [table, attribute, of] = [fields.uint32(), fields.int16(), fields.uint32()]
    fields.bytes(6)
    return { name, table, attribute, type: of, format: fields.int16() }
  })
  fields.end()
  return found
}

/** Types whose text and binary form is the text itself, so that any text is valid: "char", name, text, unknown, bpchar, varchar. */
const textual = new Set([18, 19, 25, 705, 1042, 1043])

/**
 * @param harmless for each column, whether the statement proves that it shows nothing; undefined where nothing is proved
 */
export function rowsForm(
  described: readonly Described[],
  names: Names,
  harmless: readonly boolean[] | undefined,
): RowsForm {
  let columns: readonly Column[] | undefined
  const proved = harmless?.length === described.length ? harmless : undefined
  return {
    kind: 'rows',
    // Worked out when a mask asks: most replies are under none.
    get columns() {
      columns ??= described.map((field, i) => columnOf(field, names, proved?.[i] === true))
      return columns
    },
    rewrite: (chunk, masks) => rewriteRows(chunk, described, masks),
  }
}

function columnOf({ name, table, attribute }: Described, names: Names, harmless: boolean): Column {
  if (table === 0) return { name, resources: [], ...(harmless ? { harmless } : {}) }
  const relation = names.relationOf(table)
  const field = attribute < 0 ? systemColumn : relation?.columns.get(attribute)
  if (relation === undefined || field === undefined || leaks(relation.schema, relation.name))
    return { name, resources: [] }
  const column = { name, field, resources: [relation.resource, ...relation.kin] }
  const view = analyseView(relation, names)
  if (view === undefined) return column
  // Code that it calls may show anything.
  if (view.opaque) return { name, resources: [] }
  return { ...column, through: beneath(relation, names) }
}

/** ctid, xmin, tableoid, ...: no field of the table's own. */
const systemColumn = 'system'

/** @throws where a row is not what was described: nothing of it may be shown then */
export function rewriteRows(
  chunk: Uint8Array,
  described: readonly Described[],
  masks: readonly (CellMask | undefined)[],
): Uint8Array {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (bytes[at] === type.dataRow) rewriteRow(bytes.subarray(at, end), described, masks, parts)
    else parts.push(bytes.subarray(at, end))
    at = end
  }
  return Buffer.concat(parts)
}

function rewriteRow(
  row: Buffer,
  described: readonly Described[],
  masks: readonly (CellMask | undefined)[],
  parts: Buffer[],
): void {
  const count = row.readInt16BE(5)
  if (count !== described.length || masks.length !== count)
    throw new RangeError('a row with other columns than described')
  const header = Buffer.allocUnsafe(7)
  parts.push(header)
  let length = 6
  /** Start of what is copied as it is. */
  let from = 7
  let at = 7
  const copyTo = (to: number) => {
    if (to > from) parts.push(row.subarray(from, to))
    length += to - from
  }
  for (let i = 0; i < count; i++) {
    const size = row.readInt32BE(at)
    const end = at + 4 + Math.max(size, 0)
    const mask = masks[i]
    if (mask !== undefined && size >= 0) {
      copyTo(at)
      const cell = maskedCell(row.subarray(at + 4, end), described[i]!, mask)
      parts.push(cell)
      length += cell.length
      from = end
    }
    at = end
  }
  if (at !== row.length) throw new RangeError('a row of another length than its cells')
  copyTo(at)
  header[0] = type.dataRow
  header.writeInt32BE(length, 1)
  header.writeInt16BE(count, 5)
}

const nullCell = Buffer.from([0xff, 0xff, 0xff, 0xff])

function maskedCell(cell: Buffer, { type: of, format }: Described, mask: CellMask): Buffer {
  // Bytes in a binary format are no text to show a part of.
  if (format !== 0 && !textual.has(of)) return nullCell
  const text = cell.toString()
  const shown = mask(text)
  if (shown === null || (shown !== text && !textual.has(of))) return nullCell
  const bytes = Buffer.allocUnsafe(4 + Buffer.byteLength(shown))
  bytes.writeInt32BE(bytes.length - 4)
  bytes.write(shown, 4)
  return bytes
}
