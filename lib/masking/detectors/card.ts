/** Payment cards (ISO/IEC 7812-1, of 19 digits at most): 13 or more, in groups or not, of a known range, with Luhn's check digit. */
import { beginsWord, digit, forEachCandidate, isAt, letter, skip } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

const shortest = 13
const longest = 19
const shortestGroup = 3
/** The first group of a card, and the rest of the shortest one. Groups before it that are too short are of no card. */
const candidate = /[0-9]{3}[0-9 -]{10}/g

interface Group {
  readonly start: number
  readonly end: number
}

export const card: Detector = {
  kind: 'card',
  needs: { length: shortest, anyOf: '0' },
  find(text) {
    const found: Finding[] = []
    forEachCandidate(text, candidate, at => {
      const groups = groupsFrom(text, at)
      const [first, last] = [groups[0]!, groups.at(-1)!]
      // Within a word, or a number with a fraction, are no cards.
      if (!beginsWord(text, first.start) || isFraction(text, first.start - 1)) groups.shift()
      if (isAt(text, last.end, letter) || isFraction(text, last.end)) groups.pop()
      found.push(...cardsAmong(text, groups))
      return last.end
    })
    return found
  },
}

const isBetween = (text: string, at: number) => text[at] === ' ' || text[at] === '-'

/** Digits, parted by single spaces or hyphens. */
function groupsFrom(text: string, from: number): Group[] {
  const groups: Group[] = []
  for (let start = from; ; ) {
    const end = skip(text, start, digit)
    groups.push({ start, end })
    if (!isBetween(text, end) || !isAt(text, end + 1, digit)) return groups
    start = end + 1
  }
}

/** A point between two digits. */
const isFraction = (text: string, at: number) =>
  text[at] === '.' && isAt(text, at - 1, digit) && isAt(text, at + 1, digit)

function cardsAmong(text: string, groups: readonly Group[]): Finding[] {
  const found: Finding[] = []
  for (let i = 0; i < groups.length; i += 1) {
    const last = lastGroup(text, groups, i)
    if (last === undefined) continue
    found.push({ kind: 'card', start: groups[i]!.start, end: groups[last]!.end })
    i = last
  }
  return found
}

/** @returns the index of the group that a card ends with which begins with this one: the longest there is. */
function lastGroup(text: string, groups: readonly Group[], first: number): number | undefined {
  let number = ''
  let last: number | undefined
  for (let i = first; i < groups.length; i += 1) {
    const { start, end } = groups[i]!
    if (end - start < shortestGroup || number.length + end - start > longest) break
    number += text.slice(start, end)
    if (number.length >= shortest && isIssued(number) && hasLuhn(number)) last = i
  }
  return last
}

// First digits of the networks and lengths, as they publish them; ranges of six, of which the first digits of eight are
// one too (ISO/IEC 7812-1:2017). Those that no network issues make three of four random numbers no card. Not here:
// Maestro's of 12 digits and UATP's, which begin with 1: too much else looks so.
// biome-ignore format: a table
const ranges: readonly (readonly [from: number, to: number, lengths: readonly number[]])[] = [
  [220000, 220499, [16, 17, 18, 19]],              // Mir
  [222100, 272099, [16]],                          // Mastercard
  [300000, 305999, [14, 16, 17, 18, 19]],          // Diners
  [309500, 309599, [14, 16, 17, 18, 19]],          // Diners
  [340000, 349999, [15]],                          // American Express
  [352800, 358999, [16, 17, 18, 19]],              // JCB
  [360000, 369999, [14, 15, 16, 17, 18, 19]],      // Diners
  [370000, 379999, [15]],                          // American Express
  [380000, 399999, [14, 16, 17, 18, 19]],          // Diners
  [400000, 499999, [13, 16, 18, 19]],              // Visa
  [500000, 509999, [13, 14, 15, 16, 17, 18, 19]],  // Maestro and others
  [510000, 559999, [16]],                          // Mastercard
  [560000, 699999, [13, 14, 15, 16, 17, 18, 19]],  // Maestro, Discover, UnionPay, RuPay
  [810000, 817199, [16, 17, 18, 19]],              // UnionPay
  [979200, 979299, [16]],                          // Troy
]

function isIssued(number: string): boolean {
  const first = Number(number.slice(0, 6))
  return ranges.some(([from, to, lengths]) => first >= from && first <= to && lengths.includes(number.length))
}

/** ISO/IEC 7812-1, annex B. */
function hasLuhn(number: string): boolean {
  let sum = 0
  for (let i = 0; i < number.length; i += 1) {
    const value = number.charCodeAt(number.length - 1 - i) - 48
    const weighed = i % 2 === 0 ? value : value * 2
    sum += weighed > 9 ? weighed - 9 : weighed
  }
  return sum % 10 === 0
}
