/** Obligations: every matching control counts, and the strictest wins. */
import { describe, expect, it } from 'vitest'
import { grantTerms, uniteObligations } from '../../lib/policy/obligations.ts'
import { control, operation } from './support.ts'

const now = Date.parse('2026-02-01T12:00:00Z')
const minute = 60_000
const update = operation({ accesses: [{ action: 'update', resource: 'crm/public.customers' }], read: false })

const grant = (id: string, longestMs: number, from?: string, reason = false) =>
  control(id, {
    covers: { resource: 'crm/public.*', actions: ['update', 'delete'] },
    require: { grant: { longestMs, reason, ...(from === undefined ? {} : { from }) } },
  })
const approval = (id: string, people: number, withinMs: number, waitMs: number, from: string) =>
  control(id, {
    covers: { resource: 'crm/**', risk: 'high' },
    require: { approval: { people, withinMs, waitMs, from } },
  })

describe('obligations', () => {
  it('are none where nothing matches', () => {
    expect(uniteObligations([control('X', { covers: { resource: 'api/**' } })], update, now)).toEqual({
      controls: [],
      masks: [],
      record: {},
      durability: 'durable',
      observed: [],
    })
  })

  it('unite grants: the shortest, a reason if any asks, all roles, and just the accesses that are covered', () => {
    const both = operation({
      accesses: [
        { action: 'update', resource: 'crm/public.customers' },
        { action: 'select', resource: 'crm/public.orders' },
      ],
    })
    const united = uniteObligations(
      [grant('B', 30 * minute, 'role:lead'), grant('A', 15 * minute, 'role:dba', true)],
      both,
      now,
    )
    expect(united.grant).toEqual({
      longestMs: 15 * minute,
      reason: true,
      roles: ['role:dba', 'role:lead'],
      controls: ['A', 'B'],
      accesses: [{ action: 'update', resource: 'crm/public.customers' }],
    })
    expect(united.controls).toEqual(['A', 'B'])
  })

  it('unite approvals: most people, all roles, the shortest times', () => {
    const high = operation({ risk: 'high', read: false })
    const controls = [
      approval('A', 1, 15 * minute, 30_000, 'role:dba'),
      approval('B', 2, 60 * minute, 10_000, 'role:lead'),
    ]
    expect(uniteObligations(controls, high, now).approval).toEqual({
      people: 2,
      roles: ['role:dba', 'role:lead'],
      withinMs: 15 * minute,
      waitMs: 10_000,
      controls: ['A', 'B'],
    })
    expect(uniteObligations(controls, operation(), now).approval).toBeUndefined()
  })

  describe('of masking', () => {
    const masked = control('CF-01', {
      covers: { resource: 'crm/public.customers' },
      mask: { ssn: 'last4', email: 'redact' },
    })
    const rules = [
      { control: 'CF-01', resource: 'crm/public.customers', field: 'ssn', strategy: 'last4' },
      { control: 'CF-01', resource: 'crm/public.customers', field: 'email', strategy: 'redact' },
    ]
    const other = [{ action: 'select', resource: 'crm/public.overview' }]

    it('follow what is accessed', () => {
      expect(uniteObligations([masked], operation(), now).masks).toEqual(rules)
      expect(uniteObligations([masked], operation({ accesses: other }), now).masks).toEqual([])
    })

    it('follow what a view reaches', () => {
      const view = operation({ accesses: other, reaches: ['crm/public.customers'] })
      expect(uniteObligations([masked], view, now)).toMatchObject({ masks: rules, controls: ['CF-01'] })
    })

    it('follow an operation that may reach anything in its target, and stay out of other targets', () => {
      expect(uniteObligations([masked], operation({ accesses: other, opaque: true }), now).masks).toEqual(rules)
      expect(
        uniteObligations([masked], operation({ target: 'api', accesses: other, opaque: true }), now).masks,
      ).toEqual([])
    })

    it('apply whatever the action and the risk, and have no observe mode', () => {
      const narrow = {
        ...masked,
        covers: { ...masked.covers, actions: ['select'], risk: 'high' as const },
        mode: { observeUntil: '2026-03-01' },
      }
      expect(uniteObligations([narrow], update, now)).toMatchObject({ masks: rules, observed: [] })
    })
  })

  describe('in observe mode', () => {
    const observed = { ...grant('A', 15 * minute), mode: { observeUntil: '2026-02-15' } }

    it('are recorded, not required', () => {
      const united = uniteObligations([observed, grant('B', 30 * minute)], update, now)
      expect(united.observed).toEqual([{ control: 'A', grant: true, approval: false }])
      expect(united.grant).toMatchObject({ longestMs: 30 * minute, controls: ['B'] })
      expect(united.controls).toEqual(['A', 'B'])
    })

    it('are required from the date on', () => {
      const last = Date.parse('2026-02-15T00:00:00Z')
      expect(uniteObligations([observed], update, last - 1).grant).toBeUndefined()
      expect(uniteObligations([observed], update, last)).toMatchObject({ grant: { controls: ['A'] }, observed: [] })
    })

    it('are required where the date cannot be read', () => {
      expect(uniteObligations([{ ...observed, mode: { observeUntil: 'someday' } }], update, now).grant).toBeDefined()
    })
  })

  it('begin when their control takes effect', () => {
    const coming = { ...grant('A', 15 * minute), effective: { from: '2026-02-02' } }
    expect(uniteObligations([coming], update, now).controls).toEqual([])
    expect(uniteObligations([coming], update, Date.parse('2026-02-02')).controls).toEqual(['A'])
    expect(uniteObligations([{ ...coming, effective: { from: 'someday' } }], update, now).controls).toEqual(['A'])
  })

  it('let go of durability only where every control does, for a pure read', () => {
    const relaxed = control('A', { durability: 'written' })
    expect(uniteObligations([relaxed], operation(), now).durability).toBe('written')
    expect(uniteObligations([relaxed], update, now).durability).toBe('durable')
    expect(uniteObligations([relaxed, control('B')], operation(), now).durability).toBe('durable')
    expect(uniteObligations([], operation(), now).durability).toBe('durable')
  })
})

describe('the terms of a grant', () => {
  it('are those of every control that the asked-for resources could fall under', () => {
    const controls = [grant('A', 15 * minute), grant('B', 30 * minute), control('C')]
    const terms = grantTerms(controls, [{ action: 'update', resource: 'crm/**' }], now)
    expect(terms).toMatchObject({ longestMs: 15 * minute, controls: ['A', 'B'] })
    expect(grantTerms(controls, [{ action: '*', resource: 'crm/public.orders' }], now)).toMatchObject({
      controls: ['A', 'B'],
    })
    expect(grantTerms(controls, [{ action: 'select', resource: 'crm/**' }], now)).toBeUndefined()
    expect(grantTerms(controls, [{ action: 'update', resource: 'api/**' }], now)).toBeUndefined()
  })
})
