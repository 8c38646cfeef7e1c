/** What ssh2 keeps and does not type, in one file: so that a new version of it is checked in one place. */
import type { Socket } from 'node:net'
import type { Channel, Client, ClientChannel, Connection, ServerChannel } from 'ssh2'

interface ChannelInside {
  readonly incoming: { readonly state: string; readonly window: number }
  readonly outgoing: { readonly id: number; readonly state: string }
  _chunk: unknown
  _chunkcb: unknown
  _chunkErr: unknown
  _chunkcbErr: unknown
}
const inside = (channel: Channel) => channel as unknown as ChannelInside

interface ProtocolInside {
  channelOpenFail(recipient: number, reason: number, description: string): void
  /** Handles a message; asked for anew whenever keys are exchanged. */
  _onPayload(message: Buffer): unknown
  /** The writer is another one whenever keys are exchanged. */
  readonly _packetRW: { write: PacketWriter }
}

interface PacketWriter {
  /** Where a packet's message begins. */
  readonly allocStart: number
  alloc(size: number): Buffer
  finalize(packet: Buffer, force?: boolean): Buffer
}

const protocolOf = (connection: Connection | Client) =>
  (connection as unknown as { _protocol: ProtocolInside })._protocol

export const socketOf = (connection: Connection): Socket => (connection as unknown as { _sock: Socket })._sock

const extInfo = 7
const name = 'server-sig-algs'

/**
 * ssh2 tells clients that it takes SHA-1 and DSS signatures, and for want of a comma not that it takes rsa-sha2-512 (RFC 8308, 3.1). To
 * be called before keys are exchanged.
 */
export function announceSignatures(connection: Connection, algorithms: readonly string[]): void {
  const packets = protocolOf(connection)._packetRW
  // It is told before a login, and never again.
  let told = false
  connection.once('ready', () => {
    told = true
  })
  let { write } = packets
  const set = (next: PacketWriter) => {
    const finalize = next.finalize.bind(next)
    next.finalize = (packet, force) =>
      finalize(!told && isSignatures(packet, next) ? signatureList(next, algorithms) : packet, force)
    write = next
  }
  Object.defineProperty(packets, 'write', { get: () => write, set })
}

const isSignatures = (packet: Buffer, { allocStart: start }: PacketWriter): boolean =>
  packet[start] === extInfo && packet.toString('latin1', start + 9, start + 9 + name.length) === name

function signatureList(write: PacketWriter, algorithms: readonly string[]): Buffer {
  const list = algorithms.join(',')
  const told = write.alloc(1 + 4 + 4 + name.length + 4 + list.length)
  let at = told.writeUInt8(extInfo, write.allocStart)
  at = told.writeUInt32BE(1, at)
  at = told.writeUInt32BE(name.length, at)
  at += told.write(name, at, 'latin1')
  at = told.writeUInt32BE(list.length, at)
  told.write(list, at, 'latin1')
  return told
}

const messages = new WeakMap<Connection, Buffer>()

/** Keeps the message that is being handled, for what ssh2 does not read of it. To be called before keys are exchanged. */
export function keepMessages(connection: Connection): void {
  const protocol = protocolOf(connection)
  const handle = protocol._onPayload
  protocol._onPayload = message => {
    messages.set(connection, message)
    return handle(message)
  }
}

/**
 * The terminal modes of the pty-req that is being handled, as they were encoded (RFC 4254, 8): ssh2 skips their first byte, and so
 * finds none. Undefined where there are none.
 */
export function terminalModes(connection: Connection): Buffer | undefined {
  const message = messages.get(connection)
  if (message === undefined) return undefined
  // byte, recipient, "pty-req", want reply, TERM, four sizes, modes
  let at = 5
  at += 4 + message.readUInt32BE(at) + 1
  at += 4 + message.readUInt32BE(at) + 16
  const length = message.readUInt32BE(at)
  return length === 0 ? undefined : Buffer.from(message.subarray(at + 4, at + 4 + length))
}

/**
 * What waited for room in the window is kept after it has been sent; when the other stream of the channel next waits, it would be sent
 * again. To be called whenever a write is complete.
 */
export function forgetSent(channel: Channel): void {
  const of = inside(channel)
  of._chunk = undefined
  of._chunkcb = undefined
  of._chunkErr = undefined
  of._chunkcbErr = undefined
}

/** The peer has closed the channel. ssh2 says so only when all that it had sent before has been read. */
export const isClosed = (channel: Channel): boolean => inside(channel).incoming.state === 'closed'

/** How many bytes lie here unread, those beyond the window included: ssh2 takes them from a peer that pays no heed to it. */
export const unread = (channel: Channel): number => channel.readableLength

/** RFC 4254, 5.1: why a channel was not opened. */
export const openFailures = { prohibited: 1, connectFailed: 2, shortage: 4 } as const

/** Rejects a channel with a reason and a text, which ssh2's own `reject` has no room for. */
export function rejectOpen(
  connection: Connection,
  reject: () => void,
  reason: (typeof openFailures)[keyof typeof openFailures],
  text: string,
): void {
  const protocol = protocolOf(connection)
  const { channelOpenFail } = protocol
  protocol.channelOpenFail = recipient => channelOpenFail.call(protocol, recipient, reason, text)
  try {
    reject()
  } finally {
    protocol.channelOpenFail = channelOpenFail
  }
}

/** A signal is sent after EOF too, and whatever its name: RFC 4254, 6.9 leaves room for local ones. */
export function sendSignal(client: Client, channel: Channel, name: string): void {
  const { outgoing } = inside(channel)
  if (outgoing.state !== 'open' && outgoing.state !== 'eof') return
  try {
    ;(protocolOf(client) as unknown as { signal(id: number, name: string): void }).signal(outgoing.id, name)
  } catch {
    // A name that ssh2 does not know.
  }
}

/** Ends a session's channel as the command upstream ended. A signal of a name that ssh2 does not know becomes the status 255. */
export function sendExit(channel: ServerChannel, exit: Exit): void {
  try {
    if ('status' in exit) channel.exit(exit.status)
    else channel.exit(exit.signal, exit.dump, exit.text)
  } catch {
    channel.exit(255)
  }
}

/** How the command of a channel ended, where its server has said so: it may say it before anybody listens for the event. */
export function exitOf(channel: ClientChannel): Exit | undefined {
  const { code, signal, dump, desc } = (channel as unknown as { _exit: ExitInside })._exit
  if (typeof code === 'number') return { status: code }
  return code === null
    ? { signal: (signal ?? '').replace(/^SIG/, ''), dump: dump === true, text: desc ?? '' }
    : undefined
}

interface ExitInside {
  readonly code?: number | null
  readonly signal?: string
  readonly dump?: boolean
  readonly desc?: string
}

export type Exit =
  | { readonly status: number }
  | { readonly signal: string; readonly dump: boolean; readonly text: string }
