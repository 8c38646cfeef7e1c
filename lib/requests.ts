/** What waits for a person's decision: how it is named, and how many of one subject's may wait. */
import { randomBytes } from 'node:crypto'
import { Refusal } from './errors.ts'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** 60 random bits in Crockford's base 32: short enough to read out, too many to guess. `g`: a grant, `a`: an approval, `h`: a hold */
export function newId(kind: 'a' | 'g' | 'h'): string {
  return `${kind}-${[...randomBytes(12)].map(byte => alphabet[byte % 32]).join('')}`
}

/** Of each kind. Who decides must be able to read them all. */
export const mostWaiting = 100

interface Book {
  waiting(subject: string): number
  get(id: string): unknown
}

/**
 * Makes requests, no more than may wait: those on their way to the ledger count too, so that many at once are no more than one by one.
 */
export class Requests {
  readonly #book: Book
  readonly #onTheirWay = new Map<string, Set<string>>()

  constructor(book: Book) {
    this.#book = book
  }

  /** @throws Refusal ERR_OBLIGATION_UNMET where too many wait; whatever `append` throws */
  async make(subject: string, id: string, append: () => Promise<unknown>): Promise<void> {
    const ids = this.#onTheirWay.get(subject) ?? new Set()
    const unknown = [...ids].filter(one => this.#book.get(one) === undefined).length
    if (this.#book.waiting(subject) + unknown >= mostWaiting) throw tooMany()
    this.#onTheirWay.set(subject, ids.add(id))
    try {
      await append()
    } finally {
      ids.delete(id)
      if (ids.size === 0) this.#onTheirWay.delete(subject)
    }
  }
}

const tooMany = () =>
  new Refusal('ERR_OBLIGATION_UNMET', `${mostWaiting} requests of yours wait for a decision: have some decided first`)
