/**
 * SSH public keys as credentials. Who presents one must have proved that it holds the private key: an adapter verifies the signature
 * before it asks here. The file is read again whenever it changes: a key taken out of it opens nothing, and ends what it opened.
 */
import { type Clock, systemClock } from '../clock.ts'
import { Refusal } from '../errors.ts'
import { readWhenChanged } from './changing-file.ts'
import { parseSshKeys, type SshKeyRecord } from './ssh-keyfile.ts'
import { fingerprintOf } from './ssh-public-key.ts'
import type { Subject } from './subject.ts'
import { withdrawals } from './withdrawals.ts'

export interface SshKeys {
  /**
   * @param blob the public key as RFC 4253, 6.6 encodes it
   * @throws Refusal ERR_UNIDENTIFIED where nobody has it, or it has expired; Fault ERR_IDENTITY_UNAVAILABLE where that cannot be told
   */
  identify(blob: Uint8Array): Promise<Subject>
}

export function sshKeys({ file, clock = systemClock }: { file: string; clock?: Clock }): SshKeys {
  const read = readWhenChanged(file, 'the file of SSH keys', text => parseSshKeys(text, file))
  const usable = async (fingerprint: string): Promise<SshKeyRecord> => {
    const record = (await read()).find(known => known.fingerprint === fingerprint)
    if (record === undefined) throw new Refusal('ERR_UNIDENTIFIED', 'this SSH key is not registered here')
    if (record.expires !== undefined && record.expires <= clock.now()) {
      throw new Refusal('ERR_UNIDENTIFIED', 'this SSH key has expired: have another one registered')
    }
    return record
  }
  const watch = withdrawals(async who => {
    const record = await usable(who.split(' ')[0]!)
    if (who !== whoHas(record)) throw new Refusal('ERR_UNIDENTIFIED', "this SSH key is another one's now: log in again")
  })
  return {
    async identify(blob) {
      const record = await usable(fingerprintOf(blob))
      const { subject, fingerprint, ...rest } = record
      return {
        ...rest,
        ...{ id: subject, issuer: 'local', method: 'ssh-key' as const, credential: fingerprint },
        withdrawn: cut => watch(whoHas(record), cut),
      }
    },
  }
}

/** A key and everybody whom it stands for: with any of them changed, it is no longer the same identification. */
const whoHas = ({ fingerprint, subject, owner = '', principal = '' }: SshKeyRecord) =>
  [fingerprint, subject, owner, principal].join(' ')
