/** What may have been forgotten of a long ledger is not taken for granted: it is looked up by reading again. */
import { describe, expect, it } from 'vitest'
import { Meaning } from '../../evidence/meaning.ts'
import type { EntrySummary } from '../../lib/format/entry.ts'

/** Far more than twice what is remembered, which is how many may be. */
const many = 1_100
const bounds = { remembered: 500, doubtful: 500 }
const idOf = (i: number) => `${i.toString(16).padStart(8, '0')}-0000-7000-8000-000000000000`
const head = { time: '2026-07-01T00:00:00.000Z', writer: 'gateway-1', seq: 1 } as const

/** Decisions that deny, with what is told in `others` in place of some. */
function ledger(
  others: Readonly<Record<number, Partial<EntrySummary>>>,
  length = many,
  meaning = new Meaning(undefined, bounds),
) {
  const entries = Array.from(
    { length },
    (_, i): EntrySummary => ({ ...decided(idOf(i), 'deny'), id: idOf(i), ...head, ...others[i] }),
  )
  for (const [i, entry] of entries.entries()) meaning.add(i, entry)
  const doubtful = meaning.doubtful
  if (doubtful > 0) for (const [i, entry] of entries.entries()) meaning.lookAgain(i, entry)
  meaning.settleDoubts()
  return { doubtful, told: meaning.findings.all().map(({ code, index }) => [code, index]) }
}

const decided = (exchange: string, verdict = 'permit') => ({ kind: 'decision', exchange, verdict }) as const
const ended = (exchange: string) => ({ kind: 'outcome', exchange }) as const

const unheard = '00000001-0000-7000-8000-00000000000f'

describe('in a ledger far longer than what is remembered', () => {
  it('nothing is doubted that is in order, an operation that lasted from end to end neither', () => {
    expect(ledger({ 5: decided(idOf(5)), [many - 1]: ended(idOf(5)) })).toEqual({ doubtful: 0, told: [] })
  })

  // Once also with what is remembered in production.
  for (const [length, meaning] of [
    [many, new Meaning(undefined, bounds)],
    [132_000, new Meaning()],
  ] as const) {
    it(`an id, a decision, and an outcome of nothing are told, ${length} entries away from what they repeat`, () => {
      const repeated = { [length - 3]: { id: idOf(7) }, [length - 2]: decided(idOf(9)), [length - 1]: ended(unheard) }
      const { doubtful, told } = ledger(repeated, length, meaning)
      expect(doubtful).toBe(3)
      expect(told).toEqual([
        ['ENTRY_REPEATED', length - 3],
        ['ENTRY_REPEATED', length - 2],
        ['OUTCOME_ORPHAN', length - 1],
      ])
    })
  }

  it('what only looks old is cleared by reading again', () => {
    expect(ledger({ [many - 2]: { id: unheard }, [many - 1]: ended(idOf(2)) })).toEqual({ doubtful: 2, told: [] })
  })

  it('doubts are bounded, and that some were not looked up is told', () => {
    const oldId = (i: number) => ({ id: `00000002-0000-7000-8000-${String(i).padStart(12, '0')}` })
    const old = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [1_999 - i, oldId(i)]))
    expect(ledger(old, 2_000)).toEqual({ doubtful: 500, told: [['ENTRY_REPEATED', undefined]] })
  })
})
