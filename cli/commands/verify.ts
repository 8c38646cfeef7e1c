/** `counterfoil verify`: whether a ledger is what it was, against a key and a checkpoint from outside. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { verifyLedger } from '../../evidence/index.ts'
import { Misuse } from '../../lib/errors.ts'
import { ledgerConclusion } from '../conclusion.ts'
import { output } from '../output.ts'
import { printFindings, printSteps, printVerdict, trusted, verdictStatus } from '../trust.ts'

interface Options {
  readonly key: string
  readonly pin?: string
  readonly first?: boolean
  readonly vault?: string
  readonly depth?: 'envelopes' | 'all'
  readonly json?: boolean
}

export function verify(program: Command): void {
  program
    .command('verify')
    .description('verify a ledger against a key and a checkpoint that come from outside it')
    .argument('<ledger>', "the ledger's directory")
    .requiredOption(
      '--key <where>',
      'the OpenPGP fingerprint, or the file of the certificate, as given to you from outside',
    )
    .option(
      '--pin <file>',
      "this verifier's own checkpoint, kept where the ledger's operators cannot write; renewed on success",
    )
    .option('--first', 'there is no pin yet: write the first')
    .option('--vault <file>', "the vault's key (keys/vault.key), to examine disclosures too")
    .option('--depth <depth>', 'envelopes, or all (needs --vault)')
    .option('--json', 'print one JSON document')
    .action(async (ledger: string, options: Options) => {
      const out = output(options.json === true)
      const { first, depth } = options
      if (depth !== undefined && !['envelopes', 'all'].includes(depth)) {
        throw new Misuse('ERR_OPTION_INVALID', '--depth is envelopes or all')
      }
      if (depth === 'all' && options.vault === undefined) {
        throw new Misuse('ERR_OPTION_INVALID', "--depth all needs --vault: the file of the vault's key")
      }
      if (first === true && options.pin === undefined) {
        throw new Misuse('ERR_OPTION_INVALID', '--first needs --pin: the file where the first pin is to be kept')
      }
      const wrappingKey = options.vault === undefined ? undefined : await vaultKey(options.vault)
      const result = await verifyLedger({
        directory: ledger,
        ...(await trusted(options.key)),
        ...(options.pin === undefined ? {} : { pin: options.pin }),
        ...(first === undefined ? {} : { first }),
        ...(wrappingKey === undefined ? {} : { wrappingKey }),
        ...(depth === undefined ? {} : { depth }),
      })
      process.exitCode = verdictStatus(result.verdict)
      out.result(result, () => {
        printSteps(out, result.steps)
        printFindings(out, result.findings)
        out.line()
        out.line(`integrity:    ${result.integrity.verdict}: ${result.integrity.detail}`)
        out.line(`completeness: ${result.completeness.verdict}: ${result.completeness.detail}`)
        out.line(result.undetectable)
        printVerdict(out, result.verdict, ledgerConclusion(result))
      })
    })
}

/** @throws Misuse ERR_OPTION_INVALID */
export async function vaultKey(file: string, option = '--vault'): Promise<Buffer> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Misuse('ERR_OPTION_INVALID', `${option} ${file}: the file cannot be read`, {}, error)
  })
  const key = Buffer.from(text.trim(), 'base64url')
  if (key.length !== 32) throw new Misuse('ERR_OPTION_INVALID', `${option} ${file}: not 32 bytes in base64url`)
  return key
}
