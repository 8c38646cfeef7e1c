/** Where the columns of a result come from, and the replacing of cells in DataRow messages, in text and binary format. */
import type { CellMask, Column, RowsForm } from '../../lib/reply.ts'
import { analyseView, beneath } from './analyse.ts'
import { leaks } from './functions.ts'
import type { Names } from './names.ts'
import { Fields, int16, int32, message, type } from './wire.ts'

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
 * @param names undefined where no origin can be trusted
 * @param harmless for each column, whether the statement proves that it shows nothing; undefined where nothing is proved
 */
export function rowsForm(
  described: readonly Described[],
  names: Names | undefined,
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
    get description() {
      return rowDescription(described)
    },
    rewrite: (chunk, masks) => rewriteRows(chunk, described, masks),
  }
}

/** As the server would say it; sizes and modifiers are left out. */
const rowDescription = (described: readonly Described[]) =>
  message(
    type.rowDescription,
    int16(described.length),
    ...described.flatMap(({ name, table, attribute, type: of, format }) => [
      ...[name, int32(table | 0), int16(attribute), int32(of | 0)],
      ...[int16(-1), int32(-1), int16(format)],
    ]),
  )

function columnOf({ name, table, attribute }: Described, names: Names | undefined, harmless: boolean): Column {
  if (table === 0 || names === undefined) return { name, resources: [], ...(harmless ? { harmless } : {}) }
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
  const out = new Output(bytes.length)
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (end < at + 5 || end > bytes.length) throw new RangeError('a message of another length than it says')
    if (bytes[at] === type.dataRow) rewriteRow(bytes, at, end, described, masks, out)
    else out.copy(bytes, at, end)
    at = end
  }
  return out.taken()
}

function rewriteRow(
  bytes: Buffer,
  start: number,
  rowEnd: number,
  described: readonly Described[],
  masks: readonly (CellMask | undefined)[],
  out: Output,
): void {
  const count = bytes.readInt16BE(start + 5)
  if (count !== described.length || masks.length !== count)
    throw new RangeError('a row with other columns than described')
  const header = out.length
  /** Start of what is copied as it is. */
  let from = start
  let at = start + 7
  for (let i = 0; i < count; i++) {
    const size = bytes.readInt32BE(at)
    const end = at + 4 + Math.max(size, 0)
    if (end > rowEnd) throw new RangeError('a cell that ends outside its row')
    const mask = masks[i]
    if (mask !== undefined && size >= 0) {
      out.copy(bytes, from, at)
      maskCell(bytes, at + 4, end, described[i]!, mask, out)
      from = end
    }
    at = end
  }
  if (at !== rowEnd) throw new RangeError('a row of another length than its cells')
  out.copy(bytes, from, rowEnd)
  out.setInt32(header + 1, out.length - header - 1)
}

/** A NULL cell. */
const none = -1

function maskCell(
  bytes: Buffer,
  from: number,
  to: number,
  { type: of, format }: Described,
  mask: CellMask,
  out: Output,
): void {
  // Bytes in a binary format are no text to show a part of.
  const text = format !== 0 && !textual.has(of) ? undefined : bytes.toString('utf8', from, to)
  const shown = text === undefined ? null : mask(text)
  if (shown === null || (shown !== text && !textual.has(of))) out.int32(none)
  else out.cell(shown)
}

/** Bytes one after another; grows, since a mask may be longer than what it stands for. */
class Output {
  #bytes: Buffer
  #length = 0

  constructor(expected: number) {
    this.#bytes = Buffer.allocUnsafe(expected + 1024)
  }

  get length(): number {
    return this.#length
  }

  copy(bytes: Buffer, from: number, to: number): void {
    this.#room(to - from)
    bytes.copy(this.#bytes, this.#length, from, to)
    this.#length += to - from
  }

  int32(value: number): void {
    this.#room(4)
    this.#length = this.#bytes.writeInt32BE(value, this.#length)
  }

  setInt32(at: number, value: number): void {
    this.#bytes.writeInt32BE(value, at)
  }

  /** Its length, then the text. */
  cell(text: string): void {
    // UTF-8 takes at most three bytes for a unit of UTF-16.
    this.#room(4 + text.length * 3)
    const length = this.#bytes.write(text, this.#length + 4)
    this.setInt32(this.#length, length)
    this.#length += 4 + length
  }

  taken(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const wider = Buffer.allocUnsafe((this.#length + more) * 2)
    this.#bytes.copy(wider, 0, 0, this.#length)
    this.#bytes = wider
  }
}
