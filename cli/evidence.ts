/** From a configuration to a bundle: how `bundle` and the demo call the evidence. */
import { type BundleOptions, type BundleResult, buildBundle } from '../evidence/index.ts'
import type { Config } from '../lib/config/config.ts'
import { parseControls } from '../lib/config/controls.ts'
import { armorSignature } from '../lib/openpgp.ts'
import { configuredSealer } from '../lib/sealing.ts'
import { version } from './version.ts'

type Given = Pick<BundleOptions, 'out' | 'from' | 'to'> &
  Partial<Omit<BundleOptions, 'ledger' | 'controls' | 'sign'>> & {
    /** A checkpoint held elsewhere, to compare with. */
    readonly pin?: string
  }

export async function bundleOf(config: Config, { pin, ...given }: Given): Promise<BundleResult> {
  const key = await configuredSealer(config.ledger.sealKey)
  return buildBundle({
    organisation: config.name,
    software: `counterfoil/${version}`,
    ...given,
    ledger: {
      directory: config.ledger.directory,
      fingerprint: key.fingerprint,
      certificate: key.certificate,
      ...(pin === undefined ? {} : { pin }),
      wrappingKey: Buffer.from(config.ledger.vaultKey.reveal(), 'base64url'),
    },
    controls: parseControls,
    sign: async bytes => armorSignature(await key.sign(bytes)),
  })
}
