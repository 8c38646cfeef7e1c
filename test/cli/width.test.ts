/** Lines as a narrow terminal has them: broken between words, what is copied never cut. */
import { describe, expect, it } from 'vitest'
import { widthOf, wrapped } from '../../cli/width.ts'

describe('a line that is too long', () => {
  const root = 'm8UzED+TwPkKRv4FbKN2Irj7ZwYV+uytyvUnQj7MeRM='
  const text = `ok    pin: what stood there is still the beginning of the ledger, root ${root} and more`

  it('goes on behind an indent, and no word of it is cut', () => {
    for (const columns of [40, 60, 80]) {
      const lines = wrapped(text, columns, 6)
      expect(lines.length).toBeGreaterThan(1)
      for (const [i, line] of lines.entries()) {
        expect(line.startsWith('      ')).toBe(i > 0)
        if (!line.includes(root)) expect(widthOf(line)).toBeLessThanOrEqual(columns)
      }
      expect(lines.map(line => line.trim()).join(' ')).toBe(text)
    }
    expect(wrapped(root, 10, 6)).toEqual([root])
  })

  it('stays one where there is room for it, and where nobody looks at columns', () => {
    expect(wrapped(text, Number.POSITIVE_INFINITY, 6)).toEqual([text])
    expect(wrapped('one  two', 8, 2)).toEqual(['one  two'])
    expect(wrapped('one\ntwo', 80, 2)).toEqual(['one', 'two'])
    expect(wrapped('', 80, 2)).toEqual([''])
  })

  it('is measured without its colours, and with what takes two columns', () => {
    const red = '\u001b[31mone\u001b[39m two'
    expect(wrapped(red, 7, 2)).toEqual([red])
    expect(wrapped('名前 名前', 8, 2)).toEqual(['名前', '  名前'])
  })
})
