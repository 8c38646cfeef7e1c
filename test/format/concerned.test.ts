/** Whom an erasure concerns, and who may be one of them come back, by entries alone. */
import { expect, it } from 'vitest'
import { Comings, Moments } from '../../lib/format/concerned.ts'
import type { Entry } from '../../lib/format/entry.ts'

const named = (subject: string) => ({ kind: 'principal', subject, type: 'person' }) as Entry
const erased = (of: string) => ({ kind: 'erasure', scope: 'principal', of }) as Entry

it('who was named after somebody was erased may be they, in the same millisecond too', () => {
  const comings = new Comings()
  for (const [index, entry] of [named('officer'), named('gone'), erased('gone'), named('back')].entries()) {
    comings.learn({ index, time: 1 }, entry)
  }
  comings.learn({ index: 0, time: 2 }, named('later'))
  const may = (...people: string[]) => comings.mayHaveReturned(people, ['gone', 'somebody else'])
  expect(['officer', 'back', 'later', 'never named'].map(one => may(one))).toEqual([false, true, true, true])
  expect(may('officer', 'back')).toBe(true)
  expect(comings.mayHaveReturned(['back'], ['officer'])).toBe(false)
})

it('what comes behind something came after it, however the clock was set back, in the next ledger too', () => {
  const at = (second: number, entry: Entry) => ({ ...entry, time: `2026-01-01T00:00:0${second}.000Z` }) as Entry
  const [concluded, heartbeat] = [{ kind: 'concluded' }, { kind: 'heartbeat' }] as Entry[]
  const before = [at(5, named('officer')), at(7, erased('gone')), at(4, named('back')), at(4, concluded!)]
  // Said behind the conclusion, once the next ledger had begun.
  const late = [at(9, erased('late'))]
  const next = [at(3, heartbeat!), at(3, named('again')), at(8, named('between'))]
  const [comings, moments] = [new Comings(), new Moments()]
  for (const entries of [[...before, ...late], next]) {
    for (const [index, entry] of entries.entries()) comings.learn(moments.of(index, entry), entry)
  }
  const may = (person: string, gone = 'gone') => comings.mayHaveReturned([person], [gone])
  expect(['officer', 'back', 'again', 'between'].map(one => may(one))).toEqual([false, true, true, true])
  expect(['officer', 'back', 'again', 'between'].map(one => may(one, 'late'))).toEqual([false, false, false, false])
})
