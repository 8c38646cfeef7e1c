/** A grant, as a pure fold over entries: requested, then live for a while with an absolute end, or denied, or revoked. */
import type { Access, Entry } from '../format/entry.ts'
import { patienceMs } from '../format/living.ts'
import { matches } from '../glob.ts'

export interface Grant {
  readonly id: string
  /** Index of the entry that asked for it, whose disclosures hold the reason. */
  readonly index: number
  /** Pseudonyms. */
  readonly subject: string
  readonly principal: string | undefined
  readonly owner: string | undefined
  /** Globs. */
  readonly resource: string
  readonly actions: readonly string[]
  readonly seconds: number
  readonly roles: readonly string[]
  /** Unix milliseconds. */
  readonly requested: number
  readonly status: 'requested' | 'granted' | 'denied' | 'revoked'
  /** Unix milliseconds, once granted: the window includes `from` and excludes `until`. */
  readonly from?: number
  readonly until?: number
}

export type Grants = Map<string, Grant>

export function foldGrant(grants: Grants, entry: Entry, index: number): void {
  switch (entry.kind) {
    case 'grant-requested': {
      // The first under an id stands: what others were shown, and decide, is not changed under their hands.
      if (grants.has(entry.grant)) return
      const { grant: id, subject, principal, owner, resource, actions, seconds, roles } = entry
      const requested = Date.parse(entry.time)
      grants.set(id, {
        id,
        index,
        subject,
        principal,
        owner,
        resource,
        actions,
        seconds,
        roles,
        requested,
        status: 'requested',
      })
      return
    }
    case 'grant-decided': {
      const grant = grants.get(entry.grant)
      if (grant?.status !== 'requested') return
      if (entry.verdict === 'deny' || entry.from === undefined || entry.until === undefined) {
        grants.set(grant.id, { ...grant, status: 'denied' })
      } else {
        grants.set(grant.id, {
          ...grant,
          status: 'granted',
          from: Date.parse(entry.from),
          until: Date.parse(entry.until),
        })
      }
      return
    }
    case 'grant-revoked': {
      const grant = grants.get(entry.grant)
      if (grant !== undefined && grant.status !== 'denied') grants.set(grant.id, { ...grant, status: 'revoked' })
    }
  }
}

/** Whether it is live: the window is closed at its start and open at its end. @param now Unix milliseconds */
export function isLive(grant: Grant, now: number): boolean {
  return grant.status === 'granted' && grant.from! <= now && now < grant.until!
}

export const isWaiting = (grant: Grant, now: number): boolean => grant.status === 'requested' && now < lapsesAt(grant)

/** When a request that nobody decides is over. */
export const lapsesAt = ({ requested }: Grant): number => requested + patienceMs

/** The moment from which on, whatever is decided, it is not live. */
export const overAt = (grant: Grant): number => grant.until ?? grant.requested + patienceMs + grant.seconds * 1000

export function covers(grant: Grant, accesses: readonly Access[]): boolean {
  return accesses.every(
    ({ action, resource }) =>
      matches(grant.resource, resource) && grant.actions.some(allowed => allowed === '*' || allowed === action),
  )
}
