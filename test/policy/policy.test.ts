/** Rights: who may, who may not, and that a replaced policy leaves nothing behind. */
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { casbinEnforcer } from '../../lib/policy/casbin.ts'
import { defaultModel } from '../../lib/policy/model.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import { readRules } from '../../lib/policy/rules.ts'
import { agent, control, person } from './support.ts'

const rules = await readFile(new URL('../../fixtures/policies/policy.csv', import.meta.url), 'utf8')
const policy = await casbinPolicy({ rules, controls: [] })
const access = (action: string, resource: string) => ({ action, resource })
const customers = access('select', 'crm/public.customers')

describe('a decision', () => {
  it('permits what a role may, and nothing that is not listed', () => {
    expect(policy.decide(person('requester@crm.example'), [customers]).permit).toBe(true)
    expect(policy.decide(person('requester@crm.example'), [access('truncate', 'crm/public.customers')]).permit).toBe(
      false,
    )
    expect(policy.decide(person('stranger@crm.example'), [customers]).permit).toBe(false)
  })

  it('needs every access to be permitted', () => {
    expect(
      policy.decide(person('requester@crm.example'), [customers, access('select', 'crm/public.payroll')]).permit,
    ).toBe(false)
  })

  it('denies an operation that claims to access nothing', () => {
    expect(policy.decide(person('dba@crm.example'), []).permit).toBe(false)
  })

  it('lets a deny override, wherever it stands', async () => {
    expect(policy.can('dba@crm.example', 'select', 'crm/public.payroll')).toBe(false)
    const first = await casbinPolicy({ rules: 'p, a, crm/x.y, *, deny\np, a, crm/**, *, allow', controls: [] })
    expect(first.can('a', 'select', 'crm/x.y')).toBe(false)
    expect(first.can('a', 'select', 'crm/x.z')).toBe(true)
  })

  it('gives an agent what both it and its principal may', () => {
    const drop = access('drop', 'crm/public.customers_archive')
    expect(policy.decide(agent('agent:crm-assistant', 'requester@crm.example'), [drop]).permit).toBe(true)
    expect(policy.decide(agent('agent:crm-assistant', 'stranger@crm.example'), [drop]).permit).toBe(false)
    expect(policy.decide(agent('agent:unknown', 'dba@crm.example'), [drop]).permit).toBe(false)
    // Its principal may more than the agent itself.
    expect(
      policy.decide(agent('agent:crm-assistant', 'dba@crm.example'), [access('select', 'crm/audit.log')]).permit,
    ).toBe(false)
  })

  it('gives an agent without a principal its own rights', () => {
    expect(policy.decide(agent('agent:crm-assistant'), [customers]).permit).toBe(true)
  })

  it('denies a subject that is named like a role, or as no rule could name it', () => {
    for (const id of ['role:dba', 'role:support', 'DBA@crm.example', 'dba@crm.example,role:dba', '', '*', '**']) {
      expect(policy.can(id, 'select', 'crm/public.customers')).toBe(false)
      expect(policy.hasRole(id, 'role:dba')).toBe(false)
    }
  })

  it('is not fooled by names of built-in members', () => {
    for (const id of ['__proto__', 'constructor', 'toString'])
      expect(policy.can(id, 'select', 'crm/public.customers')).toBe(false)
  })

  it('keeps questions apart that would read alike when joined', async () => {
    const tricky = await casbinPolicy({ rules: 'p, ab, crm/x, c, allow', controls: [] })
    expect(tricky.can('ab', 'c', 'crm/x')).toBe(true)
    expect(tricky.can('a', 'bc', 'crm/x')).toBe(false)
    expect(tricky.can('a', 'b', 'ccrm/x')).toBe(false)
  })

  it('is the same by the index as by a scan of all rules', async () => {
    const name = fc.constantFrom('a', 'b', 'role:r', 'role:s')
    const right = fc.record({
      subject: name,
      resource: fc.constantFrom('crm/**', 'crm/x.*', 'crm/x.y'),
      action: fc.constantFrom('*', 'select', 'update'),
      effect: fc.constantFrom('allow' as const, 'deny' as const),
    })
    const member = fc.record({
      member: fc.constantFrom('a', 'b', 'role:r'),
      role: fc.constant('role:s'),
      line: fc.constant(1),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(right, { maxLength: 6 }),
        fc.array(member, { maxLength: 2 }),
        async (rights, memberships) => {
          const indexed = await casbinEnforcer(defaultModel, { rights, memberships })
          const scanned = await casbinEnforcer(`${defaultModel}\n`, { rights, memberships })
          for (const id of ['a', 'b']) {
            for (const action of ['select', 'update', 'drop']) {
              expect(indexed.permits(id, action, 'crm/x.y')).toBe(scanned.permits(id, action, 'crm/x.y'))
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('roles', () => {
  it('are held directly and through other roles, however deep', async () => {
    const chain = Array.from({ length: 30 }, (_, i) => `g, role:r${i}, role:r${i + 1}`).join('\n')
    const deep = await casbinPolicy({
      rules: `g, a, role:r0\n${chain}\np, role:r30, crm/**, *, deny\np, a, crm/**, *, allow`,
      controls: [],
    })
    expect(deep.hasRole('a', 'role:r30')).toBe(true)
    expect(deep.hasRole('b', 'role:r30')).toBe(false)
    // A chain cut short would lose the deny.
    expect(deep.can('a', 'select', 'crm/x')).toBe(false)
  })
})

describe('a reload', () => {
  it('takes a right away that was asked for, and remembered, a moment before', async () => {
    const changing = await casbinPolicy({ rules: 'p, a, crm/**, select, allow', controls: [] })
    expect(changing.can('a', 'select', 'crm/x')).toBe(true)
    expect(changing.can('a', 'select', 'crm/x')).toBe(true)
    await changing.reload({ rules: 'p, b, crm/**, select, allow', controls: [] })
    expect(changing.can('a', 'select', 'crm/x')).toBe(false)
    expect(changing.can('b', 'select', 'crm/x')).toBe(true)
  })

  it('forgets a remembered refusal too', async () => {
    const changing = await casbinPolicy({ rules: 'p, b, crm/**, select, allow', controls: [] })
    expect(changing.can('a', 'select', 'crm/x')).toBe(false)
    await changing.reload({ rules: 'p, a, crm/**, select, allow', controls: [] })
    expect(changing.can('a', 'select', 'crm/x')).toBe(true)
  })

  it('forgets roles', async () => {
    const changing = await casbinPolicy({ rules: 'g, a, role:dba', controls: [] })
    expect(changing.hasRole('a', 'role:dba')).toBe(true)
    await changing.reload({ rules: '', controls: [] })
    expect(changing.hasRole('a', 'role:dba')).toBe(false)
  })

  it('changes nothing where the new policy is malformed', async () => {
    const changing = await casbinPolicy({ rules: 'p, a, crm/**, select, allow', controls: [] })
    const { digest } = changing
    await expect(changing.reload({ rules: 'p, a, crm/**, select, perhaps', controls: [] })).rejects.toThrowError(
      expect.objectContaining({
        code: 'ERR_OPTION_INVALID',
        message: expect.stringMatching(/^policy.csv:1:23: neither allow nor deny/),
      }),
    )
    expect(changing.digest).toBe(digest)
    expect(changing.can('a', 'select', 'crm/x')).toBe(true)
  })

  it('tells its followers before it counts and after, and changes nothing where one of them cannot record it', async () => {
    const changing = await casbinPolicy({ rules: 'p, a, crm/**, select, allow', controls: [] })
    const told: string[] = []
    const end = changing.follow({
      record: async next =>
        void told.push(`${next.digest === changing.digest} ${changing.can('b', 'select', 'crm/x')}`),
      changed: () => void told.push(`changed ${changing.can('b', 'select', 'crm/x')}`),
    })
    await changing.reload({ rules: 'p, b, crm/**, select, allow', controls: [] })
    expect(told).toEqual(['false false', 'changed true'])
    await changing.reload({ rules: 'p, b, crm/**, select, allow', controls: [] })
    expect(told).toHaveLength(2)
    end()
    changing.follow({ record: () => Promise.reject(new Error('disk full')), changed: () => void told.push('never') })
    await expect(changing.reload({ rules: '', controls: [] })).rejects.toThrow('disk full')
    expect(changing.can('b', 'select', 'crm/x')).toBe(true)
    expect(told).toHaveLength(2)
  })

  it('ends with the last one asked for', async () => {
    const changing = await casbinPolicy({ rules: '', controls: [] })
    await Promise.all([1, 2, 3].map(n => changing.reload({ rules: `p, a, crm/${n}, *, allow`, controls: [] })))
    expect([1, 2, 3].map(n => changing.can('a', 'select', `crm/${n}`))).toEqual([false, false, true])
  })
})

describe('the digest', () => {
  it('covers model, rules and controls, and nothing else', async () => {
    const base = { rules: 'p, a, crm/**, *, allow', controls: [control('AC-1')] }
    const one = await casbinPolicy(base)
    expect((await casbinPolicy({ ...base })).digest).toBe(one.digest)
    expect(one.decide(person('a'), [customers]).policy).toBe(one.digest)
    const others = await Promise.all([
      casbinPolicy({ ...base, rules: `${base.rules}\n` }),
      casbinPolicy({ ...base, controls: [control('AC-2')] }),
      casbinPolicy({ ...base, model: `${defaultModel}\n` }),
    ])
    expect(new Set([one, ...others].map(p => p.digest)).size).toBe(4)
  })

  it('stays, and the policy too, when the caller changes what it gave', async () => {
    const given = [control('AC-1')]
    const kept = await casbinPolicy({ rules, controls: given })
    Object.assign(given[0]!, { id: 'changed' })
    expect(kept.controls[0]!.id).toBe('AC-1')
  })
})

describe('the enforcer', () => {
  it('denies and does not permit when Casbin throws', async () => {
    const { rules: read } = readRules('p, a, crm/**, *, allow', { file: 'policy.csv' })
    const broken = await casbinEnforcer(defaultModel.replace('glob(r.act, p.act)', 'nothing(r.act, p.act)'), read)
    expect(() => broken.permits('a', 'select', 'crm/x')).toThrowError(
      expect.objectContaining({ code: 'ERR_POLICY_UNAVAILABLE' }),
    )
  })
})
