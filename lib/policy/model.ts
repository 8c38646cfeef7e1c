/**
 * The Casbin model: the one that is shipped, and what another may be. A model can say how rights are matched; it can not turn
 * deny-overrides off, match regardless of the rules, or call what backtracks (`regexMatch`) or evaluates rules as code (`eval`).
 */
import type { Problem } from '../problem.ts'

export const defaultModel = `[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act, eft

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = glob(r.act, p.act) && glob(r.obj, p.obj) && g(r.sub, p.sub)
`

// biome-ignore format: a table
const fixed: readonly (readonly [section: string, key: string, value: string])[] = [
  ['request_definition', 'r', 'sub, obj, act'],
  ['policy_definition',  'p', 'sub, obj, act, eft'],
  ['role_definition',    'g', '_, _'],
  ['policy_effect',      'e', 'some(where (p.eft == allow)) && !some(where (p.eft == deny))'],
]

const callable = new Set(['g', 'glob'])

/** @returns every problem found. */
export function checkModel(text: string, file: string): Problem[] {
  const problems: Problem[] = []
  const values = new Map<string, { value: string; line: number }>()
  let section = ''
  for (const [index, whole] of text.split(/\r?\n/).entries()) {
    const line = index + 1
    const bare = whole.trim()
    if (bare === '' || bare.startsWith('#')) continue
    const header = /^\[([a-z_]+)\]$/.exec(bare)
    const pair = /^([a-z]) *= *(.+)$/.exec(bare)
    if (header !== null) section = header[1]!
    else if (pair === null)
      problems.push({ file, line, column: 1, message: 'neither a [section] nor a line KEY = VALUE' })
    else {
      const name = `${section}.${pair[1]}`
      const known = name === 'matchers.m' || fixed.some(([s, k]) => name === `${s}.${k}`)
      if (!known) problems.push({ file, line, column: 1, message: `unknown definition ${name}` })
      else if (values.has(name)) problems.push({ file, line, column: 1, message: `${name} is defined twice` })
      values.set(name, { value: pair[2]!, line })
    }
  }
  for (const [s, k, expected] of fixed) {
    const found = values.get(`${s}.${k}`)
    if (found === undefined || squeeze(found.value) !== squeeze(expected)) {
      problems.push({ file, line: found?.line ?? 1, column: 1, message: `[${s}] must be ${k} = ${expected}` })
    }
  }
  const matcher = values.get('matchers.m')
  for (const message of checkMatcher(matcher?.value ?? '')) {
    problems.push({ file, line: matcher?.line ?? 1, column: 1, message })
  }
  return problems
}

const squeeze = (text: string) => text.replaceAll(/\s+/g, '')

function checkMatcher(matcher: string): string[] {
  const called = [...matcher.matchAll(/([A-Za-z_]\w*)\s*\(/g)].map(match => match[1]!)
  return [
    ...['p.sub', 'p.obj', 'p.act']
      .filter(part => !matcher.includes(part))
      .map(part => `the matcher must look at ${part}`),
    ...called.filter(name => !callable.has(name)).map(name => `the matcher may call glob and g, not ${name}`),
  ]
}
