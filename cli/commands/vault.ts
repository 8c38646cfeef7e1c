/** `counterfoil vault rotate`: the keys of the vault, wrapped under a new key; the old one opens nothing any more. */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { loadConfig } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { forEachMember } from '../../lib/ledger/earlier.ts'
import { directoryOptions } from '../../lib/open.ts'
import { ledgersOf, requireClosed } from '../ledgers.ts'
import { output } from '../output.ts'
import { version } from '../version.ts'
import { vaultKey } from './verify.ts'

export function vault(program: Command): void {
  const group = program.command('vault').description("the vault's own key").exitOverride()
  group
    .command('rotate')
    .description('wrap every key of the vault under a new one; run again, it goes on where it was interrupted')
    .requiredOption('--to <file>', 'the file of the new key, or file:PATH; made where there is none')
    .option('--config <file>', 'counterfoil.yaml, which still names the old one', 'counterfoil.yaml')
    .option('--json', 'print one JSON document')
    .exitOverride()
    .action(async (options: { to: string; config: string; json?: boolean }) => {
      const out = output(options.json === true)
      const config = await loadConfig(options.config, { evidence: true })
      requireClosed(await ledgersOf(config))
      const file = resolve(options.to.replace(/^file:/, ''))
      const software = { software: `counterfoil/${version}`, placement: 'gateway', create: false } as const
      const series = await directoryOptions(config, software)
      const made = await makeKey(file)
      const [wrappingKey, formerWrappingKey] = [await vaultKey(file, '--to'), config.ledger.vaultKey]
      const former = Buffer.from(formerWrappingKey.reveal(), 'base64url')
      if (former.equals(wrappingKey)) {
        throw new Misuse(
          'ERR_OPTION_INVALID',
          `${options.config} names the key of --to already: name another file for the new one`,
        )
      }
      await forEachMember({ ...series, wrappingKey, formerWrappingKey: former }, async () => {})
      out.result({ key: file, made }, () => {
        out.line(`the vault is under the key of ${file}${made ? ', which is new: keep a copy elsewhere' : ''}`)
        out.line(
          `name it in ${options.config} (ledger.keys.vault), then destroy the old one: it opens nothing of this vault now,`,
        )
        out.line('and still opens older copies of it, and backups')
      })
    })
}

/** @returns whether it was made */
async function makeKey(file: string): Promise<boolean> {
  if ((await readFile(file).catch(() => undefined)) !== undefined) return false
  try {
    await writeFile(file, `${randomBytes(32).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    throw new Misuse('ERR_OPTION_INVALID', `--to ${file}: the file cannot be written`, {}, error)
  }
}
