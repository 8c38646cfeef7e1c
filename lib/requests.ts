/** What waits for a person's decision: how it is named, and how many of one subject's may wait. */
import { randomBytes } from 'node:crypto'
import { Refusal } from './errors.ts'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** 60 random bits in Crockford's base 32: short enough to read out, too many to guess. `g`: a grant, `a`: an approval */
export function newId(kind: 'a' | 'g'): string {
  return `${kind}-${[...randomBytes(12)].map(byte => alphabet[byte % 32]).join('')}`
}

/** Of each kind. Who decides must be able to read them all. */
export const mostWaiting = 100

export const tooMany = () =>
  new Refusal('ERR_OBLIGATION_UNMET', `${mostWaiting} requests of yours wait for a decision: have some decided first`)
