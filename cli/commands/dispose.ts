/** `counterfoil dispose`: two people, each with a key of their own, dispose of the oldest ledger of the series; its last checkpoint is left. */
import type { Command } from 'commander'
import { loadConfig } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { readSecret } from '../credentials.ts'
import { withCustody } from '../custody.ts'
import { output } from '../output.ts'

interface Options {
  readonly basis: string
  readonly ground: string
  readonly key?: string
  readonly approver?: string
  readonly config: string
  readonly json?: boolean
}

export function dispose(program: Command): void {
  program
    .command('dispose')
    .description('dispose of the oldest ledger of the series, once it was kept for as long as ledger.retention says')
    .requiredOption('--basis <text>', 'why it may be disposed of, in full; disclosed to who has the key of the vault')
    .option('--ground <word>', 'why, as a word in clear', 'retention')
    .option('--key <where>', 'of who asks for it: env:NAME or file:PATH; else it is typed')
    .option('--approver <where>', 'the key of another person, who approves it: env:NAME or file:PATH; else it is typed')
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option('--json', 'print one JSON document')
    .action(async ({ basis, ground, key, approver: second, config, json }: Options) => {
      const out = output(json === true)
      if (!/^[\x21-\x7e]{1,64}$/.test(ground)) throw new Misuse('ERR_OPTION_INVALID', '--ground is one word')
      if (!process.stdin.isTTY && (key === undefined || second === undefined)) {
        throw new Misuse('ERR_OPTION_INVALID', 'two people must agree: name the keys of both with --key and --approver')
      }
      const { retentionMs } = (await loadConfig(config, { evidence: true })).ledger
      if (retentionMs === undefined) {
        throw new Misuse(
          'ERR_OPTION_INVALID',
          `${config} does not say for how long ledgers are kept (ledger.retention)`,
        )
      }
      const secrets = [
        await readSecret(key, 'key of who asks for it'),
        await readSecret(second, 'key of who approves it'),
      ]
      await withCustody(config, secrets, { alone: true }, async (custodian, [by, approver]) => {
        const { origin, size, index } = await custodian.dispose(by!, approver!, { ground, basis, retentionMs })
        out.result({ origin, size, index, by: by!.id, approver: approver!.id }, () => {
          out.line(
            `disposed of: ${origin}, ${size} entries; entry #${index} says so, by ${by!.id}, approved by ${approver!.id}`,
          )
          out.line('its last checkpoint and its keys are left; copies and backups are not reached from here')
        })
      })
    })
}
