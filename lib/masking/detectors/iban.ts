/**
 * International bank account numbers (ISO 13616-1): country, check digits 02 to 98 (ISO 7064, MOD 97-10), and an account of its country's
 * structure as SWIFT registers it, in groups or not, in any case.
 */
import { alphanumeric, beginsWord, forEachCandidate, isAt } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

// SWIFT's IBAN registry, release 100 (October 2024): n digits, a letters, c either. Territories bear the code of their country (AX is FI,
// GG, IM and JE are GB, those of France FR). Countries that are not registered have no structure to know them by.
const structures = `
  AD:n8c12 AE:n19 AL:n8c16 AT:n16 AZ:a4c20 BA:n16 BE:n12 BG:a4n6c8 BH:a4c14 BI:n23 BR:n23a1c1 BY:c4n4c16 CH:n5c12 CR:n18 CY:n8c16 CZ:n20
  DE:n18 DJ:n23 DK:n14 DO:c4n20 EE:n16 EG:n25 ES:n20 FI:n14 FK:a2n12 FO:n14 FR:n10c11n2 GB:a4n14 GE:a2n16 GI:a4c15 GL:n14 GR:n7c16 GT:c24
  HN:a4n20 HR:n17 HU:n24 IE:a4n14 IL:n19 IQ:a4n15 IS:n22 IT:a1n10c12 JO:a4n4c18 KW:a4c22 KZ:n3c13 LB:n4c20 LC:a4c24 LI:n5c12 LT:n16 LU:n3c13
  LV:a4c13 LY:n21 MC:n10c11n2 MD:c20 ME:n18 MK:n3c10n2 MN:n16 MR:n23 MT:a4n5c18 MU:a4n19a3 NI:a4n20 NL:a4n10 NO:n11 OM:n3c16 PK:a4c16 PL:n24
  PS:a4c21 PT:n21 QA:a4c21 RO:a4c16 RS:n18 RU:n14c15 SA:n2c18 SC:a4n20a3 SD:n14 SE:n20 SI:n15 SK:n20 SM:a1n10c12 SO:n19 ST:n21 SV:a4n20 TL:n19
  TN:n20 TR:n6c16 UA:n6c19 VA:n18 VG:a4n16 XK:n16 YE:a4n4c18
`

const parts: Readonly<Record<string, string>> = { n: '[0-9]', a: '[A-Z]', c: '[A-Z0-9]' }

interface Structure {
  readonly length: number
  readonly account: RegExp
}

const byCountry: ReadonlyMap<string, Structure> = new Map(
  [...structures.matchAll(/([A-Z]{2}):(\S+)/g)].map(([, country, written]) => {
    const groups = [...written!.matchAll(/([nac])(\d+)/g)].map(([, of, count]) => ({ of: of!, count: Number(count) }))
    const account = new RegExp(`^${groups.map(({ of, count }) => `${parts[of]}{${count}}`).join('')}$`, 'i')
    return [country!, { length: groups.reduce((sum, { count }) => sum + count, 4), account }]
  }),
)

/** Country and check digits. */
const candidate = /[A-Za-z]{2}[0-9]{2}/g

export const iban: Detector = {
  kind: 'iban',
  needs: { length: 15, anyOf: '0' },
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
  const structure = byCountry.get(text.slice(start, start + 2).toUpperCase())
  if (structure === undefined) return undefined
  let compact = ''
  let at = start
  for (; compact.length < structure.length; at += 1) {
    // Printed in groups, with single spaces or hyphens between them.
    if (compact.length > 0 && (text[at] === ' ' || text[at] === '-')) at += 1
    if (!isAt(text, at, alphanumeric)) return undefined
    compact += text[at]
  }
  const is = !isAt(text, at, alphanumeric) && structure.account.test(compact.slice(4)) && isChecked(compact)
  return is ? at : undefined
}

/** Of 97 remainders each has one pair of check digits: 00, 01 and 99 would be second ones. */
const isChecked = (compact: string) => !/^(00|01|99)$/.test(compact.slice(2, 4)) && remainder(compact) === 1

/** ISO 7064, MOD 97-10, of the number with its first four characters moved to its end, and letters counted from A = 10. */
function remainder(compact: string): number {
  let rest = 0
  for (const character of compact.slice(4) + compact.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest
}
