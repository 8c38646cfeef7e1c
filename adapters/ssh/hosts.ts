/** The hosts behind the gateway, and how it logs in to each: checked once, when the gateway is made. */
import type { ParsedKey } from 'ssh2'
import ssh2 from 'ssh2'
import { Misuse } from '../../lib/errors.ts'

export interface SshHost {
  readonly address: { readonly host: string; readonly port: number }
  /** Its public keys, as ssh-keyscan or authorized_keys have them: `ssh-ed25519 AAAA...`. Any other is refused. */
  readonly hostKeys: readonly string[]
  /** Private keys by login name, which subjects never see. */
  readonly logins: Readonly<Record<string, { readonly key: string; readonly passphrase?: string | undefined }>>
  /** The login that is meant where a client names the host alone. */
  readonly login?: string | undefined
}

/** One login at one host, as the wire named it. */
export interface Destination {
  readonly host: string
  readonly login: string
  /** Undefined where there is no such host, or no such login at it. */
  readonly at: LoginAt | undefined
}

export interface LoginAt {
  readonly address: { readonly host: string; readonly port: number }
  readonly pinned: readonly ParsedKey[]
  /** Private. */
  readonly key: ParsedKey
}

interface CheckedHost {
  readonly address: { readonly host: string; readonly port: number }
  readonly pinned: readonly ParsedKey[]
  readonly logins: ReadonlyMap<string, ParsedKey>
  readonly login: string | undefined
}

export type Hosts = ReadonlyMap<string, CheckedHost>

export const hostName = /^[a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?$/
export const loginName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/

/** @throws Misuse ERR_OPTION_INVALID */
export function checkHosts(hosts: Readonly<Record<string, SshHost>>): Hosts {
  const checked = Object.entries(hosts).map(([name, host]) => [name, checkHost(name, host)] as const)
  if (checked.length === 0) throw invalid('no host is named')
  return new Map(checked)
}

function checkHost(name: string, { address, hostKeys, logins, login }: SshHost): CheckedHost {
  if (!hostName.test(name)) throw invalid('a host has a name of lower case letters, digits, . and -')
  const pinned = hostKeys.map(text => parse(text, undefined, `the host key of ${name}`))
  if (pinned.length === 0) throw invalid(`${name} has no pinned host key: it could be anybody`)
  const keys = Object.entries(logins).map(([of, { key, passphrase }]) => {
    if (!loginName.test(of)) throw invalid(`${name} has a login that is no name`)
    const parsed = parse(key, passphrase, `the key of ${of} at ${name}`)
    if (!parsed.isPrivateKey()) throw invalid(`the key of ${of} at ${name} is not a private key`)
    return [of, parsed] as const
  })
  if (keys.length === 0) throw invalid(`${name} has no login`)
  if (login !== undefined && !Object.hasOwn(logins, login)) throw invalid(`${name} has no login ${login}`)
  return { address, pinned, logins: new Map(keys), login }
}

/** A private key of ours. @throws Misuse ERR_OPTION_INVALID, which quotes nothing of it */
export function parse(text: string, passphrase: string | undefined, what: string): ParsedKey {
  const parsed = ssh2.utils.parseKey(text, passphrase)
  if (parsed instanceof Error) throw invalid(`${what} cannot be read as a key`)
  const key = Array.isArray(parsed) ? parsed[0] : parsed
  if (key === undefined) throw invalid(`${what} cannot be read as a key`)
  return key
}

const invalid = (what: string) => new Misuse('ERR_OPTION_INVALID', what)

/**
 * Which login at which host a client asks for by its user name: `LOGIN@HOST`, or `HOST` where that has one by default. What names
 * neither is a destination all the same, so that asking for it is recorded.
 */
export function destinationOf(user: string, hosts: Hosts): Destination {
  const at = user.lastIndexOf('@')
  const host = user.slice(at + 1).toLowerCase()
  const known = hosts.get(host)
  const login = at >= 0 ? user.slice(0, at) : (known?.login ?? '')
  const key = known?.logins.get(login)
  return {
    host,
    login,
    at: known === undefined || key === undefined ? undefined : { address: known.address, pinned: known.pinned, key },
  }
}
