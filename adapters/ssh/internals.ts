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
}
const protocolOf = (connection: Connection | Client) =>
  (connection as unknown as { _protocol: ProtocolInside })._protocol

export const socketOf = (connection: Connection): Socket => (connection as unknown as { _sock: Socket })._sock

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

/** The peer can be sent something still. */
export const isOpen = (channel: Channel): boolean => inside(channel).outgoing.state === 'open'

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
