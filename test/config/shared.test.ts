/** What counterfoil.yaml says of a ledger that several processes share, and of its disk. */
import { describe, expect, it } from 'vitest'
import { counterfoilYaml, env, load, problemsOf } from './support.ts'

const withLedger = (lines: string) => ({
  'counterfoil.yaml': counterfoilYaml.replace('  heartbeat: 30s\n', lines),
})

describe('a ledger that is shared', () => {
  it('has a name for each process, from the environment where it says so', async () => {
    const files = withLedger('  shared: true\n  writer: env:WRITER\n')
    expect((await load(files, { env: { ...env, WRITER: 'crm-1' } })).ledger).toMatchObject({
      shared: true,
      writer: 'crm-1',
    })
  })

  it('is refused without one, with one that is none, and with signs of life too seldom', async () => {
    const problems = async (lines: string, writer?: string) =>
      (await problemsOf(withLedger(lines), { env: { ...env, WRITER: writer } })).join('\n')
    expect(await problems('  shared: true\n')).toContain('missing key "writer"')
    expect(await problems('  shared: true\n  writer: env:WRITER\n')).toContain('this variable is not set')
    expect(await problems('  shared: true\n  writer: env:WRITER\n', 'no name')).toContain('the variable holds no name')
    expect(await problems('  shared: true\n  writer: one\n  heartbeat: 61s\n')).toContain('at least every 60s')
  })

  it('is not shared, and named as the ledger, where nothing is said', async () => {
    expect((await load()).ledger).toMatchObject({ shared: false, writer: 'crm-gateway' })
  })
})

describe('the disk of a ledger', () => {
  it('is held to 2 GiB and 500 MiB where nothing is said, else to bytes or a part', async () => {
    expect((await load()).ledger.disk).toEqual({ warn: { bytes: 2 ** 31 }, refuse: { bytes: 500 * 2 ** 20 } })
    const { ledger } = await load(withLedger('  disk: { warn: 10%, refuse: 1GiB }\n'))
    expect(ledger.disk).toEqual({ warn: { part: 0.1 }, refuse: { bytes: 2 ** 30 } })
  })

  it('is refused in units that are none', async () => {
    expect(await problemsOf(withLedger('  disk: { warn: 10GB }\n'))).toHaveLength(1)
  })
})
