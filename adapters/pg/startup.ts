/** From the first byte to a subject: encryption, the startup packet, the credential as password. Bounded in bytes and in time. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type SecureContext, TLSSocket } from 'node:tls'
import { isOurs, Refusal } from '../../lib/errors.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import { errorResponse } from './errors.ts'
import { ProtocolViolation } from './violation.ts'
import { Fields, int32, message, type } from './wire.ts'

export const codes = { cancel: 80877102, ssl: 80877103, gss: 80877104 }
/** As long as the server itself takes before anybody is known. */
const longestPacket = 10_000

export type Arrival =
  | { readonly kind: 'cancel'; readonly key: string }
  | {
      readonly kind: 'session'
      readonly socket: Duplex
      readonly tls: boolean
      readonly parameters: ReadonlyMap<string, string>
      readonly subject: Subject
    }

interface Door {
  readonly gate: Gate
  readonly target: string
  /** By which names the target's one database may be asked for. */
  readonly databases: ReadonlySet<string>
  readonly secureContext: SecureContext | undefined
  readonly address: string
  /** Checks what the client asks to set, before anybody is asked for a credential. @throws ProtocolViolation */
  readonly accept: (parameters: ReadonlyMap<string, string>) => void
}

/**
 * @returns undefined where the peer has gone, or was told why it cannot stay
 * @throws ProtocolViolation on garbage; a Refusal or Fault from the gate
 */
export async function arrive(raw: Socket, door: Door): Promise<Arrival | undefined> {
  let socket: Duplex = raw
  let tls = false
  const first = await exactly(raw, 1)
  if (first === undefined) return undefined
  raw.unshift(first)
  if (first[0] === 0x16 && door.secureContext !== undefined) {
    // Direct TLS: no packet of ours before it, so the protocol is agreed on by ALPN, or anyone's TLS could be misled here.
    const secure = await secured(raw, door.secureContext)
    if (secure.alpnProtocol !== 'postgresql') throw new ProtocolViolation('08P01', 'direct TLS without ALPN')
    socket = secure
    tls = true
  }
  for (let tries = 0; tries < 4; tries++) {
    const packet = await startupPacket(socket)
    if (packet === undefined) return undefined
    const fields = new Fields(packet, 0)
    const code = fields.int32()
    if (code === codes.cancel) return { kind: 'cancel', key: packet.subarray(4).toString('hex') }
    if (code === codes.gss || (code === codes.ssl && (tls || door.secureContext === undefined))) {
      socket.write('N')
      continue
    }
    if (code === codes.ssl) {
      // What came before the handshake would be taken for what came through it.
      if (raw.readableLength > 0) throw new ProtocolViolation('08P01', 'bytes sent before the TLS handshake')
      raw.write('S')
      socket = await secured(raw, door.secureContext!)
      tls = true
      continue
    }
    return login(socket, tls, code, fields, door)
  }
  throw new ProtocolViolation('08P01', 'too many requests before a login')
}

async function login(
  socket: Duplex,
  tls: boolean,
  version: number,
  fields: Fields,
  door: Door,
): Promise<Arrival | undefined> {
  if (version >>> 16 !== 3) throw new ProtocolViolation('0A000', 'only version 3 of the protocol is spoken here')
  const parameters = new Map<string, string>()
  for (let name = fields.string(); name !== ''; name = fields.string()) parameters.set(name, fields.string())
  fields.end()
  const extensions = [...parameters.keys()].filter(name => name.startsWith('_pq_.'))
  if ((version & 0xffff) > 0 || extensions.length > 0) {
    socket.write(message(type.negotiate, int32(3 << 16), int32(extensions.length), ...extensions))
  }
  const { replication } = Object.fromEntries(parameters)
  if (replication !== undefined && !['false', 'off', 'no', '0'].includes(replication)) {
    throw new ProtocolViolation('0A000', 'the replication protocol is not allowed through the gateway')
  }
  if (!tls && !isLoopback(door.address)) {
    throw new ProtocolViolation('28000', 'a credential is taken over TLS only: use sslmode=require or stronger')
  }
  door.accept(parameters)
  socket.write(message(type.authentication, int32(3)))
  const secret = await passwordOf(socket)
  if (secret === undefined) return undefined
  const { gate, target, address, databases } = door
  const refused = async (error: unknown, sqlstate?: string) => {
    await gate.recordFailedLogin({ protocol: 'postgres', target, address, error })
    socket.end(errorResponse(error, 'FATAL', sqlstate === undefined ? {} : { sqlstate }))
    return undefined
  }
  let subject: Subject
  try {
    subject = await gate.identify({ kind: 'bearer', secret })
  } catch (error) {
    return refused(error, isOurs(error) && error instanceof Refusal ? '28P01' : undefined)
  }
  // As the server: only who is known is told of databases, and who names none means the one of the user's name.
  const database = parameters.get('database') || (parameters.get('user') ?? '')
  if (!databases.has(database)) {
    const error = new Refusal('ERR_ACCESS_DENIED', `this database is not served here: ask for "${target}"`)
    return refused(error, '3D000')
  }
  return { kind: 'session', socket, tls, parameters, subject }
}

async function passwordOf(socket: Duplex): Promise<string | undefined> {
  const header = await exactly(socket, 5)
  if (header === undefined) return undefined
  const length = header.readInt32BE(1) - 4
  if (header[0] !== type.password || length < 1 || length > longestPacket) {
    throw new ProtocolViolation('08P01', 'expected a password message')
  }
  const body = await exactly(socket, length)
  if (body === undefined) return undefined
  const fields = new Fields(body, 0)
  const secret = fields.string()
  fields.end()
  return secret
}

/** The first packet, without its length. @returns undefined where the peer closed before */
export async function startupPacket(socket: Duplex): Promise<Buffer | undefined> {
  const header = await exactly(socket, 4)
  if (header === undefined) return undefined
  const length = header.readInt32BE() - 4
  if (length < 4 || length > longestPacket)
    throw new ProtocolViolation('08P01', 'a startup packet of an impossible length')
  return exactly(socket, length)
}

async function secured(raw: Socket, secureContext: SecureContext): Promise<TLSSocket> {
  const secure = new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols: ['postgresql'] })
  await new Promise<void>((resolve, reject) => {
    secure.once('secure', resolve)
    secure.once('error', () => reject(new ProtocolViolation('08P01', 'the TLS handshake failed')))
    secure.once('close', () => reject(new ProtocolViolation('08P01', 'the TLS handshake was cut')))
  })
  secure.on('error', () => undefined)
  return secure
}

/**
 * Exactly so many bytes, and not one more out of the socket. Fewer are taken out all the same: while any lie in its buffer, node says at
 * every turn that it is readable, and a client that sends half a packet and waits would keep the process busy for ever.
 * @returns undefined where the peer closed before
 */
async function exactly(socket: Duplex, length: number): Promise<Buffer | undefined> {
  let taken = Buffer.alloc(0)
  for (;;) {
    const bytes = socket.read() as Buffer | null
    if (bytes !== null) taken = Buffer.concat([taken, bytes])
    if (taken.length >= length) {
      if (taken.length > length) socket.unshift(taken.subarray(length))
      return taken.subarray(0, length)
    }
    if (socket.readableEnded || socket.destroyed) return undefined
    await change(socket)
  }
}

function change(socket: Duplex): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      for (const event of events) socket.off(event, done)
      resolve()
    }
    for (const event of events) socket.on(event, done)
  })
}
const events = ['readable', 'end', 'close', 'error']

/** @param address normalised: no `::ffff:` */
export const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.')
