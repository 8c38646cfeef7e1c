/** Whom an erasure concerns, and who may be one of them come back, by entries alone. */
import { expect, it } from 'vitest'
import { Comings } from '../../lib/format/concerned.ts'
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
