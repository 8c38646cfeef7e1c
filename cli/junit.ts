/**
 * Verifications as JUnit XML, which CI systems show: a suite for each ledger or bundle, a case for each step. Hostile text stays text.
 */
import { writeFile } from 'node:fs/promises'
import type { Finding, Step, Verdict, VerifiedBundle, VerifiedMember } from '../evidence/index.ts'
import { Misuse } from '../lib/errors.ts'
import { counted } from '../lib/format/words.ts'

export interface Suite {
  /** Its origin; where that is not known, as it was given. */
  readonly name: string
  readonly verdict: Verdict
  readonly steps: readonly Step[]
  readonly findings: readonly Told[]
  /** What the verdict is about, where no finding says so. */
  readonly detail: string
  /** Said with the verdict. */
  readonly text: string
  readonly undetectable: string
}

type Told = Pick<Finding, 'what' | 'file' | 'index' | 'expected' | 'actual'> & { readonly code: string }

export const ledgerSuite = ({ ledger, verification }: VerifiedMember): Suite => ({
  ...verification,
  ...{ name: verification.origin ?? ledger, detail: verification.integrity.detail },
  text: counted(verification.size, 'entry'),
})

/** @param text what is so of it, in a sentence */
export const bundleSuite = ({ bundle: name, verification }: VerifiedBundle, text: string): Suite => ({
  ...{ ...verification, name, detail: text, text },
})

/** @param command that verified them */
export function junit(all: readonly Suite[], command = 'verify'): string {
  const suites = all.map(suite)
  const sum = (count: (one: Suite) => number) => all.reduce((total, one) => total + count(one), 0)
  const tests = sum(one => one.steps.length + (verdictAlone(one) ? 1 : 0))
  const failures = sum(failedIn)
  const counts = `tests="${tests}" failures="${failures}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="counterfoil ${command}" ${counts}>\n${suites.join('')}</testsuites>\n`
}

const failedIn = (one: Suite) =>
  // A verdict that no step failed for still fails the suite: by a case of its own.
  one.steps.filter(({ status }) => status === 'failed').length + (verdictAlone(one) ? 1 : 0)

const verdictAlone = ({ verdict, steps }: Suite) => verdict !== 'OK' && steps.every(({ status }) => status !== 'failed')

function suite(one: Suite): string {
  const { verdict, steps, findings, undetectable } = one
  const name = escaped(one.name)
  const cases = steps.map(({ name: step, status, detail }) => {
    const open = `  <testcase classname="${name}" name="${escaped(step)}"`
    if (status === 'ok') return `${open}/>\n`
    if (status === 'not-examined') return `${open}><skipped message="${escaped(detail)}"/></testcase>\n`
    return `${open}><failure type="${escaped(verdict)}" message="${escaped(detail)}"/></testcase>\n`
  })
  if (verdictAlone(one)) {
    const failure = `<failure type="${escaped(verdict)}" message="${escaped(one.detail)}"/>`
    cases.push(`  <testcase classname="${name}" name="verdict">${failure}</testcase>\n`)
  }
  const text = [`${verdict}: ${one.text}`, ...findings.map(lineOf), undetectable].join('\n')
  const counts = `tests="${cases.length}" failures="${failedIn(one)}"`
  return `<testsuite name="${name}" ${counts}>\n${cases.join('')}  <system-out>${escaped(text)}</system-out>\n</testsuite>\n`
}

/** @throws Misuse ERR_OPTION_INVALID */
export async function writeReport(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((error: unknown) => {
    throw new Misuse('ERR_OPTION_INVALID', `--junit ${file}: the file cannot be written`, {}, error)
  })
}

export function lineOf({ code, what, file, index, expected, actual }: Told): string {
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
