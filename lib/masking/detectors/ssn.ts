/**
 * US social security numbers, in their three groups: `078-05-1120`. Nine digits in one piece are not told from other numbers.
 * Areas 000, 666 and 900 to 999, group 00 and serial 0000 are never assigned (SSA, POMS RM 10201.035); all
 * others are, since numbers are assigned at random (2011).
 */
import { alphanumeric, beginsWord, digit, forEachCandidate, isAt } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

const length = 11
const candidate = /[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}/g

export const ssn: Detector = {
  kind: 'ssn',
  needs: { length, anyOf: '0' },
  find(text) {
    const found: Finding[] = []
    forEachCandidate(text, candidate, at => {
      if (!isNumber(text, at)) return at + 1
      found.push({ kind: 'ssn', start: at, end: at + length })
      return at + length
    })
    return found
  },
}

function isNumber(text: string, at: number): boolean {
  if (text[at + 3] !== text[at + 6]) return false
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

const joined = (text: string, by: number, to: number) => text[by] === '-' && isAt(text, to, digit)
