/** What is asked over SSH, in the core's words: resources `TARGET/HOST/LOGIN/...`, and one operation for each kind of request. */
import { isIP } from 'node:net'
import { Refusal } from '../../lib/errors.ts'
import type { Json } from '../../lib/format/canonical.ts'
import type { Access, Operation } from '../../lib/operation.ts'
import type { Destination } from './hosts.ts'

/** Bytes as part of a resource: whatever could mean something to a pattern or to a rules file is percent-encoded, in one spelling. */
export const spelt = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('latin1')
    .replaceAll(/[^A-Za-z0-9._~@+=:-]/g, byte => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)

const word = (text: string) => spelt(Buffer.from(text)) || '-'

/** `TARGET/HOST/LOGIN` */
export const baseOf = (target: string, { host, login }: Destination): string => `${target}/${word(host)}/${word(login)}`

interface Kind {
  readonly base: string
  readonly accesses: readonly Access[]
  readonly action: Json
  readonly part?: Partial<Operation>
}

/** What reaches a host through code of its own, unless `part` says otherwise: it may show and change anything there. */
export const operation = ({ base, accesses, action, part }: Kind): Operation => ({
  ...{ protocol: 'ssh', target: base.slice(0, base.indexOf('/')), accesses, action },
  ...{ reaches: [], opaque: true, risk: 'low', read: false, holdable: true },
  ...part,
})

export interface Terminal {
  readonly term: string
  readonly cols: number
  readonly rows: number
  readonly width: number
  readonly height: number
  /** As RFC 4254, 8 encodes them. */
  readonly modes: Buffer
}

export interface Command {
  /** Undefined: the login's own shell. */
  readonly command: string | undefined
  readonly env: Readonly<Record<string, string>>
  readonly terminal: Terminal | undefined
}

/**
 * A command, as sent: what its shell makes of it is not known. What is typed into it is not part of the action, so an approved command
 * gets no input, and a shell, which is nothing but its input, cannot be approved.
 */
export function commandOperation(base: string, { command, env, terminal }: Command): Operation {
  const kind = command === undefined ? 'shell' : 'exec'
  return operation({
    base,
    accesses: [{ action: kind, resource: `${base}/${kind}` }],
    action: {
      [kind]: command ?? true,
      ...(Object.keys(env).length === 0 ? {} : { env }),
      ...(terminal === undefined ? {} : { terminal: terminal.term }),
    },
    part: command === undefined ? { unbound: true } : {},
  })
}

/** Of the whole sftp session; its files and names are operations of their own. */
export const sftpOperation = (base: string): Operation =>
  operation({
    base,
    accesses: [{ action: 'subsystem', resource: `${base}/sftp/` }],
    action: { subsystem: 'sftp' },
    part: { opaque: false },
  })

/** What is refused whatever policy says: other subsystems, agent and X11 forwarding, sockets, listening. */
export const refusedOperation = (base: string, what: string, action: string, detail: Json = true): Operation =>
  operation({
    base,
    accesses: [{ action, resource: `${base}/${what}` }],
    action: { [what]: detail },
    part: { risk: 'high', holdable: false },
  })

/**
 * A connection to somewhere else, made by the host. High risk, unless it stays on the host itself.
 * @throws Refusal where the destination has a spelling that resolvers read as an address and policy as a name
 */
export function forwardOperation(base: string, host: string, port: number): Operation {
  const name = destinationName(host)
  if (!(port >= 1 && port <= 65_535)) throw new Refusal('ERR_ACCESS_DENIED', 'there is no such port')
  return operation({
    base,
    accesses: [{ action: 'forward', resource: `${base}/forward/${name}:${port}` }],
    action: { forward: `${name}:${port}` },
    part: { risk: isLoopback(name) ? 'low' : 'high', unbound: true },
  })
}

/** Every address of the host, however a client spells that. */
const everywhere = '0.0.0.0'

/** An address to listen on: as policy judges it, and as the host is asked for it, which is the same. */
export interface Bound {
  readonly name: string
  readonly asked: string
}

/** @throws Refusal ERR_ACCESS_DENIED as destinationName */
export function boundTo(address: string): Bound {
  const name = ['', '*', '::', '[::]'].includes(address) ? everywhere : destinationName(address)
  return { name, asked: name === everywhere ? '' : name.replace(/^\[(.*)\]$/, '$1') }
}

/**
 * The host listens for a client, and what connects there is brought to it: so policy judges both alike, by where it is listened.
 * @param from who has connected; undefined: that it is listened at all. @throws Refusal ERR_ACCESS_DENIED
 */
export function listenOperation(base: string, { name }: Bound, port: number, from?: string): Operation {
  if (!(port >= 0 && port <= 65_535)) throw new Refusal('ERR_ACCESS_DENIED', 'there is no such port')
  return operation({
    base,
    accesses: [{ action: 'listen', resource: `${base}/listen/${name}:${port}` }],
    action: { listen: `${name}:${port}`, ...(from === undefined ? {} : { from }) },
    part: { risk: isLoopback(name) ? 'low' : 'high', unbound: true, holdable: false },
  })
}

const isLoopback = (name: string) =>
  name === 'localhost' || name === '[::1]' || (isIP(name) === 4 && name.startsWith('127.'))

/**
 * One spelling of a host: lower case, no dot at the end, addresses in canonical form, IPv6 in brackets.
 * @throws Refusal ERR_ACCESS_DENIED
 */
export function destinationName(host: string): string {
  const bare = host
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase()
  if (isIP(bare) === 6 && !bare.includes('%')) {
    const canonical = new URL(`http://[${bare}]`).hostname
    const mapped = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(canonical)
    if (mapped === null) return canonical
    const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)]
    return [high >> 8, high & 255, low >> 8, low & 255].join('.')
  }
  if (isIP(bare) === 4) return bare
  // inet_aton reads 127.1, 0x7f.1 and 2130706433 as 127.0.0.1, and so would a resolver.
  const numeric = /^(0x[0-9a-f]*|[0-9]+)$/.test(bare.split('.').at(-1)!)
  if (numeric || !/^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$/.test(bare) || bare.includes('..')) {
    throw new Refusal('ERR_ACCESS_DENIED', 'the destination is neither a name nor an address in its usual spelling')
  }
  return bare
}
