/** What is asked of a target, in words that every protocol shares. Adapters make these; policy and controls judge them. */
import type { Json } from './format/canonical.ts'
import type { Access } from './format/entry.ts'

export type { Access }

/** Where data lies: a field of a resource, or every field of it. */
export interface Place {
  readonly resource: string
  readonly field?: string
}

/** Data that comes to lie elsewhere, or under another name. */
export interface Move {
  /** `anywhere`: it may be any data of the target. */
  readonly from: Place | 'anywhere'
  /** Absent: to where no mask can be said to follow. */
  readonly to?: Place
}

/** Something that is asked for by a name that stands for nothing. */
export interface Absence {
  /** One of the operation's accesses. */
  readonly access: Access
  /** As it was asked for. */
  readonly name: string
  /** What the resource would be if it were there: a denial says no more of it than of what is there and forbidden. */
  readonly as: string
  /** Whoever may do this may see what is there, and is told that this is not. */
  readonly seenBy: Access
}

export interface Operation {
  /** http, postgres, ... */
  readonly protocol: string
  /** The listener's or application's name; the first segment of every resource. */
  readonly target: string
  /** Everything that it does: all must be permitted. At least one. `crm/public.customers`, `select`. */
  readonly accesses: readonly Access[]
  /** Accesses among them that can only fail. */
  readonly absent?: readonly Absence[]
  /** Resources that its reply can show data of, beyond those accessed: the tables under a view, a partition's parent. */
  readonly reaches: readonly string[]
  /** It may reach anything in the target (an unknown function, code): every mask of the target applies. */
  readonly opaque: boolean
  /** Copies, renames, and definitions that would do either later: where a mask does not follow, the data would be read in clear. */
  readonly moves?: readonly Move[]
  /** By the protocol's documented table. */
  readonly risk: 'low' | 'high'
  /** Proved to change nothing: it may be forwarded before the record of it is durable; its reply may not leave. */
  readonly read: boolean
  /**
   * Its reply answers more than is asked at first (a file that is opened, then read piece by piece), so none of it can be held back
   * until the end: the decision is recorded before anything is forwarded, for a read too.
   */
  readonly piecemeal?: boolean
  /** The exact action, as an approver sees it and an approval binds it: statement and bound values, method and path and body. */
  readonly action: Json
  /** What is disclosed of the action where it holds secrets; the commitment is over the whole. Absent: the action itself. */
  readonly shown?: Json
  /** The action is not wholly known (a body still to be streamed): no approval can bind it, so none may be given. */
  readonly unbound?: boolean
  /** May wait for an approval where it stands. False inside an open transaction, whose locks it would keep. */
  readonly holdable: boolean
}
