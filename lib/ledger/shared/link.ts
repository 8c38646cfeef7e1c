/** What a process that shares a ledger has of it at a moment: a connection to its leader, or the open ledger itself where it leads. */
import type { Json } from '../../format/canonical.ts'
import type { SignedCheckpoint } from '../../format/checkpoint.ts'
import type { AttachmentWriter, AttachParts, Erasure, Stored } from '../ledger.ts'
import type { Batch } from './messages.ts'

export interface Link {
  /**
   * Entries will stand in the order of the calls. Nothing is answered: what was appended comes back among the entries that the
   * process is told of, and `onDeclined` says what is no entry.
   */
  append(batch: Batch): void
  entries(from: number, to: number): AsyncIterable<Stored>
  /** What is known now rests on these, up to some entry that this process is told of sooner or later. */
  state(): AsyncIterable<Stored>
  disclosures(index: number): Promise<Readonly<Record<string, Json>>>
  attach(parts: AttachParts): Promise<AttachmentWriter>
  attachment(id: string): AsyncIterable<Uint8Array>
  publish(): Promise<SignedCheckpoint>
  seal(): Promise<SignedCheckpoint>
  /** Resolves when a checkpoint that covers so many entries is signed, or witnessed. */
  covered(size: number, level: 'signed' | 'witnessed'): Promise<void>
  erase(erasure: Erasure): Promise<readonly Stored[]>
  /** Ends it: as a leader, hands over. */
  close(): Promise<void>
  /** Ends it after an error: nothing more is appended. */
  abandon(): Promise<void>
}

/** What a link tells the process. */
export interface LinkEvents {
  /** Every entry, in index order. @throws where what follows them failed: the link is of no use then */
  readonly onEntries: (stored: readonly Stored[]) => void
  readonly onDeclined: (firstId: string, error: unknown) => void
  /** Once. */
  readonly onLost: (cause: unknown) => void
}
