/** Verifications as JUnit XML, which CI systems show: a suite for each ledger, a case for each step. Hostile text stays text. */
import type { Finding, Verification } from '../evidence/index.ts'

export interface Verified {
  /** As it was given. */
  readonly ledger: string
  readonly verification: Verification
}

export function junit(all: readonly Verified[]): string {
  const suites = all.map(suite)
  const sum = (count: (one: Verified) => number) => all.reduce((total, one) => total + count(one), 0)
  const tests = sum(({ verification: { verdict, steps } }) => steps.length + (verdictAlone(verdict, steps) ? 1 : 0))
  const failures = sum(failedIn)
  const counts = `tests="${tests}" failures="${failures}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="counterfoil verify" ${counts}>\n${suites.join('')}</testsuites>\n`
}

const failedIn = ({ verification: { verdict, steps } }: Verified) =>
  // A verdict that no step failed for still fails the suite: by a case of its own.
  steps.filter(({ status }) => status === 'failed').length + (verdictAlone(verdict, steps) ? 1 : 0)

const verdictAlone = (verdict: string, steps: Verification['steps']) =>
  verdict !== 'OK' && steps.every(({ status }) => status !== 'failed')

function suite(one: Verified): string {
  const { ledger, verification } = one
  const { verdict, steps, findings, undetectable } = verification
  const name = escaped(verification.origin ?? ledger)
  const cases = steps.map(({ name: step, status, detail }) => {
    const open = `  <testcase classname="${name}" name="${escaped(step)}"`
    if (status === 'ok') return `${open}/>\n`
    if (status === 'not-examined') return `${open}><skipped message="${escaped(detail)}"/></testcase>\n`
    return `${open}><failure type="${escaped(verdict)}" message="${escaped(detail)}"/></testcase>\n`
  })
  if (verdictAlone(verdict, steps)) {
    const failure = `<failure type="${escaped(verdict)}" message="${escaped(verification.integrity.detail)}"/>`
    cases.push(`  <testcase classname="${name}" name="verdict">${failure}</testcase>\n`)
  }
  const text = [`${verdict}: ${verification.size} entries`, ...findings.map(lineOf), undetectable].join('\n')
  const counts = `tests="${cases.length}" failures="${failedIn(one)}"`
  return `<testsuite name="${name}" ${counts}>\n${cases.join('')}  <system-out>${escaped(text)}</system-out>\n</testsuite>\n`
}

export function lineOf({ code, what, file, index, expected, actual }: Finding): string {
  const parts = [
    file,
    index === undefined ? undefined : `entry ${index}`,
    expected === undefined ? undefined : `expected ${expected}`,
    actual === undefined ? undefined : `actual ${actual}`,
  ].filter(part => part !== undefined)
  return `${code}: ${what}${parts.length > 0 ? ` (${parts.join(', ')})` : ''}`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/** XML 1.0 has no place for most control characters, nor for half a surrogate pair, however they are written. */
export const escaped = (text: string): string =>
  text
    .toWellFormed()
    .replaceAll(/[^\t\n\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replaceAll(/[&<>"']/g, character => entities[character]!)
