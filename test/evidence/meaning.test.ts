/** What may have been forgotten of a long ledger is not taken for granted: it is looked up by reading again. */
import { describe, expect, it } from 'vitest'
import { Meaning } from '../../evidence/meaning.ts'
import type { EntrySummary } from '../../lib/format/entry.ts'

/** Far more than twice what is remembered, which is how many may be. */
const many = 1_100
const bounds = { remembered: 500, doubtful: 500, rounds: 1 }
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
  const { doubtful } = meaning
  return { doubtful, told: settled(entries, meaning).map(({ code, index }) => [code, index]) }
}

/** As a verification does it. */
function settled(entries: readonly EntrySummary[], first: Meaning) {
  const found = []
  for (let meaning: Meaning | undefined = first; meaning !== undefined; ) {
    const next = meaning.next()
    for (const [i, entry] of entries.entries()) {
      meaning.lookAgain(i, entry)
      next?.add(i, entry)
    }
    meaning.settleDoubts(next === undefined)
    found.push(...meaning.findings.all())
    meaning = next
  }
  return found
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

  it('doubts that are not kept are looked up by reading once more', () => {
    const places = Array.from({ length: 400 }, (_, i) => 1_600 + i)
    const repeated = Object.fromEntries(places.map((at, i) => [at, { id: idOf(i) }]))
    const { doubtful, told } = ledger(repeated, 2_000, new Meaning(undefined, { ...bounds, doubtful: 100, rounds: 4 }))
    expect(doubtful).toBe(100)
    expect(told.map(([code]) => code)).toEqual(places.map(() => 'ENTRY_REPEATED'))
    expect(told.map(([, index]) => index).sort()).toEqual(places)
  })
})

describe('in a busy ledger, another host', () => {
  const day = Date.parse('2026-07-01T00:00:00.000Z')
  /** 100 entries a second, every sixth by the other host. */
  const busy = (offMs: number, more: Readonly<Record<number, Partial<EntrySummary>>> = {}) => {
    const entries = Array.from({ length: 12_000 }, (_, i): EntrySummary => {
      const [time, isOther] = [day + i * 10, i % 6 === 5]
      const hex = (time + (isOther ? offMs : 0)).toString(16).padStart(12, '0')
      const id = `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${String(i).padStart(12, '0')}`
      const [writer, seq] = [isOther ? 'web-1' : 'gateway-1', i]
      return { kind: 'settled', id, time: new Date(time).toISOString(), writer, seq, ...more[i] }
    })
    const meaning = new Meaning(undefined, { remembered: 1_000, doubtful: 1_000, rounds: 16 })
    for (const [i, entry] of entries.entries()) meaning.add(i, entry)
    const { doubtful, ahead } = meaning
    return { entries, doubtful, ahead, found: settled(entries, meaning), greatest: meaning.state.greatest }
  }

  it.each([
    ['a few seconds ahead', 4_000, 0],
    ['a few seconds behind', -4_000, 0],
    ['half a minute ahead', 30_000, 0],
    ['a minute ahead', 60_000, 1_000],
    ['a minute behind', -60_000, 1_000],
    ['minutes behind', -300_000, 1_000],
  ])('may be %s', (_, offMs, doubts) => {
    const { doubtful, found, ahead } = busy(offMs)
    expect([doubtful, found, ahead.count]).toEqual([doubts, [], 0])
  })

  it('of a time far ahead makes nothing else look old, and is named', () => {
    const future = '03ee97c2-0000-7000-8000-000000000001'
    const { doubtful, ahead, greatest, found } = busy(0, {
      ...{ 5: { id: future, kind: 'decision', exchange: future, verdict: 'deny' }, 11000: { id: future } },
      ...{ 11001: { kind: 'outcome', exchange: '03ee97c2-0000-7000-8000-000000000002' } },
    })
    expect([doubtful, ahead]).toEqual([0, { count: 2, writers: ['web-1', 'gateway-1'] }])
    expect(greatest < '03').toBe(true)
    expect(found.map(({ code, index }) => [code, index])).toEqual([
      ['ENTRY_REPEATED', 11_000],
      ['OUTCOME_ORPHAN', 11_001],
    ])
    expect(found[0]!.what).toContain('by gateway-1')
  })
})
