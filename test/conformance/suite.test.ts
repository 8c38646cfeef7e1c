/** The suite itself: a sound adapter passes it, and one that is wrong in one way does not. */
import { AssertionError } from 'node:assert'
import { describe, expect, it } from 'vitest'
import { adapterConformance } from '../../conformance/index.ts'
import { type Flaw, lineDoor } from './line.ts'

describe('the smallest adapter', () => {
  for (const { title, run } of adapterConformance(lineDoor())) it(title, run)
})

describe('an adapter that', () => {
  // biome-ignore format: a table
  const flaws: readonly (readonly [Flaw, RegExp])[] = [
    ['asks the upstream before the gate',    /refuses what policy does not permit/],
    ['serves without the gate',              /refuses what policy does not permit/],
    ['says that nobody asked',               /lets a permitted read through whole/],
    ['heeds no hang-up',                     /leaves the upstream when the client hangs up/],
    ['heeds no signal',                      /leaves the upstream when the client hangs up/],
    ['takes all that the upstream has',      /no more than a slow reader lets it/],
    ['waits for ever',                       /a silent client stalls nobody else/],
    ['ends a broken reply as a whole one',   /a reply that fails midway/],
    ['calls everything opaque',              /masks a reply before it leaves/],
    ['shows an approver nothing',            /takes an approval of one action for none of another/],
    ['records the credential',               /keeps no secret of a request/],
    ['passes the credential on',             /refuses what policy does not permit/],
    ['logs what was asked',                  /keeps no secret of a request/],
  ]

  it.each(flaws)('%s is found out', async (flaw, where) => {
    const found = adapterConformance(lineDoor(flaw), { withinMs: 5000 }).filter(({ title }) => where.test(title))
    expect(found.length).toBeGreaterThan(0)
    for (const { run } of found) await expect(run()).rejects.toThrow(AssertionError)
  })
})
