/** Comes to a ledger that is shared: through its leader where there is one, as its leader where there is none. */
import type { Duplex } from 'node:stream'
import { systemClock } from '../../clock.ts'
import { isOurs } from '../../errors.ts'
import { type MacKey, macKey } from '../../format/mac.ts'
import { openDirectory } from '../directory.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import { Earlier } from '../earlier.ts'
import { unreadable } from '../files.ts'
import { returnDrafts } from '../opening.ts'
import type { DirectoryOptions } from '../options.ts'
import { seriesOf } from '../series.ts'
import { join } from './connection.ts'
import { type GatewaySettings, listenToOthers } from './gateway.ts'
import { Leader } from './leader.ts'
import { leading } from './leading.ts'
import type { Link, LinkEvents } from './link.ts'
import { listenLocally } from './local.ts'
import { type Back, type Place, requirePlace } from './place.ts'
import { Said } from './said.ts'

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

/** Of the line between the processes of one host. One that means another ledger is told so by the leader: the origin is not in it. */
export const lineKey = ({ wrappingKey }: Pick<DirectoryOptions, 'wrappingKey'>): MacKey =>
  macKey(wrappingKey, '', 'leader')

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
    await listenLocally({ directory: options.directory, key: lineKey(options) }, leader, onEvent)
    if (listen !== undefined) {
      const erased = () => new Earlier(seriesOf(options)).erased()
      const said = new Said(ledger, options.clock ?? systemClock, erased, onEvent)
      leader.add(listenToOthers({ ...listen, origin: ledger.series, leader, said, onEvent }))
    }
    const link = await leading(ledger, leader, writer, next, events)
    return { link, leads: true, started, next, size: ledger.size }
  } catch (error) {
    leader?.close()
    await ledger.abandon()
    throw unreadable(error)
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
