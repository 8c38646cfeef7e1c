/** Classes of ASCII characters, and where a word begins and ends. Beyond ASCII nothing is a letter or a digit. */

const table = new Uint8Array(128)
const classOf = (bit: number, characters: string) => {
  for (const character of characters) table[character.charCodeAt(0)]! |= bit
  return bit
}

const lower = 'abcdefghijklmnopqrstuvwxyz'
const upper = lower.toUpperCase()
const digits = '0123456789'
const letters = lower + upper

export const digit = classOf(1, digits)
export const letter = classOf(2, letters)
export const alphanumeric = classOf(4, letters + digits)
export const base64url = classOf(8, `${letters + digits}-_`)
export const base64 = classOf(16, `${letters + digits}+/=`)
export const upperOrDigit = classOf(32, upper + digits)
/** What a PEM body is made of, its headers and line breaks included, and as strings in JSON or source code have it. */
export const pemBody = classOf(64, `${letters + digits}+/=-:,_ \t\r\n\\"'`)

export const is = (code: number, of: number): boolean => code < 128 && (table[code]! & of) !== 0

/** NaN before and after the text is of no class. */
export const isAt = (text: string, at: number, of: number): boolean => is(text.charCodeAt(at), of)

/** @returns the first position from `at` on that is not of the class. */
export function skip(text: string, at: number, of: number, limit: number = text.length): number {
  let to = at
  while (to < limit && is(text.charCodeAt(to), of)) to += 1
  return to
}

/** Whether a word may begin here: the n of a written-out `\n`, as JSON has it, is no letter before it. */
export const beginsWord = (text: string, at: number): boolean =>
  !isAt(text, at - 1, alphanumeric) || (text[at - 2] === '\\' && 'bfnrt'.includes(text[at - 1]!))

/** Characters that stand in no finding, but in a private key's, which is known by its beginning. */
const breaks = new Set([...'?:<>()[],;"&\\'].map(character => character.charCodeAt(0)))
export const isBreak = (code: number): boolean => code <= 0x20 || breaks.has(code)

/**
 * Where to look at all: most of a text is passed over by the engine's own search, many times as fast as by a loop here.
 * @param candidate global, and of bounded length: nothing in it to backtrack into
 * @param judge told where a candidate begins. @returns from where to look on, at least one character further
 */
export function forEachCandidate(text: string, candidate: RegExp, judge: (at: number) => number): void {
  for (let from = 0; ; ) {
    candidate.lastIndex = from
    const match = candidate.exec(text)
    if (match === null) return
    from = judge(match.index)
  }
}
