/** `counterfoil verify`: whether ledgers are what they were, each against a key and a checkpoint from outside. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import {
  type Verdict,
  type Verification,
  type VerifiedMember,
  type VerifyOptions,
  verifySeries,
} from '../../evidence/index.ts'
import { Misuse } from '../../lib/errors.ts'
import { counted } from '../../lib/format/words.ts'
import { type AnchorChoice, anchorsOf, readText, withAnchors } from '../anchors.ts'
import { annotations } from '../annotations.ts'
import { ledgerConclusion } from '../conclusion.ts'
import { junit, ledgerSuite, writeReport } from '../junit.ts'
import { type Output, output, visible } from '../output.ts'
import { progressOn } from '../progress.ts'
import { printFindings, printSteps, printVerdict, trusted, verdictStatus } from '../trust.ts'
import { count, period, repeatable } from '../values.ts'

interface Options extends AnchorChoice {
  readonly key?: string
  readonly pin: readonly string[]
  readonly first?: boolean
  readonly incremental?: boolean
  readonly search?: number
  readonly vault?: string
  readonly depth?: 'envelopes' | 'all'
  /** Milliseconds. */
  readonly cosignedWithin?: number
  readonly ca?: string
  readonly junit?: string
  readonly json?: boolean
}

export function verify(program: Command): void {
  const command = program
    .command('verify')
    .description('verify ledgers against a key and a checkpoint that come from outside them')
    .argument(
      '<ledger...>',
      "a ledger's directory, or the https address where it is published, with all that follow it; several of the same key",
    )
    .option('--key <where>', 'the OpenPGP fingerprint, or the file of the certificate, as given to you from outside')
    .addOption(
      repeatable(
        '--pin <file>',
        "this verifier's own checkpoint, kept where the ledger's operators cannot write; renewed on success. One for each ledger",
      ),
    )
    .option('--first', 'there is no pin yet: write the first')
    .option('--incremental', 'go on from the pin: entries before it are proven, and not read again')
    .option('--vault <file>', "the vault's key (keys/vault.key), to examine disclosures too")
    .option(
      '--search <entries>',
      'at an address, how many entries to look through for the rotation that leads to who signed (default: 16777216)',
      count('--search'),
    )
    .option('--depth <depth>', 'envelopes, or all (needs --vault)')
  withAnchors(command)
    .option(
      '--cosigned-within <duration>',
      'a quorum of the witnesses must have cosigned so short a time ago (90m, 2d), and all that is older: else INCOMPLETE',
      period('--cosigned-within'),
    )
    .option('--ca <file>', 'authorities to trust for an https address, in place of those of the system')
    .option('--junit <file>', 'also write what was found as JUnit XML')
    .option('--json', 'print one JSON document; of several ledgers, a list')
    .action(async (ledgers: string[], options: Options) => {
      requireSense(ledgers, options)
      const out = output(options.json === true)
      const given = await optionsOf(options)
      const all: VerifiedMember[] = []
      for (const [i, ledger] of ledgers.entries()) {
        const pin = options.pin[i]
        const progress = progressOn(process.stderr, visible(ledger))
        const watched = options.json === true ? {} : { progress }
        const verified = await verifySeries({
          directory: ledger,
          ...given,
          ...watched,
          ...(pin === undefined ? {} : { pin }),
        }).finally(() => progress.end())
        all.push(...verified)
        const isOne = ledgers.length === 1 && verified.length === 1
        if (!out.json) for (const one of verified) print(out, one.verification, isOne ? undefined : one.ledger)
      }
      process.exitCode = verdictStatus(worstOf(all.map(({ verification }) => verification.verdict)))
      if (options.junit !== undefined) await writeReport(options.junit, junit(all.map(ledgerSuite)))
      if (!out.json && process.env.GITHUB_ACTIONS === 'true')
        for (const line of annotations(all.map(ledgerSuite))) out.line(line)
      const results = all.map(({ verification }) => verification)
      out.result(results.length === 1 ? results[0] : results, () => {})
    })
}

/** @throws Misuse ERR_OPTION_INVALID */
function requireSense(
  ledgers: readonly string[],
  { pin, first, incremental, depth, vault, cosignedWithin, witness }: Options,
): void {
  const requires = (holds: boolean, what: string) => {
    if (!holds) throw new Misuse('ERR_OPTION_INVALID', what)
  }
  requires(depth === undefined || ['envelopes', 'all'].includes(depth), '--depth is envelopes or all')
  requires(depth !== 'all' || vault !== undefined, "--depth all needs --vault: the file of the vault's key")
  requires(first !== true || pin.length > 0, '--first needs --pin: the file where the first pin is to be kept')
  requires(cosignedWithin === undefined || witness.length > 0, '--cosigned-within needs --witness: whose cosignatures')
  requires(incremental !== true || pin.length > 0, '--incremental needs --pin: the checkpoint to go on from')
  requires(incremental !== true || depth !== 'all', '--incremental examines envelopes: --depth all reads everything')
  const each = `each ledger has a pin of its own: ${counted(ledgers.length, 'ledger')}, ${counted(pin.length, 'pin')}`
  requires(pin.length === 0 || pin.length === ledgers.length, each)
  requires(new Set(pin).size === pin.length, 'two ledgers cannot share a pin')
  const taken = first === true ? pin.find(file => existsSync(file)) : undefined
  requires(taken === undefined, `--first, and there is a pin already: ${taken}; leave --first out`)
}

type Given = Omit<VerifyOptions, 'directory' | 'pin' | 'progress'>

async function optionsOf(options: Options): Promise<Given> {
  const { key, first, incremental, search, vault, depth, ca, cosignedWithin } = options
  const wrappingKey = vault === undefined ? undefined : await vaultKey(vault)
  const authorities = ca === undefined ? undefined : await readText('--ca', ca)
  return {
    ...(await trusted(key)),
    ...(first === undefined ? {} : { first }),
    ...(incremental === undefined ? {} : { incremental }),
    ...(search === undefined ? {} : { search }),
    ...(wrappingKey === undefined ? {} : { wrappingKey }),
    ...(depth === undefined ? {} : { depth }),
    ...(authorities === undefined ? {} : { ca: authorities }),
    anchors: {
      ...(await anchorsOf(options)),
      ...(cosignedWithin === undefined ? {} : { cosignedWithinMs: cosignedWithin }),
    },
  }
}

const severity: readonly Verdict[] = ['OK', 'INCOMPLETE', 'TAMPERED']
const worstOf = (verdicts: readonly Verdict[]): Verdict => severity.findLast(one => verdicts.includes(one))!

function print(out: Output, result: Verification, ledger: string | undefined): void {
  if (ledger !== undefined) out.line(ledger)
  printSteps(out, result.steps)
  printFindings(out, result.findings)
  out.line()
  out.wrapped(`integrity:    ${result.integrity.verdict}: ${result.integrity.detail}`, 14)
  out.wrapped(`completeness: ${result.completeness.verdict}: ${result.completeness.detail}`, 14)
  out.wrapped(result.undetectable, 0)
  printVerdict(out, result.verdict, ledgerConclusion(result))
  if (ledger !== undefined) out.line()
}

/** @throws Misuse ERR_OPTION_INVALID */
export async function vaultKey(file: string, option = '--vault'): Promise<Buffer> {
  const key = Buffer.from((await readText(option, file)).trim(), 'base64url')
  if (key.length !== 32) throw new Misuse('ERR_OPTION_INVALID', `${option} ${file}: not 32 bytes in base64url`)
  return key
}
