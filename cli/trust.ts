/** What a verification trusts, and what it prints: the pinned OpenPGP key from outside, the verdicts, and what cannot be known. */
import { readFile } from 'node:fs/promises'
import type { Step, Verdict } from '../evidence/index.ts'
import { isOurs, Misuse } from '../lib/errors.ts'
import { parseFingerprint, readCertificate } from '../lib/openpgp.ts'
import { type ExitStatus, exit } from './exit.ts'
import { isFingerprint, wrongKey } from './given-keys.ts'
import { colour, type Output, painted } from './output.ts'

export interface Trusted {
  readonly fingerprint: string
  readonly certificate?: string
}

/** @param key a fingerprint, or the file of a certificate that came from outside. @throws Misuse ERR_OPTION_INVALID */
export async function trusted(key: string | undefined, option = '--key'): Promise<Trusted> {
  if (key === undefined) throw new Misuse('ERR_OPTION_INVALID', notGiven(option))
  if (isFingerprint(key)) return { fingerprint: parseFingerprint(key) }
  const certificate = await readFile(key, 'utf8').catch((error: unknown) => {
    throw wrongKey(option, 'seal', key, error)
  })
  const { fingerprint } = await readCertificate(certificate).catch((error: unknown) => {
    if (!isOurs(error)) throw error
    throw wrongKey(option, 'seal', certificate, error)
  })
  return { certificate, fingerprint }
}

const notGiven = (option: string) =>
  `${option} is missing: the owner's OpenPGP fingerprint, or the file of the certificate, from the owner and not from what is verified; they find it with "counterfoil keys show"`

// biome-ignore format: a table
const statusOf: Record<Verdict, ExitStatus> = {
  OK:         exit.good,
  TAMPERED:   exit.broken,
  INCOMPLETE: exit.incomplete,
}

export const verdictStatus = (verdict: Verdict): ExitStatus => statusOf[verdict]

export function printSteps(out: Output, steps: readonly Step[]): void {
  const mark = { ok: colour.green('ok  '), failed: colour.red('FAIL'), 'not-examined': colour.yellow('  - ') }
  for (const { name, status, detail } of steps) out.wrapped(painted`${mark[status]}  ${name}: ${detail}`, 6)
}

interface Found {
  readonly code: string
  readonly what: string
  readonly file?: string
  readonly index?: number
  readonly expected?: string
  readonly actual?: string
}

const mostShown = 20

export function printFindings(out: Output, findings: readonly Found[]): void {
  for (const { code, what, file, index, expected, actual } of findings.slice(0, mostShown)) {
    const where = [file, index === undefined ? undefined : `entry ${index}`].filter(
      part => part !== undefined && !says(what, part),
    )
    const at = where.length > 0 ? ` (${where.join(', ')})` : ''
    out.wrapped(painted`${colour.red(code)}  ${what}${at}`, 6)
    if (expected !== undefined) out.line(`      expected ${expected}`)
    if (actual !== undefined) out.line(`      actual   ${actual}`)
  }
  if (findings.length > mostShown) out.line(`... and ${findings.length - mostShown} more; --json lists them all`)
}

/** Whether a sentence names it already, and not just one that begins like it: entry 6 is not entry 64. */
const says = (what: string, part: string): boolean =>
  what
    .split(part)
    .slice(1)
    .some(rest => !/^[\w./-]*\w/.test(rest))

export function printVerdict(out: Output, verdict: Verdict, text: string): void {
  const paint = { OK: colour.green, TAMPERED: colour.red, INCOMPLETE: colour.yellow }[verdict]
  out.wrapped(painted`${paint(colour.bold(verdict))}  ${text}`, verdict.length + 2)
}
