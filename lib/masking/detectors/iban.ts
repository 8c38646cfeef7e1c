/** International bank account numbers (ISO 13616): as long as their country has them, with check digits modulo 97. */
import { alphanumeric, beginsWord, forEachCandidate, isAt } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

// Length by country, from SWIFT's IBAN registry, and those beside it that banks use.
const lengths: ReadonlyMap<string, number> = new Map(
  Object.entries({
    ...{
      AD: 24,
      AE: 23,
      AL: 28,
      AT: 20,
      AX: 18,
      AZ: 28,
      BA: 20,
      BE: 16,
      BG: 22,
      BH: 22,
      BI: 27,
      BR: 29,
      BY: 28,
      CH: 21,
    },
    ...{
      CR: 22,
      CY: 28,
      CZ: 24,
      DE: 22,
      DJ: 27,
      DK: 18,
      DO: 28,
      EE: 20,
      EG: 29,
      ES: 24,
      FI: 18,
      FK: 18,
      FO: 18,
      FR: 27,
    },
    ...{
      GB: 22,
      GE: 22,
      GI: 23,
      GL: 18,
      GR: 27,
      GT: 28,
      HN: 28,
      HR: 21,
      HU: 28,
      IE: 22,
      IL: 23,
      IQ: 23,
      IS: 26,
      IT: 27,
    },
    ...{
      JO: 30,
      KW: 30,
      KZ: 20,
      LB: 28,
      LC: 32,
      LI: 21,
      LT: 20,
      LU: 20,
      LV: 21,
      LY: 25,
      MC: 27,
      MD: 24,
      ME: 22,
      MK: 19,
    },
    ...{
      MN: 20,
      MR: 27,
      MT: 31,
      MU: 30,
      NI: 28,
      NL: 18,
      NO: 15,
      OM: 23,
      PK: 24,
      PL: 28,
      PS: 29,
      PT: 25,
      QA: 29,
      RO: 24,
    },
    ...{
      RS: 22,
      RU: 33,
      SA: 24,
      SC: 31,
      SD: 18,
      SE: 24,
      SI: 19,
      SK: 24,
      SM: 27,
      SO: 23,
      ST: 25,
      SV: 28,
      TL: 23,
      TN: 24,
    },
    ...{ TR: 26, UA: 29, VA: 22, VG: 24, XK: 20, YE: 30 },
  }),
)

/** Country and check digits. */
const candidate = /[A-Za-z]{2}[0-9]{2}/g

export const iban: Detector = {
  kind: 'iban',
  find(text) {
    const found: Finding[] = []
    forEachCandidate(text, candidate, at => {
      const end = beginsWord(text, at) ? endOf(text, at) : undefined
      if (end === undefined) return at + 1
      found.push({ kind: 'iban', start: at, end })
      return end
    })
    return found
  },
}

/** @returns undefined where no IBAN begins here. */
function endOf(text: string, start: number): number | undefined {
  const length = lengths.get(text.slice(start, start + 2).toUpperCase())
  if (length === undefined) return undefined
  let compact = ''
  let at = start
  for (; compact.length < length; at += 1) {
    // Printed in groups, with single spaces or hyphens between them.
    if (compact.length > 0 && (text[at] === ' ' || text[at] === '-')) at += 1
    if (!isAt(text, at, alphanumeric)) return undefined
    compact += text[at]
  }
  return isAt(text, at, alphanumeric) || remainder(compact) !== 1 ? undefined : at
}

/** ISO 7064, MOD 97-10, of the number with its first four characters moved to its end, and letters counted from A = 10. */
function remainder(compact: string): number {
  let rest = 0
  for (const character of compact.slice(4) + compact.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest
}
