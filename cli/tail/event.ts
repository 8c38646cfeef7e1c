/** Entries in words, an event each: an operation that was decided and over when it was read is one. The table below holds every kind. */

import { formatDuration } from '../../lib/duration.ts'
import type { Access, EntryOf, Kind } from '../../lib/format/entry.ts'
import { counted } from '../../lib/format/words.ts'
import type { Actors, Told } from './told.ts'

export type Tone = 'good' | 'bad' | 'warn' | 'plain'

export interface Event {
  readonly told: Told
  readonly actors: Actors | undefined
  readonly word: string
  readonly tone: Tone
  /** An id that `what` is about, with a colon: it is never cut. */
  readonly lead: string
  readonly what: string
  /** What else is told, each with its rank: the highest goes first where there is no room. */
  readonly details: readonly Detail[]
}

export type Detail = readonly [rank: number, text: string]

interface Words {
  readonly word: string
  readonly tone: Tone
  readonly lead?: string
  readonly what: string
  readonly details?: readonly (Detail | undefined)[]
}

type Teller<K extends Kind> = (entry: EntryOf<K>, told: Told) => Words

// biome-ignore format: a table
const tellers: { readonly [K in Kind]: Teller<K> } = {
  opened:               e => ({ word: 'ledger',  tone: 'plain', what: `begins: ${e.origin}` }),
  started:              e => ({ word: 'ledger',  tone: 'plain', what: `${e.writer} is recording: ${e.software}, ${e.placement}, epoch ${e.epoch}` }),
  heartbeat:            e => ({ word: 'alive',   tone: 'plain', what: `${counted(e.open, 'exchange')} open` }),
  stopped:              e => ({ word: 'ledger',  tone: 'warn',  what: `${e.writer} stopped recording` }),
  recovered:            e => ({ word: 'ledger',  tone: 'warn',  what: `recovered: ${counted(e.torn, 'torn byte')} set aside` }),
  principal:            e => ({ word: 'known',   tone: 'plain', what: `${e.type} ${e.subject}` }),
  policy:               e => ({ word: 'policy',  tone: 'warn',  what: `in force: ${e.digest.slice(0, 12)}` }),
  'session-opened':     e => ({ word: 'session', tone: 'plain', what: `${e.protocol} ${e.target}`, details: [[3, `by ${e.method}`], [6, e.session]] }),
  'session-closed':     e => ({ word: 'session', tone: e.reason === 'client' ? 'plain' : 'warn', what: `closed: ${e.reason}`, details: [when(e.grant, 2, id => id), [6, e.session]] }),
  decision:             e => decided(e),
  outcome:              (e, t) => ({ word: 'permit', tone: toneOf(e), what: whatOf(t.accesses) || `exchange ${e.exchange}`, details: resultOf(e, t) }),
  settled:              (e, t) => ({ word: 'permit', tone: e.result === 'committed' ? 'good' : 'warn', what: whatOf(t.accesses) || counted(e.exchanges.length, 'operation'), details: [[1.5, e.result]] }),
  'grant-requested':    e => ({ word: 'ask',     tone: 'warn',  lead: `${e.grant}: `, what: `${e.actions.join(', ')} ${e.resource}`, details: [[2, `for ${formatDuration(e.seconds * 1000)}`], controlsOf(e)] }),
  'grant-decided':      (e, t) => ({ word: e.verdict, tone: e.verdict === 'approve' ? 'good' : 'bad', ...about(e.grant, t), details: [when(e.until, 2, time => `until ${time.slice(0, 19)}Z`)] }),
  'grant-revoked':      (e, t) => ({ word: 'revoke', tone: 'bad', ...about(e.grant, t) }),
  'approval-requested': e => ({ word: 'ask',     tone: 'warn',  lead: `${e.approval}: `, what: whatOf(e.accesses), details: [controlsOf(e)] }),
  'approval-decided':   (e, t) => ({ word: e.verdict, tone: e.verdict === 'approve' ? 'good' : 'bad', ...about(e.approval, t) }),
  'attempt-refused':    (e, t) => ({ word: 'deny', tone: 'bad', ...about(e.of, t, `to ${e.verb} `), details: [[1, e.code], [4, e.why]] }),
  attachment:           (e, t) => ({ word: 'kept', tone: 'plain', what: `${e.part} of ${whatOf(t.accesses) || e.exchange}`, details: [[2, size(e.bytes)], [3, `replay ${e.exchange}`]] }),
  event:                e => ({ word: e.level,   tone: ['error', 'crit', 'alert', 'emerg'].includes(e.level) ? 'bad' : 'plain', what: `${e.source}: ${e.event}` }),
  'events-lost':        e => ({ word: 'lost',    tone: 'bad',   what: `${e.source}: ${counted(e.lost, 'event')}` }),
  erasure:              e => ({ word: 'erase',   tone: 'warn',  what: `${e.scope} ${e.of}`, details: [[1, e.ground], [3, `approved by ${counted(e.approvers.length, 'person', 'people')}`]] }),
  'custody-refused':    e => ({ word: 'deny',    tone: 'bad',   what: `to ${e.verb} ${e.of}`, details: [[1, e.code], [4, e.why], when(e.hold, 3, id => `held by ${id}`)] }),
  'hold-placed':        e => ({ word: 'hold',    tone: 'warn',  lead: `${e.hold}: `, what: [e.scope, e.of].filter(Boolean).join(' ') }),
  'hold-released':      e => ({ word: 'release', tone: 'warn',  what: e.hold }),
  'vault-rewrapped':    e => ({ word: 'ledger',  tone: 'warn',  what: `the vault's key is ${e.to} now, no longer ${e.from}`, details: [[3, counted(e.slots, 'slot')]] }),
  'key-rotated':        e => ({ word: 'key',     tone: 'warn',  what: `the ${e.key} key is now ${e.new}` }),
  'key-revoked':        e => ({ word: 'key',     tone: 'bad',   what: `the ${e.key} key ${e.revoked} is revoked: ${e.reason}` }),
  anchored:             e => ({ word: 'anchor',  tone: 'good',  what: `${e.anchor} ${e.by}: ${counted(e.size, 'entry')}`, details: [[3, e.at]] }),
  'attachment-cut':     (e, t) => ({ word: 'cut',  tone: 'warn',  what: `${e.part} of ${whatOf(t.accesses) || e.exchange}`, details: [[1, `complete to chunk ${e.chunks}`], [2, size(e.bytes)], [3, `replay ${e.exchange}`]] }),
  concluded:            e => ({ word: 'ledger',  tone: 'warn',  what: `concluded: it goes on as ${e.next}` }),
  continued:            e => ({ word: 'ledger',  tone: 'plain', what: `continues ${e.of}, at size ${e.size}`, details: [[3, `${e.carried} said again`]] }),
  disposed:             e => ({ word: 'dispose', tone: 'warn',  what: `${e.of}, at size ${e.size}`, details: [[1, e.ground], [3, `approved by ${counted(e.approvers.length, 'person', 'people')}`]] }),
}

/** @param batch entries that were read together, in order. @returns events in the order of what began them */
export function eventsOf(batch: readonly Told[]): Event[] {
  const decisions = new Map<string, { event: Event; readonly place: number }>()
  const events: Event[] = []
  for (const told of batch) {
    const { entry } = told
    if (entry.kind === 'decision') decisions.set(entry.exchange, { event: tell(told), place: events.length })
    const ids = entry.kind === 'outcome' ? [entry.exchange] : entry.kind === 'settled' ? entry.exchanges : []
    const begun = ids.map(id => decisions.get(id))
    // Of many that were settled at once, those that were read before are told apart.
    if (ids.length > 0 && begun.every(one => one !== undefined)) {
      for (const one of begun) {
        const { event, place } = one
        one.event = events[place] = { ...event, ...ended(event, told) }
      }
      continue
    }
    events.push(entry.kind === 'decision' ? decisions.get(entry.exchange)!.event : tell(told))
  }
  return events
}

function tell(told: Told): Event {
  const { lead = '', details = [], ...words } = (tellers[told.entry.kind] as Teller<Kind>)(told.entry, told)
  return { told, actors: told.actors, lead, ...words, details: details.filter(detail => detail !== undefined) }
}

/** A decision's line, with what became of it. */
function ended({ details }: Event, told: Told): Pick<Event, 'details' | 'tone'> {
  const { tone, details: after } = tell(told)
  const isSaid = (text: string) => text === underWay || after.some(([, said]) => said === text)
  return { tone, details: [...after, ...details.filter(([, text]) => !isSaid(text))] }
}

const underWay = 'under way'

function decided(entry: EntryOf<'decision'>): Words {
  const { verdict, code, accesses, exchange, grant, approval, observed = [] } = entry
  return {
    word: verdict,
    tone: verdict === 'deny' ? 'bad' : 'plain',
    what: whatOf(accesses) || entry.target,
    details: [
      verdict === 'deny' ? [1, code ?? 'refused'] : [1, underWay],
      when(grant, 4, id => id),
      when(approval, 4, id => id),
      controlsOf(entry),
      observed.length === 0 ? undefined : [4, `would refuse: ${observed.join(',')}`],
      [7, exchange],
    ],
  }
}

function resultOf(entry: EntryOf<'outcome'>, { milliseconds, of }: Told): (Detail | undefined)[] {
  const { result, code, exchange, items, bytes, masked = [], settled } = entry
  return [
    [1, code === undefined ? result : `${result} ${code}`],
    of.length > 0 && (items > 0 || bytes > 0)
      ? [2, `${counted(items, of[0]?.protocol === 'postgres' ? 'row' : 'part')}, ${size(bytes)}`]
      : undefined,
    when(milliseconds, 3, took),
    settled === undefined || settled === 'nothing' ? undefined : [1.5, settled],
    masked.length === 0 ? undefined : [6, `masked ${masked.join(',')}`],
    of.length === 0 ? undefined : [7, exchange],
  ]
}

const toneOf = ({ result }: EntryOf<'outcome'>): Tone => (result === 'completed' ? 'good' : 'warn')

const controlsOf = ({ controls }: { readonly controls: readonly string[] }): Detail | undefined =>
  controls.length === 0 ? undefined : [5, controls.join(',')]

const when = <T>(value: T | undefined, rank: number, text: (value: T) => string): Detail | undefined =>
  value === undefined ? undefined : [rank, text(value)]

const about = (id: string, { of }: Told, before = ''): Pick<Words, 'lead' | 'what'> =>
  of[0] === undefined ? { what: before + id } : { lead: `${before}${id}: `, what: whatOf(of[0].accesses) }

/** `select crm/public.customers, crm/public.orders` */
export function whatOf(accesses: readonly Access[]): string {
  const byAction = new Map<string, string[]>()
  for (const { action, resource } of accesses) byAction.set(action, [...(byAction.get(action) ?? []), resource])
  return [...byAction].map(([action, resources]) => `${action} ${some(resources)}`).join('; ')
}

const some = (resources: readonly string[]) =>
  resources.length <= 3 ? resources.join(', ') : `${resources.slice(0, 2).join(', ')} and ${resources.length - 2} more`

function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3))
  return `${(bytes / 1000 ** power).toFixed(1)} ${['B', 'kB', 'MB', 'GB'][power]}`
}

function took(milliseconds: number): string {
  if (milliseconds < 1000) return `${milliseconds} ms`
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`
  return `${Math.floor(milliseconds / 60_000)}m${Math.floor((milliseconds % 60_000) / 1000)}s`
}

/** For an entry that cannot be read: of a later version, or none. */
export const unreadable = (index: number): string => `entry ${index} cannot be read by this version of counterfoil`
