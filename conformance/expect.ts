/** What a case expects, in whichever test runner: a partial comparison, and a look that is repeated until it holds. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'

/** Members that are named must be alike; arrays as long. A regular expression is matched, a function asked. */
export function like(actual: unknown, expected: unknown): void {
  if (!isLike(actual, expected)) {
    assert.fail(`expected ${inspect(actual, { depth: 6 })} to be like ${inspect(expected, { depth: 6 })}`)
  }
}

function isLike(actual: unknown, expected: unknown): boolean {
  if (typeof expected === 'function') return expected(actual) === true
  if (expected instanceof RegExp) return typeof actual === 'string' && expected.test(actual)
  if (Array.isArray(expected)) {
    return Array.isArray(actual) && actual.length === expected.length && expected.every((e, i) => isLike(actual[i], e))
  }
  if (typeof expected === 'object' && expected !== null) {
    if (typeof actual !== 'object' || actual === null) return false
    return Object.entries(expected).every(([name, value]) => isLike((actual as Record<string, unknown>)[name], value))
  }
  return Object.is(actual, expected)
}

/** Machines are slow at times; what must be quick is given a limit of its own. @param withinMs 10 000 */
export async function eventually<T>(look: () => T | Promise<T>, expected: unknown, withinMs = 10_000): Promise<void> {
  const until = performance.now() + withinMs
  for (;;) {
    const actual = await look()
    if (isLike(actual, expected)) return
    if (performance.now() > until) like(actual, expected)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** @throws where the text holds it: a secret is not shown again in the message */
export function holdsNot(where: string, text: string, secret: string, what: string): void {
  assert.ok(!text.includes(secret), `${where} holds ${what}`)
}
