/** From a configuration to a bundle: how `bundle` and the demo call the evidence. */
import { join } from 'node:path'
import {
  type AnchorOptions,
  type BundleOptions,
  type BundleResult,
  buildBundle,
  periodsIn,
  readPin,
} from '../evidence/index.ts'
import type { Config } from '../lib/config/config.ts'
import { parseControls } from '../lib/config/controls.ts'
import { originOf } from '../lib/format/series.ts'
import { armorSignature } from '../lib/openpgp.ts'
import { configuredSealer } from '../lib/sealing.ts'
import { requireLedger } from './ledgers.ts'
import { version } from './version.ts'

type Given = Pick<BundleOptions, 'out' | 'from' | 'to'> &
  Partial<Omit<BundleOptions, 'ledger' | 'controls' | 'sign'>> & {
    /** A checkpoint held elsewhere, to compare with. */
    readonly pin?: string
    /** By whose word anchors count when the ledger is verified first. */
    readonly anchors?: AnchorOptions
  }

/** One for each ledger of the series that the period lies in: of several, each in a folder with its number. */
export async function bundlesOf(config: Config, given: Given): Promise<readonly BundleResult[]> {
  requireLedger(config.ledger.directory)
  const periods = await periodsIn(config.ledger.directory, given)
  const pinned = given.pin === undefined ? undefined : (await readPin(given.pin).catch(() => undefined))?.origin
  const isOther = (number: number) =>
    periods.length > 1 && pinned !== undefined && pinned !== originOf(config.name, number)
  const results: BundleResult[] = []
  for (const [i, { directory, number, from, to }] of periods.entries()) {
    const out = periods.length === 1 ? given.out : join(given.out, String(number))
    const at = { ...config, ledger: { ...config.ledger, directory } }
    const { pin, ...rest } = given
    const held = pin === undefined || isOther(number) ? {} : { pin }
    const part = periods.length === 1 ? {} : { part: { number: i + 1, of: periods.length } }
    results.push(await bundleOf(at, { ...rest, ...held, ...part, from, to, out }))
  }
  return results
}

export async function bundleOf(config: Config, { pin, anchors, ...given }: Given): Promise<BundleResult> {
  const key = await configuredSealer(config.ledger.sealKey)
  return buildBundle({
    organisation: config.name,
    targets: config.targets,
    software: `counterfoil/${version}`,
    ...given,
    ledger: {
      directory: config.ledger.directory,
      fingerprint: key.fingerprint,
      certificate: key.certificate,
      ...(pin === undefined ? {} : { pin }),
      ...(anchors === undefined ? {} : { anchors }),
      wrappingKey: Buffer.from(config.ledger.vaultKey.reveal(), 'base64url'),
    },
    controls: parseControls,
    sign: async bytes => armorSignature(await key.sign(bytes)),
  })
}
