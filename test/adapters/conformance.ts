/** The public suite, held to by the adapters here. */
import { describe, it } from 'vitest'
import { adapterConformance as cases, type Door } from '../../conformance/index.ts'

export * from '../../conformance/index.ts'

export function adapterConformance(door: Door): void {
  describe(`${door.name} as an adapter`, () => {
    for (const { title, run } of cases(door)) it(title, run)
  })
}
