/** controls.yaml: a promise that could not be kept, or would never be asked for, is an error before anything runs. */
import { describe, expect, it } from 'vitest'
import { parseControls } from '../../lib/config/controls.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import { load, problemsOf } from './support.ts'

const clock = { now: () => Date.parse('2026-02-01T12:00:00Z') }

const sample = `- id: AC-01
  title: A title
  owner: platform-security
  criteria: [CC6.1, C1.1]
  covers: { resource: crm/public.*, action: [update], risk: high }
  require:
    grant: { longest: 30m, reason: required, from: role:dba }
    approval: { people: 1, from: role:dba, within: 10m, wait: 20s }
  record: { response: digest }
  durability: written
  mode: observe
  until: 2026-03-01
  tests:
    - { population: select 1, exceptions: select 2 }
  effective: { from: 2026-01-01 }
- id: CF-01
  title: A mask
  criteria: [C1.1]
  covers: { resource: crm/public.customers }
  mask: { ssn: last4, "*": redact }
  thresholds: { revocation: 30s }
`

describe('controls', () => {
  it('are read whole', async () => {
    const { policy } = await load({ 'controls.yaml': sample }, { clock })
    expect(policy.controls).toEqual([
      {
        id: 'AC-01',
        title: 'A title',
        owner: 'platform-security',
        criteria: ['CC6.1', 'C1.1'],
        covers: { resource: 'crm/public.*', actions: ['update'], risk: 'high' },
        require: {
          grant: { longestMs: 1_800_000, reason: true, from: 'role:dba' },
          approval: { people: 1, from: 'role:dba', withinMs: 600_000, waitMs: 20_000 },
        },
        record: { response: 'digest' },
        durability: 'written',
        mode: { observeUntil: '2026-03-01' },
        tests: [{ population: 'select 1', exceptions: 'select 2' }],
        effective: { from: '2026-01-01' },
      },
      {
        id: 'CF-01',
        title: 'A mask',
        criteria: ['C1.1'],
        covers: { resource: 'crm/public.customers' },
        mask: { ssn: 'last4', '*': 'redact' },
        mode: 'enforce',
        tests: 'auto',
        thresholds: { revocationMs: 30_000 },
      },
    ])
    expect(policy.controlsText).toBe(sample)
  })

  it('have defaults for what an approval leaves out', async () => {
    const text =
      '- id: A\n  title: t\n  criteria: [CC6.1]\n  covers: { resource: crm/** }\n  require: { approval: {} }\n'
    const { policy } = await load({ 'controls.yaml': text })
    expect(policy.controls[0]?.require).toEqual({ approval: { people: 1, withinMs: 900_000, waitMs: 30_000 } })
  })

  // biome-ignore format: a table
  const table: [what: string, from: string, to: string, problem: string][] = [
    ['an unknown criterion',               '[CC6.1, C1.1]', '[CC6.1, CC61]',         '4:21: an unknown criterion; did you mean "CC6.1"?'],
    ['a recording of another kind',         'response: digest', 'response: plain',    '9:23: response: neither digest nor masked'],
    ['a criterion in lower case',          '[CC6.1, C1.1]', '[cc6.1, C1.1]',         '4:14: an unknown criterion; did you mean "CC6.1"?'],
    ['no criterion',                       '[CC6.1, C1.1]', '[]',                    '4:13: name one criterion at least'],
    ['a resource of no target',            'crm/public.*, action', 'cmr/public.*, action', '5:23: this control can never match; resources start with one of crm/, api/'],
    ['no action',                          '[update]', '[]',                         '5:45: an empty list covers nothing'],
    ['an unknown risk',                    'risk: high', 'risk: hihg',               '5:61: neither low nor high'],
    ['an unknown key within',              'longest:', 'longst:',                    '7:14: unknown key "longst"; did you mean "longest"?'],
    ['nobody to approve',                  'people: 1', 'people: 2',                 '8:34: 1 hold role:dba, of 2 who must approve; add to the rules: g, WHO, role:dba'],
    ['nobody in a role',                   'reason: required, from: role:dba', 'reason: required, from: role:cfo', '7:52: 0 hold role:cfo, of 1 who must approve; add to the rules: g, WHO, role:cfo'],
    ['no people',                          'people: 1', 'people: 0',                 '8:25: one at least'],
    ['half a person',                      'people: 1', 'people: 1.5',               '8:25: expected a whole number'],
    ['a wait beyond the time to approve',  'wait: 20s', 'wait: 11m',                 '8:63: an operation cannot be held for longer than its approval may take'],
    ['observing without an end',           '  until: 2026-03-01\n', '',              '11:9: observing must end; write until: DATE, at most 90 days ahead'],
    ['observing in the past',              'until: 2026-03-01', 'until: 2026-02-01', '12:10: observing has ended: the control is enforced; write mode: enforce'],
    ['observing for over 90 days',         'until: 2026-03-01', 'until: 2026-05-03', '12:10: observing must end within 90 days'],
    ['a date that is none',                'until: 2026-03-01', 'until: 2026-13-01', '12:10: there is no such date'],
    ['an end without observing',           'mode: observe', 'mode: enforce',         '12:10: only observing ends; write mode: observe, or leave until out'],
    ['an unknown test word',               'tests:\n    - { population: select 1, exceptions: select 2 }', 'tests: automatic', '13:10: neither auto nor a list of tests'],
    ['reconciling',                        'exceptions: select 2', 'exceptions: select 2, reconcile: []', '14:53: unknown key "reconcile"; not supported by this version'],
    ['an id that is taken',                'id: CF-01', 'id: AC-01',                 '16:7: the same id as the 1. control'],
    ['an id with a space',                 'id: CF-01', 'id: CF 01',                 '16:7: not an id: letters, digits, . _ and -, a letter first'],
    ['a mask that nobody knows',           '"*": redact', '"*": shuffle',            '20:28: not supported by this version: detect, last4, partial, hash, redact, null are'],
    ['a mask that hashes, without a key',  'ssn: last4', 'ssn: hash',                '20:16: there is no key to hash with; add to counterfoil.yaml: masking: { key: env:NAME }'],
    ['a mask that is narrowed',            'crm/public.customers }', 'crm/public.customers, risk: high }', '19:51: a mask applies to whatever could show the field; put the mask into a control of its own, without this'],
    ['a pointer over columns',             'ssn: last4', '/ssn: last4',              '20:17: a JSON pointer cannot mask columns, as in crm; name the column'],
    ['a name that would be lost',          '"*": redact', '__proto__: redact',       '20:23: this name cannot be used'],
    ['a mask without fields',              '{ ssn: last4, "*": redact }', '{}',      '20:9: a mask without a field'],
    ['patterns that nothing looks for',     'ssn: last4, "*": redact }', 'ssn: last4 }\n  patterns: { x: abc }', '21:13: nothing here looks for patterns; add to the mask a field, or "*", with detect'],
    ['no patterns',                        '"*": redact }', '"*": detect }\n  patterns: {}', '21:13: no pattern: leave it out'],
    ['a kind that is found already',       '"*": redact }', '"*": detect }\n  patterns: { email: abc }', '21:22: this kind is found already: choose another name'],
    ['a kind with a space',                '"*": redact }', '"*": detect }\n  patterns: { "a b": abc }', '21:15: not a kind: lower case letters, digits and -, a letter first, 32 at most'],
    ['a pattern that does not end',        '"*": redact }', "\"*\": detect }\n  patterns: { x: '(a' }", "21:18: not a pattern in RE2's syntax: missing closing )"],
    ['a pattern that looks ahead',         '"*": redact }', "\"*\": detect }\n  patterns: { x: '(?=a)b' }", "21:18: not a pattern in RE2's syntax: invalid or unsupported Perl syntax"],
    ['a pattern that refers back',         '"*": redact }', "\"*\": detect }\n  patterns: { x: '(a)\\1' }", "21:18: not a pattern in RE2's syntax: invalid escape sequence"],
    ['a pattern that matches nothing',     '"*": redact }', "\"*\": detect }\n  patterns: { x: '(EMP)?' }", '21:18: a pattern that also matches where there is nothing'],
    ['a pattern of a place only',          '"*": redact }', "\"*\": detect }\n  patterns: { x: '\\b' }", '21:18: a pattern that also matches where there is nothing'],
    ['a pattern that can never match',     '"*": redact }', "\"*\": detect }\n  patterns: { x: 'a[^\\x00-\\x{10FFFF}]' }", '21:18: a pattern that matches nothing'],
    ['a pattern without an end to it',     '"*": redact }', "\"*\": detect }\n  patterns: { x: 'EMP-\\d+' }", '21:18: a pattern that may match over 256 characters; say how many: {1,20} for +'],
    ['a pattern of too long a match',      '"*": redact }', "\"*\": detect }\n  patterns: { x: 'a{257}' }", '21:18: a pattern that may match over 256 characters; say how many: {1,20} for +'],
    ['a pattern that is too large',        '"*": redact }', "\"*\": detect }\n  patterns: { x: '(?:aa|bb){1,120}' }", '21:18: a pattern that would take too long'],
    ['a pattern that is too long',         '"*": redact }', `"*": detect }\n  patterns: { x: ${'a'.repeat(257)} }`, '21:18: a pattern of over 256 characters'],
    ['a pattern that is no text',          '"*": redact }', '"*": detect }\n  patterns: { x: 12 }', '21:18: expected text; in quotes this is text'],
    ['a threshold that is no duration',    'revocation: 30s', 'revocation: soon',    '21:29: not a duration: a whole number and one unit, as 30s, 15m, 8h, 30d'],
    ['a mask that only observes',          'title: A mask', 'title: A mask\n  mode: observe\n  until: 2026-03-01', '18:9: masks have no observe mode'],
  ]

  it.each(table)('are refused for %s', async (_, from, to, problem) => {
    expect(sample).toContain(from)
    expect(await problemsOf({ 'controls.yaml': sample.replace(from, to) }, { clock })).toEqual([
      `controls.yaml:${problem}`,
    ])
  })

  it('may have patterns of their own, which the digest of the policy covers', async () => {
    const text = sample.replace('"*": redact }', `"*": detect }\n  patterns: { employee-id: 'EMP-\\d{6}' }`)
    const { policy } = await load({ 'controls.yaml': text }, { clock })
    expect(policy.controls[1]?.patterns).toEqual({ 'employee-id': 'EMP-\\d{6}' })
    const digestOf = async (controlsText: string) =>
      (await casbinPolicy((await load({ 'controls.yaml': controlsText }, { clock })).policy)).digest
    expect(await digestOf(text.replace('{6}', '{7}'))).not.toBe(await digestOf(text))
    expect(parseControls(text)[1]?.patterns).toEqual({ 'employee-id': 'EMP-\\d{6}' })
  })

  it('may point into the answers of a service', async () => {
    const text = sample.replace('crm/public.customers', 'api/customers/*').replace('ssn: last4', '/items/*/ssn: last4')
    expect(await problemsOf({ 'controls.yaml': text }, { clock })).toEqual([])
  })

  it('may observe for 90 days and no longer', async () => {
    expect(await problemsOf({ 'controls.yaml': sample.replace('2026-03-01', '2026-05-02T12:00Z') }, { clock })).toEqual(
      [],
    )
    expect(
      await problemsOf({ 'controls.yaml': sample.replace('2026-03-01', '2026-05-02T12:01Z') }, { clock }),
    ).toHaveLength(1)
  })

  it('count people, not agents, and not one person twice', async () => {
    const rules =
      'g, dba@crm.example, role:a\ng, dba@crm.example, role:b\ng, role:a, role:dba\ng, role:b, role:dba\ng, agent:x, role:dba'
    const lines = await problemsOf(
      { 'policy.csv': rules, 'controls.yaml': sample.replace('people: 1', 'people: 2') },
      { clock },
    )
    expect(lines).toEqual([
      'controls.yaml:8:34: 1 hold role:dba, of 2 who must approve; add to the rules: g, WHO, role:dba',
    ])
  })
})
