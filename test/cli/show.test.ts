/** `counterfoil show` of one entry: what became of an operation, and what an outcome was decided by, are told with it. */
import { expect, it } from 'vitest'
import { loadConfig } from '../../lib/config/config.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import { openGuard } from '../../lib/open.ts'
import { placeOfTwo, run } from '../support/commands.ts'
import { decision, exchangeId, outcome, settled } from '../support/directory-ledger.ts'

it('tells with a decision its outcome and what became of that, with an outcome its decision, and that there is none yet', async () => {
  const { made, config } = await placeOfTwo()
  const guard = await openGuard(await loadConfig(made.config, { evidence: true }), {
    ...{ software: 'x', placement: 'gateway' },
  })
  const [over, denied, open] = [exchangeId(), exchangeId(), exchangeId()]
  const of = (exchange: string) => ({ ...decision(exchange), grant: 'g-00000001' }) as Draft
  const drafts = [of(over), decision(denied, 'deny'), outcome(over), settled(over), of(open)]
  const indices = (await guard.ledger.append(drafts)).map(({ index }) => index)
  await guard.close()
  const [first, second, third, fourth, last] = indices.map(String)
  const shown = (id: string) => run('show', id, ...config)
  const time = String.raw`\d{4}-\S+Z`

  const begun = await shown(first!)
  expect(begun).toContain(`  of its exchange (all: counterfoil show ${over}):\n`)
  expect(begun).toMatch(
    new RegExp(
      `    #${third}  ${time}  outcome: completed, 1 item, 9 bytes\n    #${fourth}  ${time}  settled: committed\n$`,
    ),
  )
  expect(begun).not.toContain('under way')
  expect(await shown(third!)).toMatch(
    new RegExp(`    #${first}  ${time}  decision: permit\n    #${fourth}  ${time}  settled: committed\n$`),
  )
  expect(await shown(second!)).not.toContain('of its exchange')
  expect(await shown(last!)).toContain('    no outcome is published: it is under way, or was cut off\n')
  expect(await shown(over)).not.toContain('of its exchange')

  // Who asks by a grant is told what came of what was done under it.
  const under = await shown('g-00000001')
  expect(under).toMatch(new RegExp(`    #${third}  ${time}  outcome: completed, 1 item, 9 bytes\n`))
  expect(under.match(/ {2}of its exchange/g)).toHaveLength(2)

  const told = async (id: string) => JSON.parse(await run('show', id, '--json', ...config))
  const [one, ...more] = await told(first!)
  expect(more).toEqual([])
  expect(one).toMatchObject({ index: indices[0], entry: { kind: 'decision', exchange: over }, disclosed: {} })
  expect(one.sameExchange).toMatchObject([
    { index: indices[2], entry: { kind: 'outcome', result: 'completed' } },
    { index: indices[3], entry: { kind: 'settled', result: 'committed' } },
  ])
  expect((await told(over)).map((record: object) => Object.keys(record))).toEqual(
    Array.from({ length: 3 }, () => ['index', 'entry', 'disclosed']),
  )
})
