/** Every refusal and fault has its row, on HTTP's wire. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { problemOf, statusOf } from '../../../adapters/http/problem.ts'
import { Fault, LedgerError, Refusal } from '../../../lib/errors.ts'

/** The codes as the union types name them: types are gone when a test runs. */
function codesOf(type: string): string[] {
  const source = readFileSync(new URL('../../../lib/errors.ts', import.meta.url), 'utf8')
  const union = new RegExp(`export type ${type} =([^\\n]*(?:\\n {2}\\|[^\\n]*)+)`).exec(source)![1]!
  return [...union.matchAll(/'(ERR_\w+)'/g)].map(([, code]) => code!)
}

describe('the table of statuses', () => {
  it('has a row for every refusal and every fault, and no other', () => {
    const codes = [...codesOf('RefusalCode'), ...codesOf('FaultCode')]
    expect(codes.length).toBeGreaterThanOrEqual(12)
    expect(Object.keys(statusOf).sort()).toEqual(codes.sort())
  })

  it('tells a subject to act by 401 and 403, and never so where the operator must', () => {
    for (const code of codesOf('RefusalCode')) expect([401, 403]).toContain(statusOf[code as never])
    for (const code of codesOf('FaultCode')) expect([502, 503]).toContain(statusOf[code as never])
  })
})

describe('a problem', () => {
  const id = '01890000-0000-7000-8000-000000000000'

  it('of a refusal says what to do, and names the exchange', () => {
    const error = new Refusal('ERR_APPROVAL_PENDING', 'another person must approve this first', {
      approval: 'a-00000000',
    })
    expect(problemOf(error, id)).toEqual({
      type: 'urn:counterfoil:error:ERR_APPROVAL_PENDING',
      title: 'Refused',
      status: 403,
      detail: 'another person must approve this first',
      code: 'ERR_APPROVAL_PENDING',
      instance: `urn:uuid:${id}`,
      approval: 'a-00000000',
    })
  })

  it.each([
    [new Fault('ERR_IDENTITY_UNAVAILABLE', 'at id.internal.example', { host: 'x' }), 503, 'ERR_IDENTITY_UNAVAILABLE'],
    [new LedgerError('ERR_ENTRY_MALFORMED', 'at id.internal.example'), 500, 'ERR_ENTRY_MALFORMED'],
    [new TypeError('at id.internal.example'), 500, 'ERR_INTERNAL'],
    ['at id.internal.example', 500, 'ERR_INTERNAL'],
  ])('of anything else keeps the inside to itself: %s', (error, status, code) => {
    const problem = problemOf(error, id)
    expect(problem).toMatchObject({ status, code })
    expect(JSON.stringify(problem)).not.toContain('internal.example')
  })
})
