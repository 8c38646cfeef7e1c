/**
 * Opens the ledger of a configuration for those who erase, hold and release: identified each by a key of their own, and closes it again.
 */
import type { Command } from 'commander'
import { type Config, loadConfig } from '../lib/config/config.ts'
import type { Custodian } from '../lib/custody/custodian.ts'
import { Misuse } from '../lib/errors.ts'
import type { Subject } from '../lib/identity/subject.ts'
import { openGuard } from '../lib/open.ts'
import { readSecret } from './credentials.ts'
import { ledgersOf, requireClosed } from './ledgers.ts'
import { version } from './version.ts'

/**
 * @param secrets a key or token for each person. @param alone whether nobody else may have the ledger open, shared as it may be
 * @throws LedgerError ERR_LEDGER_MISSING; ERR_LEDGER_LOCKED while a gateway writes to the ledger; whatever `work` throws
 */
export async function withCustody(
  config: string,
  secrets: readonly string[],
  { alone = false }: { readonly alone?: boolean },
  work: (custodian: Custodian, people: readonly Subject[]) => Promise<void>,
): Promise<void> {
  const software = `counterfoil/${version}`
  const loaded = await loadConfig(config, { evidence: true })
  const ledgers = await ledgersOf(loaded)
  if (alone) requireClosed(ledgers)
  const given = { ...loaded, ledger: { ...loaded.ledger, ...(alone ? { shared: false } : ownName(loaded)) } }
  const guard = await openGuard(given, { software, placement: 'gateway', create: false })
  try {
    const people: Subject[] = []
    for (const secret of secrets) people.push(await guard.identify({ kind: 'bearer', secret }))
    await work(guard.custodian, people)
  } finally {
    await guard.close()
  }
}

/**
 * Beside the process that the configuration is of, which may be at work under its own name:
 * of those that share a ledger each has another.
 */
const ownName = ({ ledger: { shared, writer } }: Config) =>
  shared ? { writer: `${writer.slice(0, longestName - operator.length)}${operator}` } : {}

const operator = '-operator'
const longestName = 63

/** What two people must say who have something destroyed. */
export interface Agreement {
  readonly basis: string
  readonly ground: string
  readonly key?: string
  readonly approver?: string
  readonly config: string
  readonly json?: boolean
}

/** @param ground where they name none */
export const agreement = (command: Command, ground: string): Command =>
  command
    .requiredOption('--basis <text>', 'why, in full; disclosed to who has the key of the vault')
    .option('--ground <word>', 'why, as a word in clear: art-17, retention', ground)
    .option('--key <where>', 'of who asks for it: env:NAME or file:PATH; else it is typed')
    .option('--approver <where>', 'the key of another person, who approves it: env:NAME or file:PATH; else it is typed')
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option('--json', 'print one JSON document')

/** @returns the keys of who asks and of who approves. @throws Misuse ERR_OPTION_INVALID */
export async function secretsOf({ ground, key, approver }: Agreement): Promise<readonly [string, string]> {
  if (!/^[\x21-\x7e]{1,64}$/.test(ground)) throw new Misuse('ERR_OPTION_INVALID', '--ground is one word')
  if (!process.stdin.isTTY && (key === undefined || approver === undefined)) {
    throw new Misuse('ERR_OPTION_INVALID', 'two people must agree: name the keys of both with --key and --approver')
  }
  return [await readSecret(key, 'key of who asks for it'), await readSecret(approver, 'key of who approves it')]
}
