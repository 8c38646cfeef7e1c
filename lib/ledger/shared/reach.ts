/** Comes to a ledger that is shared: through its leader where there is one, as its leader where there is none. */
import { chmodSync } from 'node:fs'
import { connect as connectTo, createServer, type Socket } from 'node:net'
import { join as joinPath } from 'node:path'
import type { Duplex } from 'node:stream'
import { isOurs } from '../../errors.ts'
import { openDirectory } from '../directory.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import { returnDrafts } from '../opening.ts'
import type { DirectoryOptions } from '../options.ts'
import { local } from './access.ts'
import { leaderFolder, prepareAddress, requireOwn, socketAddress } from './address.ts'
import { join } from './connection.ts'
import { type GatewaySettings, listenToOthers } from './gateway.ts'
import { Leader } from './leader.ts'
import { leading } from './leading.ts'
import type { Link, LinkEvents } from './link.ts'
import { type Back, type Place, requirePlace } from './place.ts'

/** What this process is, and where it stood when it lost its link. */
export interface Self {
  readonly origin: string
  readonly writer: string
  readonly software: string
  readonly placement: 'gateway' | 'embedded'
  readonly heartbeatMs: number
  /** Where it was at work before. */
  readonly back?: Back
}

export interface Reached {
  readonly link: Link
  readonly leads: boolean
  readonly started: Place
  /** Index of the first entry that is told of. */
  readonly next: number
  /** Once told of so many, this process knows which of its own are among them. */
  readonly size: number
}

/** @returns undefined where the leader is not there any more, or not yet: it is to be tried again */
export async function throughLeader(
  connect: () => Promise<Duplex | undefined>,
  self: Self,
  events: LinkEvents,
  onNext: LeadParts['onNext'],
): Promise<Reached | undefined> {
  const socket = await connect()
  if (socket === undefined) return undefined
  const { link, welcome } = await join(socket, self, events, onNext)
  const { started, next, size } = welcome
  return { link, leads: false, started, next, size }
}

/** @returns undefined where nobody listens */
export function connectLocally(directory: string): Promise<Duplex | undefined> {
  return new Promise((resolve, reject) => {
    let socket: Socket
    try {
      requireOwn(joinPath(directory, leaderFolder))
      const { path, release } = socketAddress(directory)
      socket = connectTo(path)
      socket.once('close', release)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') resolve(undefined)
      else reject(error)
      return
    }
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', () => resolve(undefined))
  })
}

export interface LeadParts {
  readonly options: DirectoryOptions
  readonly self: Self
  readonly graceMs: number
  /** Where to listen for processes of other hosts. */
  readonly listen?: GatewaySettings | undefined
  readonly onEvent: (what: string, facts?: Readonly<Record<string, unknown>>) => void
  readonly events: LinkEvents
  /** Index of the first entry that this process has not been told of; where it comes for the first time, all there are. */
  readonly onNext: (next: number) => void
}

/** @returns undefined where another process has the lock */
export async function asLeader({
  options,
  self,
  graceMs,
  listen,
  onEvent,
  events,
  onNext,
}: LeadParts): Promise<Reached | undefined> {
  const { writer, back } = self
  const ledger = await openUnlessLocked(options, self)
  if (ledger === undefined) return undefined
  let leader: Leader | undefined
  try {
    if (back !== undefined) await requirePlace(ledger, writer, back)
    const last = ledger.size - 1
    const started = back?.started ?? { index: last, id: (await ledger.idAt(last))! }
    const next = back === undefined ? ledger.size : back.last.index + 1
    onNext(next)
    leader = new Leader({ ledger, writer, graceMs, onEvent })
    await listenLocally(options.directory, leader)
    if (listen !== undefined) {
      leader.add(listenToOthers({ ...listen, origin: ledger.series, leader, onEvent }))
    }
    const link = await leading(ledger, leader, writer, next, events)
    return { link, leads: true, started, next, size: ledger.size }
  } catch (error) {
    leader?.close()
    await ledger.abandon()
    throw error
  }
}

async function openUnlessLocked(
  options: DirectoryOptions,
  { writer, back }: Self,
): Promise<DirectoryLedger | undefined> {
  try {
    // Where this process was at work already, a directory without a ledger is no place to begin one.
    return await openDirectory(back === undefined ? options : { ...options, create: false }, {
      owed: ({ standing, ledger }) =>
        back === undefined
          ? [...returnDrafts(standing.stories.get(writer), ledger.epoch, ledger.torn), ledger.started(options)]
          : [],
    })
  } catch (error) {
    if (isOurs(error) && error.code === 'ERR_LEDGER_LOCKED') return undefined
    throw error
  }
}

async function listenLocally(directory: string, leader: Leader): Promise<void> {
  prepareAddress(directory)
  const server = createServer(socket => leader.accept(socket, local))
  const { path, release } = socketAddress(directory)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    chmodSync(path, 0o600)
  } finally {
    release()
  }
  server.unref()
  leader.add(server)
}
