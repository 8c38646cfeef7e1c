/** The OpenPGP key of a configuration for commands that only read: one that expired is told of, and hides nothing of what it sealed. */
import type { SealKeySettings } from '../lib/config/config.ts'
import { configuredReadingKey } from '../lib/sealing.ts'
import { say } from './output.ts'
import type { Trusted } from './trust.ts'

/** @throws as configuredReadingKey */
export async function readingKey(settings: SealKeySettings): Promise<Required<Trusted>> {
  const { fingerprint, certificate, expired } = await configuredReadingKey(settings)
  if (expired !== undefined) say(`${expired}. What is in the ledger is shown all the same`)
  return { fingerprint, certificate }
}
