/** Whether the keys of a configuration are those that its ledger is written under now: where they are not, nothing opens it. */
import { ledgerKeys } from '../evidence/index.ts'
import type { Config } from '../lib/config/config.ts'
import { isOurs } from '../lib/errors.ts'
import { noteKeyOf } from '../lib/ledger/checkpoint.ts'
import { requireWrappingKey } from '../lib/ledger/rewrap.ts'
import { membersIn } from '../lib/ledger/series.ts'
import { expiresSoon } from '../lib/openpgp.ts'
import { configuredSealer } from '../lib/sealing.ts'
import { newestOf } from './ledgers.ts'

/** @returns what to say where the key that seals is to expire soon; undefined where no ledger is there yet */
export async function keyThatExpiresSoon({ ledger }: Config): Promise<string | undefined> {
  if ((await membersIn(ledger.directory)).length === 0) return undefined
  return expiresSoon((await configuredSealer(ledger.sealKey)).certificate)
}

/**
 * As the newest ledger of the series is published. @returns what does not fit, and what to do
 * about it; nothing where no ledger is there yet
 */
export async function keysThatDoNotFit(config: Config): Promise<readonly string[]> {
  if ((await membersIn(config.ledger.directory)).length === 0) return []
  const { name: origin, ledger } = await newestOf(config)
  const { directory } = ledger
  const { note, seal } = await ledgerKeys(directory)
  const problems: string[] = []
  const problem = (key: 'note' | 'seal', now: string) =>
    problems.push(
      `ledger.keys.${key} is not the key that speaks for ${directory} now, which is ${now}; ` +
        `name that one, or, where a rotation was cut off, finish it: counterfoil keys rotate ${key}`,
    )
  if (noteKeyOf(ledger.noteKey, origin).verifierKey !== note) problem('note', note)
  if ((await configuredSealer(ledger.sealKey)).fingerprint !== seal) problem('seal', seal)
  const wrappingKey = Buffer.from(ledger.vaultKey.reveal(), 'base64url')
  await requireWrappingKey({ directory, origin, wrappingKey }).catch((error: unknown) => {
    if (!isOurs(error)) throw error
    problems.push(error.message)
  })
  return problems
}
