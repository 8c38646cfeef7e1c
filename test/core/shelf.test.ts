/** What a book forgets, and what it must not. */
import { expect, it } from 'vitest'
import { Shelf } from '../../lib/shelf.ts'

const day = 86_400_000

it('forgets what has been over for a day, and nothing else, however much comes', () => {
  const shelf = new Shelf<{ id: string; subject: string; over: number }>(({ over }) => over)
  const add = (id: string, subject: string, over: number, now: number) => {
    shelf.items.set(id, { id, subject, over })
    shelf.added(id, now)
  }
  add('kept', 'a', 3 * day, 0)
  add('just-over', 'a', 2 * day, 0)
  for (let i = 0; i < 5000; i += 1) add(`old-${i}`, `s${i}`, day, 2 * day + 1)
  expect(shelf.items.size).toBeLessThan(1100)
  expect(shelf.of('a').map(({ id }) => id)).toEqual(['kept', 'just-over'])
  expect(shelf.of('s0')).toEqual([])
  for (let i = 0; i < 5000; i += 1) add(`live-${i}`, 'b', 9 * day, 2 * day + 1)
  expect(shelf.of('b')).toHaveLength(5000)
})
