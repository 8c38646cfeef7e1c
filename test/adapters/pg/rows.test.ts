/** Cells replaced in DataRow messages, against the same done cell by cell; and rows that are not what they say. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Described, rewriteRows } from '../../../adapters/pg/columns.ts'
import { maskFor } from '../../../lib/masking/strategies.ts'

const text = 25
const integer = 23
const column = (type: number, format = 0): Described => ({ name: 'c', table: 1, attribute: 1, type, format })

function row(cells: readonly (string | null)[], count = cells.length): Buffer {
  const parts = cells.map(cell => {
    const bytes = Buffer.from(cell ?? '')
    const length = Buffer.alloc(4)
    length.writeInt32BE(cell === null ? -1 : bytes.length)
    return Buffer.concat([length, bytes])
  })
  const body = Buffer.concat(parts)
  const header = Buffer.from('D\0\0\0\0\0\0', 'latin1')
  header.writeInt32BE(body.length + 6, 1)
  header.writeInt16BE(count, 5)
  return Buffer.concat([header, body])
}

describe('cells of rows', () => {
  const strategies = fc.constantFrom(undefined, 'last4' as const, 'redact' as const, 'null' as const)
  const cell = fc.option(fc.string({ unit: fc.constantFrom('1', 'a', 'é', '٣', '😀', '-'), maxLength: 12 }))
  const table = fc.integer({ min: 0, max: 4 }).chain(width =>
    fc.record({
      columns: fc.array(fc.constantFrom(column(text), column(integer), column(integer, 1)), {
        minLength: width,
        maxLength: width,
      }),
      masks: fc.array(strategies, { minLength: width, maxLength: width }),
      rows: fc.array(fc.array(cell, { minLength: width, maxLength: width }), { maxLength: 40 }),
    }),
  )

  it('are what each mask makes of each, and NULL where the type or the format cannot show it', () => {
    fc.assert(
      fc.property(table, ({ columns, masks, rows }) => {
        const expected = rows.map(cells =>
          cells.map((value, i) => {
            const strategy = masks[i]
            if (strategy === undefined || value === null) return value
            const { type, format } = columns[i]!
            const shown = type === integer && format === 1 ? null : maskFor(strategy)(value)
            return type === integer && shown !== value ? null : shown
          }),
        )
        const written = rewriteRows(
          Buffer.concat(rows.map(cells => row(cells))),
          columns,
          masks.map(strategy => (strategy === undefined ? undefined : maskFor(strategy))),
        )
        expect(Buffer.from(written)).toEqual(Buffer.concat(expected.map(cells => row(cells))))
      }),
    )
  })

  it('may all become longer than they were', () => {
    const rows = Buffer.concat(Array.from({ length: 5000 }, () => row(['1', '2'])))
    const written = rewriteRows(rows, [column(text), column(text)], [maskFor('redact'), maskFor('redact')])
    const longer = Buffer.concat(Array.from({ length: 5000 }, () => row(['[redacted]', '[redacted]'])))
    expect(longer.equals(written)).toBe(true)
  })

  const whole = row(['one', 'two'])
  const negative = Buffer.from(whole)
  negative.writeInt32BE(-1, 1)
  // biome-ignore format: a table
  const broken: [what: string, bytes: Buffer][] = [
    ['fewer cells than it counts, before another row', Buffer.concat([row(['one'], 2), whole])],
    ['fewer cells than it counts, at the end',         row(['one'], 2)],
    ['more cells than it counts',                      row(['one', 'two', 'three'], 2)],
    ['another count than was described',               row(['one'])],
    ['a length beyond what came',                      whole.subarray(0, -1)],
    ['a length of less than nothing',                  negative],
  ]
  it.each(broken)('are not shown from a row with %s', (_, bytes) => {
    expect(() => rewriteRows(bytes, [column(text), column(text)], [undefined, maskFor('redact')])).toThrow(RangeError)
  })
})
