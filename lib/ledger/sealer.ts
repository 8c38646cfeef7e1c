/** Who signs seals: the long-lived OpenPGP key, wherever it lives. The ledger sees a function, never the key. */
import type { SigningKey } from '../openpgp.ts'

export interface Sealer {
  /** 40 hex digits. */
  readonly fingerprint: string
  /** Armored; published as keys/seal.pub.asc. */
  readonly certificate: string
  /** @returns the binary packets of a detached signature (type 0x00) over exactly these bytes */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

/** A sealer whose key is held in this process. */
export function openpgpSealer(key: SigningKey): Sealer {
  return {
    fingerprint: key.fingerprint,
    certificate: key.certificate,
    sign: async bytes => (await import('../openpgp.ts')).signDetached(key, bytes),
  }
}

/** What the OpenPGP key signs in entry 0: that this note key speaks for this ledger. */
export const certifiedText = (origin: string, verifierKey: string): string =>
  `counterfoil note key\n${origin}\n${verifierKey}\n`

/** @returns the armored certification of the note key */
export async function certifyNoteKey(sealer: Sealer, origin: string, verifierKey: string): Promise<string> {
  const packets = await sealer.sign(Buffer.from(certifiedText(origin, verifierKey)))
  return (await import('../openpgp.ts')).armorSignature(packets)
}
