/** What a verification trusts, and what it prints: the pinned OpenPGP key from outside, the verdicts, and what cannot be known. */
import { readFile } from 'node:fs/promises'
import type { Step, Verdict } from '../evidence/index.ts'
import { Misuse } from '../lib/errors.ts'
import { parseFingerprint, readCertificate } from '../lib/openpgp.ts'
import { type ExitStatus, exit } from './exit.ts'
import { colour, type Output } from './output.ts'

export interface Trusted {
  readonly fingerprint: string
  readonly certificate?: string
}

/** @param key a fingerprint, or the file of a certificate that came from outside. @throws Misuse ERR_OPTION_INVALID */
export async function trusted(key: string): Promise<Trusted> {
  if (/^([0-9a-fA-F]{4}\s*){10}$/.test(key)) return { fingerprint: parseFingerprint(key) }
  const certificate = await readFile(key, 'utf8').catch((error: unknown) => {
    throw new Misuse('ERR_OPTION_INVALID', `--key ${key}: neither a fingerprint nor a file that can be read`, {}, error)
  })
  return { certificate, fingerprint: (await readCertificate(certificate)).fingerprint }
}

// biome-ignore format: a table
const statusOf: Record<Verdict, ExitStatus> = {
  OK:         exit.good,
  TAMPERED:   exit.broken,
  INCOMPLETE: exit.incomplete,
}

export const verdictStatus = (verdict: Verdict): ExitStatus => statusOf[verdict]

export function printSteps(out: Output, steps: readonly Step[]): void {
  const mark = { ok: colour.green('ok  '), failed: colour.red('FAIL'), 'not-examined': colour.yellow('  - ') }
  for (const { name, status, detail } of steps) out.line(`${mark[status]}  ${name}: ${detail}`)
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
    const where = [file, index === undefined ? undefined : `entry ${index}`].filter(part => part !== undefined)
    out.line(`${colour.red(code)}  ${what}${where.length > 0 ? ` (${where.join(', ')})` : ''}`)
    if (expected !== undefined) out.line(`      expected ${expected}`)
    if (actual !== undefined) out.line(`      actual   ${actual}`)
  }
  if (findings.length > mostShown) out.line(`... and ${findings.length - mostShown} more; --json lists them all`)
}

export function printVerdict(out: Output, verdict: Verdict, text: string): void {
  const paint = { OK: colour.green, TAMPERED: colour.red, INCOMPLETE: colour.yellow }[verdict]
  out.line(`${paint(colour.bold(verdict))}  ${text}`)
}
