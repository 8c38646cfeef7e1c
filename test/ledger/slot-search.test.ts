/** Which slots an erasure destroys, of entries that are looked through in turns: what came since the last is another. */
import { describe, expect, it } from 'vitest'
import { disclosureDigest, encodeDisclosure, randomSalt } from '../../lib/format/disclosure.ts'
import type { Entry } from '../../lib/format/entry.ts'
import { encodeSealed } from '../../lib/format/vault.ts'
import { type SearchParts, SlotSearch, type WithSealed } from '../../lib/ledger/slot-search.ts'
import { exchangeId } from '../support/directory-ledger.ts'
import { customer, officer } from '../support/erasable-ledger.ts'

const encoded = encodeDisclosure({ salt: randomSalt(), name: 'statement', value: 'select 1' })
const nothing = encodeSealed([])

/** An entry of another host, that discloses something under a slot where one is given. */
function said(index: number, entry: object, slot?: number): WithSealed {
  const disclosed = slot === undefined ? {} : { sd: [disclosureDigest(encoded)] }
  const sealed = slot === undefined ? nothing : encodeSealed([{ slot, box: Buffer.from('box') }])
  return { index, entry: { writer: 'web-1', ...entry, ...disclosed } as unknown as Entry, sealed }
}

const parts = (more: Partial<SearchParts> = {}): SearchParts => ({
  open: async () => encoded,
  attached: async () => undefined,
  isUnder: async () => true,
  isInUse: () => false,
  mayDecide: () => true,
  written: () => [],
  begun: async () => [],
  ...more,
})

async function found(turns: readonly (readonly WithSealed[])[], more: Partial<SearchParts> = {}) {
  const search = new SlotSearch(`principal:${customer}`, parts(more))
  const over = (all: readonly WithSealed[]) =>
    async function* () {
      yield* all
    }
  for (const turn of turns) await search.look(over(turn))
  return [...(await search.conclude(over(turns.flat())))].sort((a, b) => a - b)
}

const decided = (exchange: string, subject = customer) => ({ kind: 'decision', exchange, subject, verdict: 'permit' })

describe('what an erasure destroys', () => {
  it('is also what came while it was looked for, whoever decided it by then', async () => {
    const [one, two, others] = [exchangeId(), exchangeId(), exchangeId()]
    const asked = said(0, { kind: 'approval-requested', exchange: two, subject: customer }, 7)
    const first = [said(1, decided(one)), said(2, { kind: 'outcome', exchange: one }, 8), asked]
    expect(await found([first])).toEqual([8])
    const since = [
      said(3, decided(two)),
      said(4, { kind: 'outcome', exchange: two }, 9),
      said(5, decided(others, officer)),
      said(6, { kind: 'outcome', exchange: others }, 10),
    ]
    expect(await found([first, since])).toEqual([7, 8, 9])
  })

  it('is refused while a recording of theirs is written, not for one of somebody else or of whom nothing was decided yet', async () => {
    const [one, others] = [exchangeId(), exchangeId()]
    const turn = [
      said(0, decided(one)),
      said(1, { kind: 'outcome', exchange: one }, 8),
      said(2, decided(others, officer)),
    ]
    const writing = (exchange: string) => {
      const of = { exchange, session: undefined, part: 'response', type: 'text/plain' } as const
      return { written: () => [{ of, writer: 'web-1' }] }
    }
    for (const exchange of [others, exchangeId()]) expect(await found([turn], writing(exchange))).toEqual([8])
    await expect(found([turn], writing(one))).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
  })
})
