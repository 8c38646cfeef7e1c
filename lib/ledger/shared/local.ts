/**
 * The line between processes of one host: TLS 1.2 over the leader's socket, under a key that is derived from the vault's (RFC 5489,
 * RFC 7905). Whoever may enter the ledger's folder and has no key of it neither appends nor is taken for the leader, nor hears what
 * passes. (TLS 1.3 takes no such key in Node.)
 */
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { connect, createServer, type Server, type TLSSocket } from 'node:tls'
import { describe, Fault, isOurs } from '../../errors.ts'
import { type MacKey, rawKey } from '../../format/mac.ts'
import { local } from './access.ts'
import { leaderFolder, prepareAddress, requireOwn, type SocketAddress, socketAddress, socketFolder } from './address.ts'
import type { Leader, LeaderParts } from './leader.ts'
import { sparingly } from './sparingly.ts'

const handshakeMs = 5_000

const settings = {
  ...({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const),
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
} as const

interface Line {
  /** Of the ledger. */
  readonly directory: string
  /** Of this line (format/mac.ts). */
  readonly key: MacKey
}

/**
 * @param onStranger who listens there does not have the key
 * @returns undefined where nobody listens who has it. @throws Misuse ERR_OPTION_INVALID
 */
export async function connectLocally({ directory, key }: Line, onStranger: () => void): Promise<Duplex | undefined> {
  const address = addressIn(directory)
  if (address === undefined) return undefined
  const socket = await dial(address.path, key, onStranger)
  address.release()
  return socket
}

/** By who holds the lock. @throws Fault ERR_LEDGER_UNAVAILABLE, Misuse ERR_OPTION_INVALID */
export async function listenLocally(
  { directory, key }: Line,
  leader: Leader,
  onEvent: LeaderParts['onEvent'],
): Promise<void> {
  const server = serverOf(key)
  const tell = sparingly(onEvent)
  server.on('secureConnection', socket => leader.accept(socket, local))
  server.on('tlsClientError', (error, socket) => {
    const what = 'a connection to the shared ledger was closed: it does not show that it has the key of the vault'
    tell(what, { why: describe(error) })
    // One that is only late, Node leaves open.
    socket.destroy()
  })
  await listenAt(directory, server).catch(error => {
    throw isOurs(error) ? error : unmade(error)
  })
  // Too many open files, for one: who asked comes again.
  server.on('error', error => tell('a connection to the shared ledger could not be taken in', { why: describe(error) }))
  server.unref()
  leader.add(server)
}

async function listenAt(directory: string, server: Server): Promise<void> {
  prepareAddress(directory)
  const { path, release } = socketAddress(directory)
  try {
    server.listen(path)
    await once(server, 'listening')
    chmodSync(path, 0o600)
  } finally {
    release()
  }
}

function unmade(error: unknown): Fault {
  const what = `its leader's socket (${leaderFolder}/socket in its directory) cannot be made: ${describe(error)}; see what lies in its place, and who put it there`
  return new Fault('ERR_LEDGER_UNAVAILABLE', what, {}, error)
}

/** @param onStranger somebody listens there, and not with this key. @returns undefined where that is so, or nobody does */
export function dial(path: string, key: MacKey, onStranger: () => void): Promise<TLSSocket | undefined> {
  return new Promise(resolve => {
    let isThere = false
    // Who has the key is who it is: there is no certificate to be looked at.
    const checkServerIdentity = () => undefined
    const pskCallback = () => ({ psk: rawKey(key), identity: 'counterfoil' })
    const socket = connect({ ...settings, path, pskCallback, checkServerIdentity })
    const late = setTimeout(() => socket.destroy(new Error('it does not answer')), handshakeMs)
    const failed = ({ code }: NodeJS.ErrnoException) => {
      if (isThere && code !== 'ECONNRESET' && code !== 'EPIPE') onStranger()
    }
    socket.once('connect', () => {
      isThere = true
    })
    socket.once('error', failed)
    socket.once('secureConnect', () => {
      clearTimeout(late)
      socket.removeListener('error', failed)
      resolve(socket)
    })
    socket.once('close', () => {
      clearTimeout(late)
      resolve(undefined)
    })
  })
}

export const serverOf = (key: MacKey): Server =>
  createServer({ ...settings, handshakeTimeout: handshakeMs, pskCallback: () => rawKey(key) })

/** @returns undefined where nobody ever listened */
function addressIn(directory: string): SocketAddress | undefined {
  try {
    requireOwn(socketFolder(directory))
    return socketAddress(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
