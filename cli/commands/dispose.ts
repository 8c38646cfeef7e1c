/**
 * `counterfoil dispose`: two people, each with a key of their own, dispose of the oldest
 * ledger of the series; its last checkpoint is left.
 */
import type { Command } from 'commander'
import { ledgerKeys } from '../../evidence/index.ts'
import { type Config, loadConfig } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { type Agreement, agreement, secretsOf, withCustody } from '../custody.ts'
import { ledgersOf } from '../ledgers.ts'
import { output, say } from '../output.ts'

export function dispose(program: Command): void {
  const command = program
    .command('dispose')
    .description('dispose of the oldest ledger of the series, once it was kept for as long as ledger.retention says')
  agreement(command, 'retention').action(async (options: Agreement) => {
    const { basis, ground, config, json } = options
    const out = output(json === true)
    const { retentionMs } = (await loadConfig(config, { evidence: true })).ledger
    if (retentionMs === undefined) {
      throw new Misuse('ERR_OPTION_INVALID', `${config} does not say for how long ledgers are kept (ledger.retention)`)
    }
    const secrets = await secretsOf(options)
    await sayWhomToTell(config)
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

/** Before it goes: nothing leads any more from the keys of before to the one that the next ledger begins with. */
async function sayWhomToTell(file: string): Promise<void> {
  const [oldest, next] = await ledgersOf(await loadConfig(file, { evidence: true }))
  if (next === undefined) return
  const seals = async ({ ledger }: Config) =>
    (await ledgerKeys(ledger.directory)).keys.filter(({ key }) => key === 'seal').map(({ id }) => id)
  const after = await seals(next)
  for (const id of (await seals(oldest)).filter(one => !after.includes(one)))
    say(
      `whoever pinned the OpenPGP key ${id} must be given the new fingerprint, ${after.at(-1)}: what leads to it goes with ${oldest.name}`,
    )
}
