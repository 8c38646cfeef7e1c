/** Masks on rows follow where a column comes from; what is unknown is sensitive. */
import { describe, expect, it } from 'vitest'
import type { MaskRule } from '../../lib/control.ts'
import { planRows } from '../../lib/masking/rows.ts'
import type { Column } from '../../lib/reply.ts'

const customers = ['crm/public.customers']
const ssn: MaskRule = { control: 'CF-01', resource: 'crm/public.customers', field: 'ssn', strategy: 'last4' }
const email: MaskRule = { control: 'CF-01', resource: 'crm/public.customers', field: 'email', strategy: 'redact' }
const column = (name: string, parts: Partial<Column> = {}): Column => ({
  name,
  field: name,
  resources: customers,
  ...parts,
})
const { field: _, ...nameless } = column('upper')

/** What each column shows for one value. */
const shown = (columns: Column[], rules: MaskRule[]) =>
  planRows(columns, rules).masks.map(mask => (mask === undefined ? '123-45-6789' : mask('123-45-6789')))

describe('rows', () => {
  it('are masked by the origin of a column, whatever its alias', () => {
    const columns = [column('id'), { ...column('ssn'), name: 'x' }, { ...column('id'), name: 'ssn' }]
    expect(shown(columns, [ssn])).toEqual(['123-45-6789', '****6789', '123-45-6789'])
    expect(planRows(columns, [ssn]).applied).toEqual(['CF-01:ssn:last4'])
  })

  it('are masked by a name in any case', () => {
    expect(shown([column('SSN'), column('ssns')], [ssn])).toEqual(['****6789', '123-45-6789'])
  })

  it('are left as they are in tables under no mask, and say that the field was absent', () => {
    const plan = planRows([column('ssn', { resources: ['crm/public.orders'] })], [ssn])
    expect(plan).toEqual({ masks: [undefined], applied: ['CF-01:ssn:absent'] })
  })

  it('are masked under an ancestor of their table', () => {
    expect(shown([column('ssn', { resources: ['crm/public.customers_2026', 'crm/public.customers'] })], [ssn])).toEqual(
      ['****6789'],
    )
  })

  it('redact a column of unknown origin, for every rule that it may hide', () => {
    const unknown = { ...nameless, resources: [] }
    expect(shown([unknown], [ssn, email])).toEqual(['[redacted]'])
    expect(planRows([unknown], [ssn, email]).applied).toEqual(['CF-01:email:redact', 'CF-01:ssn:redact'])
    expect(shown([nameless], [ssn])).toEqual(['[redacted]'])
    expect(shown([unknown], [])).toEqual(['123-45-6789'])
  })

  it('leave a column that is proved harmless', () => {
    expect(shown([{ ...nameless, resources: [], harmless: true }], [ssn])).toEqual(['123-45-6789'])
  })

  it('take the strictest of several rules', () => {
    const rules: MaskRule[] = [
      ssn,
      { ...ssn, control: 'CF-02', resource: 'crm/**', strategy: 'null' },
      { ...ssn, control: 'CF-03', strategy: 'redact' },
    ]
    expect(shown([column('ssn')], rules)).toEqual([null])
    expect(planRows([column('ssn')], rules).applied).toEqual(['CF-01:ssn:null', 'CF-02:ssn:null', 'CF-03:ssn:null'])
  })

  it('mask every column under a rule for all', () => {
    expect(shown([column('id'), column('ssn')], [{ ...ssn, field: '*', strategy: 'redact' }])).toEqual([
      '[redacted]',
      '[redacted]',
    ])
  })

  it('are searched by detectors, and tell what was found as it is', () => {
    const words = new Set<string>()
    const all: MaskRule = { ...ssn, field: '*', strategy: 'detect' }
    const { masks, applied } = planRows([column('note'), column('ssn')], [all, ssn], {}, word => words.add(word))
    expect(applied).toEqual(['CF-01:*:detect', 'CF-01:*:last4', 'CF-01:ssn:last4'])
    expect(masks.map(mask => mask!('it is 078-05-1120'))).toEqual(['it is [ssn]', '****1120'])
    expect([...words]).toEqual(['CF-01:*:detect:ssn'])
    expect(masks[0]!('nothing')).toBe('nothing')
  })

  it('redact what a view shows of a masked table, unless the view has a mask of its own', () => {
    const view = column('number', { resources: ['crm/public.overview'], through: customers })
    expect(shown([view], [ssn])).toEqual(['[redacted]'])
    expect(planRows([view], [ssn]).applied).toEqual(['CF-01:ssn:redact'])
    const own: MaskRule = { ...ssn, control: 'CF-04', resource: 'crm/public.overview', field: 'number' }
    expect(shown([view], [ssn, own])).toEqual(['****6789'])
    // By another name for a column, a rule for all would show more than the one that it is under.
    const all: MaskRule = { ...ssn, resource: 'crm/public.*', strategy: 'redact' }
    const phone: MaskRule = { ...all, field: 'phone', strategy: 'last4' }
    const renamed = column('phone', { resources: ['crm/public.overview'], through: customers })
    expect(shown([renamed], [all, phone])).toEqual(['[redacted]'])
  })

  it('are refused where a rule is a JSON pointer, which no column can be', () => {
    expect(() => planRows([column('ssn')], [{ ...ssn, field: '/ssn' }])).toThrowError(
      expect.objectContaining({ code: 'ERR_MASK_FAILED' }),
    )
  })

  it('write fields with strange names as words of an entry', () => {
    const { applied } = planRows([column('x')], [{ ...ssn, field: 'Tax Id: straße' }])
    expect(applied).toEqual(['CF-01:Tax%20Id%3A%20stra%C3%9Fe:absent'])
  })
})
