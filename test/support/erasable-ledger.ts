/**
 * A ledger with two people, a session and a recording, over several openings and full
 * bundles, that can be verified: for tests of erasing.
 */
import { cpSync } from 'node:fs'
import { type Verification, verifyLedger } from '../../evidence/index.ts'
import type { Entry } from '../../lib/format/entry.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { type Draft, disclosedOf, type Erasure, type Ledger } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey, type SigningKey } from '../../lib/openpgp.ts'
import { decision, exchangeId, ledgerOptions, outcome, settled, temporaryDirectory } from './directory-ledger.ts'

export const customer = 'customer'.padEnd(22, '-')
export const officer = 'officer'.padEnd(22, '-')
export const counsel = 'counsel'.padEnd(22, '-')
export const session = '0190b0a0-0000-7000-8000-00000000aaaa'

export const erasure = (more: Partial<Erasure> = {}): Erasure => ({
  ...{
    scope: 'principal',
    of: customer,
    ground: 'art-17',
    by: officer,
    approvers: [counsel],
    basis: 'asked in writing',
  },
  ...more,
})

export interface Erasable {
  readonly options: DirectoryOptions
  /** Armored, unprotected. */
  readonly sealKey: string
  readonly key: SigningKey
}

export const principal = (subject: string): Draft => ({
  ...{ kind: 'principal', subject, type: 'person' },
  ...{ disclose: { name: `${subject.replaceAll('-', '')}@crm.example` }, slot: `principal:${subject}` },
})

/** Closed, with nothing erased yet. @param directory a new one, or empty */
export async function erasableLedger(
  directory = temporaryDirectory(),
  more: Partial<DirectoryOptions> = {},
): Promise<Erasable> {
  const sealKey = (await generateKey({ name: 'seal' })).privateKey
  const key = await readPrivateKey(sealKey)
  const options = ledgerOptions({ ...more, directory, sealer: openpgpSealer(key) })
  const ledger = await openDirectoryLedger(options)
  await ledger.append([principal(customer), principal(officer), principal(counsel)])
  await ledger.append(Array.from({ length: 300 }, () => settled()))
  await recordSession(ledger)
  await ledger.close()
  const again = await openDirectoryLedger(options)
  await again.append([
    {
      ...{ kind: 'event', source: 'crm', event: 'login', level: 'info', subject: customer },
      ...{ disclose: { message: 'the customer came' }, slot: `principal:${customer}` },
    },
  ])
  await again.close()
  return { options, sealKey, key }
}

async function recordSession(ledger: Ledger): Promise<void> {
  const actors = { subject: customer }
  const slot = `session:${session}`
  const exchange = exchangeId()
  const opened = { protocol: 'postgres', target: 'crm', method: 'key', tls: false } as const
  const writer = await ledger.attach({ slot })
  await writer.write(Buffer.from('what was shown'))
  const closed = await writer.close()
  const { id, salt, sealed: _, ...attached } = closed
  await ledger.append([
    { kind: 'session-opened', session, ...actors, ...opened, disclose: { address: '192.0.2.1' }, slot },
    {
      ...decision(exchange),
      session,
      ...actors,
      disclose: { action: 'select 1', actionSalt: salt ?? 'salt' },
      slot,
    } as Draft,
    {
      ...{ kind: 'attachment', attachment: id, exchange, session, part: 'response', type: 'text/plain', ...attached },
      ...{ disclose: disclosedOf(closed), slot },
    },
    outcome(exchange),
    { kind: 'session-closed', session, reason: 'client' },
  ])
}

export function copyOf({ options, ...rest }: Erasable, directory = temporaryDirectory()): Erasable {
  cpSync(options.directory, directory, { recursive: true })
  return { ...rest, options: { ...options, directory } }
}

export const verified = ({ options, key }: Erasable, wrappingKey = options.wrappingKey): Promise<Verification> =>
  verifyLedger({
    ...{ directory: options.directory, fingerprint: key.fingerprint, certificate: key.certificate },
    wrappingKey,
  })

export async function erased(at: Erasable, ...erasures: readonly Erasure[]): Promise<Erasable> {
  const ledger = await openDirectoryLedger(at.options)
  for (const each of erasures) await ledger.erase!(each)
  await ledger.close()
  return at
}

/** Every entry, with what is disclosed of it to who holds the vault's key. */
export async function disclosed({ options }: Erasable): Promise<{ entry: Entry; values: object }[]> {
  const ledger = await openDirectoryLedger(options)
  const found = []
  for await (const { index, entry } of ledger.entries()) found.push({ entry, values: await ledger.disclosures(index) })
  await ledger.close()
  return found
}
