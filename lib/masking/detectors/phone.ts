/** Telephone numbers: 7 to 15 digits (E.164), with what people put between them. Much else looks so: only in declared fields. */
import { beginsWord, digit, is, isAt, letter } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

const fewest = 7
const most = 15
const between = new Set([...' -./()'].map(character => character.charCodeAt(0)))

export const phone: Detector = {
  kind: 'phone',
  needs: { length: fewest, anyOf: '0' },
  declared: true,
  find(text) {
    const found: Finding[] = []
    for (let at = 0; at < text.length; at += 1) {
      if (!'+('.includes(text[at]!) && !isAt(text, at, digit)) continue
      const { end, digits, next } = runFrom(text, at)
      if (digits >= fewest && digits <= most && beginsWord(text, at) && !isAt(text, end, letter))
        found.push({ kind: 'phone', start: at, end })
      at = next - 1
    }
    return found
  },
}

/** @returns where its last digit ends, and where to look on. */
function runFrom(text: string, from: number): { end: number; digits: number; next: number } {
  let [end, digits, next] = [from, 0, from + 1]
  if (isAt(text, from, digit)) [end, digits] = [from + 1, 1]
  for (; next < text.length; next += 1) {
    const code = text.charCodeAt(next)
    if (is(code, digit)) [end, digits] = [next + 1, digits + 1]
    else if (!between.has(code)) break
  }
  return { end, digits, next }
}
