/** What hosts.yaml means: the hosts behind an SSH listener, with pinned keys, and how the gateway logs in to each. */
import { wrongKey } from '../identity/ssh-public-key.ts'
import type { SshHostSettings } from './config.ts'
import { splitAddress } from './material.ts'
import type { HostsFile } from './schema.ts'
import type { Secret } from './secrets.ts'
import type { Path } from './yaml.ts'

export interface HostsReader {
  report(path: Path, message: string, hint?: string): void
  /** @returns undefined where there is none, which is reported */
  privateKey(reference: string, path: Path): Secret | undefined
  secret(reference: string, path: Path): Secret | undefined
}

export function readHosts(written: HostsFile, reader: HostsReader): Readonly<Record<string, SshHostSettings>> {
  if (Object.keys(written).length === 0) reader.report([], 'no host is named')
  return Object.fromEntries(Object.entries(written).map(([name, host]) => [name, readHost(name, host, reader)]))
}

function readHost(name: string, { address, hostKey, logins, login }: HostsFile[string], reader: HostsReader) {
  const split = splitAddress(address)
  if (split.port < 1 || split.port > 65_535) reader.report([name, 'address'], 'there is no such port')
  for (const [i, text] of [hostKey].flat().entries()) {
    const [type = '', encoded = '', , more] = text.split(/[ \t]+/)
    const wrong = more === undefined ? wrongKey(type, encoded) : 'not a public key'
    if (wrong !== undefined)
      reader.report(
        [name, 'hostKey', ...(Array.isArray(hostKey) ? [i] : [])],
        wrong,
        'write TYPE KEY, as ssh-keyscan prints them',
      )
  }
  if (Object.keys(logins).length === 0) reader.report([name, 'logins'], 'no login is named')
  if (login !== undefined && !Object.hasOwn(logins, login))
    reader.report([name, 'login'], 'this is none of the logins', `known are ${Object.keys(logins).join(', ')}`)
  const read = Object.entries(logins).flatMap(([of, reference]) => {
    const { key, passphrase } = typeof reference === 'string' ? { key: reference } : reference
    const path = [name, 'logins', of, ...(typeof reference === 'string' ? [] : ['key'])]
    const secret = reader.privateKey(key, path)
    const opened = passphrase === undefined ? undefined : reader.secret(passphrase, [name, 'logins', of, 'passphrase'])
    return secret === undefined
      ? []
      : [[of, { key: secret, ...(opened === undefined ? {} : { passphrase: opened }) }] as const]
  })
  return {
    ...{ address: split, hostKeys: [hostKey].flat(), logins: Object.fromEntries(read) },
    ...(login === undefined ? {} : { login }),
  }
}
