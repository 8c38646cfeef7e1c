/** Somebody to whom recordings are encrypted, with a key of their own. */
import * as openpgp from 'openpgp'
import { readersOf } from '../../lib/sealing.ts'

export async function reader() {
  const { privateKey, publicKey } = await openpgp.generateKey({
    ...{ type: 'ecc', curve: 'ed25519Legacy', userIDs: [{ name: 'Auditor' }], format: 'armored' },
  })
  return { privateKey, certificate: publicKey, readers: await readersOf([publicKey]) }
}
