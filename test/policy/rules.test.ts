/** The rules file and the model: what is malformed is named with its place, and nothing is skipped over. */
import { describe, expect, it } from 'vitest'
import { checkModel, defaultModel } from '../../lib/policy/model.ts'
import { isSubjectId, readRules } from '../../lib/policy/rules.ts'

const read = (text: string, targets?: string[]) => readRules(text, { file: 'policy.csv', targets })

describe('rules', () => {
  it('are read with comments, blank lines and either line ending', () => {
    const { rules, problems } = read('# rights\r\n\r\np, role:a, crm/**, select, allow\r\n  g, x@y.example, role:a\n')
    expect(problems).toEqual([])
    expect(rules.rights).toEqual([{ subject: 'role:a', resource: 'crm/**', action: 'select', effect: 'allow' }])
    expect(rules.memberships).toEqual([{ member: 'x@y.example', role: 'role:a', line: 4 }])
  })

  // biome-ignore format: a table
  const bad: [string, string, number, number, RegExp][] = [
    ['an unknown kind',              'q, a, b, c, allow',                     1,  1, /starts with p .* or g/],
    ['a right without an effect',    'p, role:a, crm/**, select',             1, 26, /five fields/],
    ['a right with a field more',    'p, role:a, crm/**, select, allow, x',   1, 35, /five fields/],
    ['an unknown effect',            'p, role:a, crm/**, select, permit',     1, 28, /neither allow nor deny/],
    ['an effect in capitals',        'p, role:a, crm/**, select, Allow',      1, 28, /neither allow nor deny/],
    ['an empty subject',             'p, , crm/**, select, allow',            1,  4, /neither a subject nor a role/],
    ['an empty resource',            'p, role:a, , select, allow',            1, 12, /not a resource/],
    ['an empty action',              'p, role:a, crm/**, , allow',            1, 20, /not an action/],
    ['quotes that join fields',      'p, role:a, "crm/a,b", select, allow',   1, 31, /five fields/],
    ['a resource of no target',      '\np, role:a, cmr/**, select, allow',    2, 12, /can never match/],
    ['a resource without a target',  'p, role:a, crm, select, allow',         1, 12, /can never match/],
    ['an address in capitals',       'p, DBA@crm.example, crm/**, *, allow',  1,  4, /can never match/],
    ['a person used as a role',      'g, a@y.example, b@y.example',           1, 17, /not a role/],
    ['a role without a name',        'g, a@y.example',                        1, 15, /three fields/],
    ['the same rule twice',          'g, a@y.example, role:a\ng,a@y.example,role:a', 2, 1, /same rule as in line 1/],
    ['a role that contains itself',  'g, role:a, role:a',                     1,  1, /contains itself/],
  ]

  it.each(bad)('refuse %s', (_, text, line, column, message) => {
    expect(read(text, ['crm']).problems).toEqual([
      expect.objectContaining({ file: 'policy.csv', line, column, message: expect.stringMatching(message) }),
    ])
  })

  it('refuse a circle of roles, naming every line of it', () => {
    const { problems } = read('g, role:a, role:b\ng, role:b, role:c\ng, role:c, role:a\ng, x@y.example, role:a')
    expect(problems.map(p => p.line)).toEqual([1, 2, 3])
  })

  it('report all problems, not the first alone', () => {
    expect(read('x\ny\nz').problems).toHaveLength(3)
  })

  it('take only names that policy can tell apart for subjects', () => {
    expect(['dba@crm.example', 'agent:crm-assistant', 'svc-1'].every(isSubjectId)).toBe(true)
    expect(['', 'role:dba', 'a,b', 'a b', 'DBA@crm.example', 'é', 'a\n', 'x'.repeat(257)].some(isSubjectId)).toBe(false)
  })
})

describe('models', () => {
  it('may be the shipped one, or match in another way', () => {
    expect(checkModel(defaultModel, 'm.conf')).toEqual([])
    expect(
      checkModel(defaultModel.replace('glob(r.act, p.act)', '(r.act == p.act || p.act == "*")'), 'm.conf'),
    ).toEqual([])
  })

  // biome-ignore format: a table
  const bad: [string, string, string, RegExp][] = [
    ['an effect without deny-overrides', ' && !some(where (p.eft == deny))', '',             /policy_effect/],
    ['rights without an effect',         'p = sub, obj, act, eft', 'p = sub, obj, act',      /policy_definition/],
    ['a matcher that looks at no rule',  'glob(r.act, p.act) && glob(r.obj, p.obj) && g(r.sub, p.sub)', 'true', /look at p.sub/],
    ['a matcher that backtracks',        'glob(r.obj, p.obj)', 'regexMatch(r.obj, p.obj)',   /not regexMatch/],
    ['a matcher that evaluates rules',   'g(r.sub, p.sub)', 'g(r.sub, p.sub) && eval(p.obj)', /not eval/],
    ['a second matcher',                 '[matchers]', '[matchers]\nm = glob(r.act, p.act)', /defined twice/],
    ['an unknown section',               '[matchers]', '[constraint_definition]\nc = x\n[matchers]', /unknown definition/],
    ['a line that is none',              '[matchers]', 'garbage\n[matchers]',                /neither/],
  ]

  it.each(bad)('are refused with %s', (_, from, to, message) => {
    const problems = checkModel(defaultModel.replace(from, to), 'm.conf')
    expect(problems.map(p => p.message).join('\n')).toMatch(message)
  })
})
