/** Opens the ledger of a configuration for those who erase, hold and release: identified each by a key of their own, and closes it again. */
import { loadConfig } from '../lib/config/config.ts'
import type { Custodian } from '../lib/custody/custodian.ts'
import { isOurs, LedgerError } from '../lib/errors.ts'
import type { Subject } from '../lib/identity/subject.ts'
import { openGuard } from '../lib/open.ts'
import { version } from './version.ts'

/**
 * @param secrets a key or token for each person. @param alone whether nobody else may have the ledger open, shared as it may be
 * @throws LedgerError ERR_LEDGER_LOCKED while a gateway writes to the ledger; whatever `work` throws
 */
export async function withCustody(
  config: string,
  secrets: readonly string[],
  { alone = false }: { readonly alone?: boolean },
  work: (custodian: Custodian, people: readonly Subject[]) => Promise<void>,
): Promise<void> {
  const software = `counterfoil/${version}`
  const loaded = await loadConfig(config, { evidence: true })
  const given = alone ? { ...loaded, ledger: { ...loaded.ledger, shared: false } } : loaded
  const guard = await openGuard(given, { software, placement: 'gateway', create: false }).catch(error => {
    if (!isOurs(error) || error.code !== 'ERR_LEDGER_LOCKED') throw error
    throw new LedgerError('ERR_LEDGER_LOCKED', `${error.message}: stop what writes to it first`, error.data)
  })
  try {
    const people: Subject[] = []
    for (const secret of secrets) people.push(await guard.identify({ kind: 'bearer', secret }))
    await work(guard.custodian, people)
  } finally {
    await guard.close()
  }
}
