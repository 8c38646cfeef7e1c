/** How many columns of a terminal a text takes: two for what East Asian scripts and emoji fill, none for what combines. */

/** East Asian Width W and F (Unicode 15.1), in the blocks that have them; emoji that are shown as such. */
// biome-ignore format: a table
const wide: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f], [0x231a, 0x231b], [0x2329, 0x232a], [0x23e9, 0x23ec], [0x23f0, 0x23f0], [0x23f3, 0x23f3], [0x25fd, 0x25fe],
  [0x2614, 0x2615], [0x2648, 0x2653], [0x267f, 0x267f], [0x2693, 0x2693], [0x26a1, 0x26a1], [0x26aa, 0x26ab], [0x26bd, 0x26be],
  [0x26c4, 0x26c5], [0x26ce, 0x26ce], [0x26d4, 0x26d4], [0x26ea, 0x26ea], [0x26f2, 0x26f3], [0x26f5, 0x26f5], [0x26fa, 0x26fa],
  [0x26fd, 0x26fd], [0x2705, 0x2705], [0x270a, 0x270b], [0x2728, 0x2728], [0x274c, 0x274c], [0x274e, 0x274e], [0x2753, 0x2755],
  [0x2757, 0x2757], [0x2795, 0x2797], [0x27b0, 0x27b0], [0x27bf, 0x27bf], [0x2b1b, 0x2b1c], [0x2b50, 0x2b50], [0x2b55, 0x2b55],
  [0x2e80, 0x303e], [0x3041, 0x33ff], [0x3400, 0x4dbf], [0x4e00, 0x9fff], [0xa000, 0xa4cf], [0xa960, 0xa97f], [0xac00, 0xd7a3],
  [0xf900, 0xfaff], [0xfe10, 0xfe19], [0xfe30, 0xfe6f], [0xff00, 0xff60], [0xffe0, 0xffe6], [0x16fe0, 0x18cff], [0x1aff0, 0x1b2ff],
  [0x1f004, 0x1f004], [0x1f0cf, 0x1f0cf], [0x1f18e, 0x1f18e], [0x1f191, 0x1f19a], [0x1f200, 0x1f320], [0x1f32d, 0x1f335],
  [0x1f337, 0x1f37c], [0x1f37e, 0x1f393], [0x1f3a0, 0x1f3ca], [0x1f3cf, 0x1f3d3], [0x1f3e0, 0x1f3f0], [0x1f3f4, 0x1f3f4],
  [0x1f3f8, 0x1f43e], [0x1f440, 0x1f440], [0x1f442, 0x1f4fc], [0x1f4ff, 0x1f53d], [0x1f54b, 0x1f54e], [0x1f550, 0x1f567],
  [0x1f57a, 0x1f57a], [0x1f595, 0x1f596], [0x1f5a4, 0x1f5a4], [0x1f5fb, 0x1f64f], [0x1f680, 0x1f6c5], [0x1f6cc, 0x1f6cc],
  [0x1f6d0, 0x1f6d2], [0x1f6d5, 0x1f6d7], [0x1f6dc, 0x1f6df], [0x1f6eb, 0x1f6ec], [0x1f6f4, 0x1f6fc], [0x1f7e0, 0x1f7eb],
  [0x1f7f0, 0x1f7f0], [0x1f90c, 0x1f93a], [0x1f93c, 0x1f945], [0x1f947, 0x1f9ff], [0x1fa70, 0x1faff], [0x20000, 0x3fffd],
]

// biome-ignore lint/suspicious/noControlCharactersInRegex: what is plain ASCII takes one column each
const plain = /^[\x00-\x7f]*$/
const combines = /^[\p{Mn}\p{Me}\p{Cf}]$/u

/** @param text with no control characters in it */
export function widthOf(text: string): number {
  if (plain.test(text)) return text.length
  let width = 0
  for (const character of text) width += columnsOf(character)
  return width
}

function columnsOf(character: string): number {
  const code = character.codePointAt(0)!
  if (code < 0x300) return code === 0xad ? 0 : 1
  if (combines.test(character)) return 0
  return wide.some(([first, last]) => code >= first && code <= last) ? 2 : 1
}

export const padEnd = (text: string, columns: number): string => text + ' '.repeat(Math.max(0, columns - widthOf(text)))
export const padStart = (text: string, columns: number): string =>
  ' '.repeat(Math.max(0, columns - widthOf(text))) + text

/** The text, or as much of its beginning as leaves room for an ellipsis. */
export function shortened(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let shown = ''
  let width = 1
  for (const character of text) {
    width += columnsOf(character)
    if (width > columns) break
    shown += character
  }
  return columns < 1 ? '' : `${shown}…`
}

/** The text, or as much of its beginning and its end as leaves room for an ellipsis between them: of paths the end tells most. */
export function shortenedWithin(text: string, columns: number): string {
  if (widthOf(text) <= columns || columns < 8) return shortened(text, columns)
  const begin = shortened(text, Math.ceil(columns * 0.4))
  const room = columns - widthOf(begin)
  const characters = [...text]
  let end = ''
  for (let character = characters.pop(); character !== undefined; character = characters.pop()) {
    if (widthOf(character + end) > room) break
    end = character + end
  }
  return begin + end
}

/** How a colour is switched on and off (ECMA-48, SGR): it takes no column. */
export const sgr = '\u001b\\[[0-9;]*m'
const colours = new RegExp(sgr, 'g')

/**
 * The text in lines of at most so many columns, broken between words, all but the first behind so many spaces. A word
 * that is longer than a line (a root, a key) stands whole on one of its own: what is copied is not cut.
 */
export function wrapped(text: string, columns: number, indent: number): string[] {
  const lines: string[] = []
  for (const line of text.split('\n')) {
    let current = ''
    // Two spaces and more are columns of ours, and stay.
    for (const [, space, word] of line.matchAll(/( *)([^ ]+)/g)) {
      const next = current + space! + word!
      if (current.trim() !== '' && widthOf(next.replaceAll(colours, '')) > columns) {
        lines.push(current)
        current = ' '.repeat(indent) + word!
      } else current = next
    }
    lines.push(current)
  }
  return lines
}
