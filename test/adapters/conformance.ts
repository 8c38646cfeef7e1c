/** The public suite, held to by the adapters here. */
import { describe, it } from 'vitest'
import { adapterConformance as cases, type Door } from '../../conformance/index.ts'

export * from '../../conformance/index.ts'

/** What the cases hold to has limits of its own; this one ends what hangs, also where other tests take both cores. */
const withinMs = 60_000

export function adapterConformance(door: Door): void {
  describe(`${door.name} as an adapter`, () => {
    for (const { title, run } of cases(door, { withinMs })) it(title, run)
  })
}
