/**
 * US social security numbers, in their three groups: `078-05-1120`. Nine digits in one piece are not told from other numbers.
 * Areas 000, 666 and 900 to 999, group 00 and serial 0000 are never assigned (20 CFR 422.103; POMS RM 10201.035).
 */
import { alphanumeric, beginsWord, digit, isAt, skip } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

const length = 11

export const ssn: Detector = {
  kind: 'ssn',
  find(text) {
    const found: Finding[] = []
    for (let at = 0; at + length <= text.length; at += 1) {
      if (!isAt(text, at, digit)) continue
      if (isNumber(text, at)) {
        found.push({ kind: 'ssn', start: at, end: at + length })
        at += length - 1
      } else at = skip(text, at, digit)
    }
    return found
  },
}

function isNumber(text: string, at: number): boolean {
  const by = text[at + 3]
  if ((by !== '-' && by !== ' ') || text[at + 6] !== by) return false
  if (!areDigits(text, at, 3) || !areDigits(text, at + 4, 2) || !areDigits(text, at + 7, 4)) return false
  if (!beginsWord(text, at) || isAt(text, at + length, alphanumeric)) return false
  // A longer number in groups.
  if (joined(text, at - 1, at - 2) || joined(text, at + length, at + length + 1)) return false
  const area = Number(text.slice(at, at + 3))
  return (
    area !== 0 &&
    area !== 666 &&
    area < 900 &&
    text.slice(at + 4, at + 6) !== '00' &&
    text.slice(at + 7, at + 11) !== '0000'
  )
}

const areDigits = (text: string, from: number, count: number) => skip(text, from, digit, from + count) === from + count

const joined = (text: string, by: number, to: number) => text[by] === '-' && isAt(text, to, digit)
