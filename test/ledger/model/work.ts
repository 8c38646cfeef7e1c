/** What is done to a ledger of the model, how it is killed, and how it is opened again: shapes alone. */
import type { AttachedOf, AttachmentWriter, Stored } from '../../../lib/ledger/ledger.ts'
import type { BothKeys } from '../../../lib/ledger/rotation.ts'
import type { Believed } from './belief.ts'

/** Entries that are appended together: all of them are there, or none. */
export interface Group {
  readonly believed: readonly Believed[]
  /** Once they are acknowledged. */
  acknowledged?: readonly Stored[]
}

/** Something that is done to an open ledger, and what it appends, in order. */
export interface Work {
  readonly groups: readonly Group[]
  /** @param isOver whether it was killed by now, so that nothing more is acknowledged */
  run(isOver: () => boolean): Promise<unknown>
  /** The keys that speak afterwards, where they are others. It ends with the ledger closed then. */
  readonly keys?: BothKeys
  /** Once it is done. */
  readonly done?: () => void
}

export interface Recording {
  readonly of: AttachedOf
  readonly scope: string
  readonly writer: AttachmentWriter
  readonly bytes: Buffer[]
}

/** How a ledger is killed, and opened again. */
export interface Kill {
  /** At which call that changes a file. */
  readonly at: number
  /** Bytes of a write that was cut off, behind the last frame. */
  readonly rubbish: Uint8Array
  /** Whether what is left is verified before it is opened. */
  readonly judged: boolean
}

export interface Reopening {
  readonly as: string
  /** The key of the vault is changed by it. */
  readonly rewrap: boolean
  /** It is killed itself at that call that changes a file, and done again; 0: it is not. */
  readonly killedAt: number
}
