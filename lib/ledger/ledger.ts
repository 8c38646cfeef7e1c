/** The port that every store of a ledger implements: append durably, read back, sign. */
import type { Json } from '../format/canonical.ts'
import type { SignedCheckpoint } from '../format/checkpoint.ts'
import type { Clear, Entry, Kind } from '../format/entry.ts'

/** What a caller wants recorded; the ledger adds id, time, writer and sequence, salts and seals what is disclosed. */
export type DraftOf<K extends Kind> = { readonly kind: K } & Clear<K> & {
    /** Values that stand in the entry as salted digests only. */
    readonly disclose?: Readonly<Record<string, Json | undefined>>
    /**
     * Which key they are sealed under, so that one can be erased alone: `session:ID`, `principal:PSEUDONYM`. It is the one that the entry
     * itself tells (format/scope.ts), or a name that is no such: an erasure finds what is sealed by what entries tell.
     */
    readonly slot?: string
  }
export type Draft = { [K in Kind]: DraftOf<K> }[Kind]

export interface Stored {
  readonly index: number
  readonly entry: Entry
}

export interface Ledger {
  readonly origin: string
  /** Durable entries. */
  readonly size: number
  /**
   * Appends all of the drafts, in order, adjacent, or none; resolves when they are durable.
   * @throws LedgerError ERR_ENTRY_MALFORMED where a draft is not an entry: the ledger is unharmed
   * @throws Fault ERR_LEDGER_UNAVAILABLE after any write error: nothing more is accepted until it is opened again
   */
  append(drafts: readonly Draft[], options?: AppendOptions): Promise<readonly Stored[]>
  /** Durable entries from an index on, in order. @throws Fault ERR_LEDGER_UNAVAILABLE where they cannot be read: as all that reads */
  entries(from?: number): AsyncIterable<Stored>
  /**
   * The entries that what is known now rests on, in order: folded from them alone, grants, approvals, principals and the policy in force
   * are what they are folded from all.
   */
  state(): AsyncIterable<Stored>
  /** Opens an entry's disclosures. Names whose slot was erased are absent. */
  disclosures(index: number): Promise<Readonly<Record<string, Json>>>
  /** Begins an attachment: what is written to it is encrypted, and durable once it is closed. */
  attach(parts: AttachParts): Promise<AttachmentWriter>
  /**
   * An attachment's plain bytes.
   * @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT (cut, or never closed), ERR_DISCLOSURE_MISMATCH (altered)
   */
  attachment(id: string): AsyncIterable<Uint8Array>
  /**
   * Destroys the keys of what is disclosed of one principal or session so far, attachments included; who may have that done is not
   * asked here. What they disclose from then on is sealed under another key. A store that cannot has no such member.
   * @returns the `erasure` entries, once it is done
   * @throws LedgerError ERR_LEDGER_MISSING where nothing of it is there to erase, or an attachment of it is being written
   * @throws Refusal ERR_OBLIGATION_UNMET where a hold on it was placed since it was judged
   */
  erase?(erasure: Erasure): Promise<readonly Stored[]>
  /** Calls back with each entry, in index order, as soon as it is durable. @returns a function that ends it. */
  follow(listener: (stored: Stored) => void): () => void
  /** Signs what is durable with the note key, and publishes it. */
  publish(): Promise<SignedCheckpoint>
  /** Publishes, signed with the OpenPGP key too, and kept for good. */
  seal(): Promise<SignedCheckpoint>
  /** Appends `stopped`, seals, and releases everything. */
  close(): Promise<void>
}

export interface Erasure extends Pick<Clear<'erasure'>, 'scope' | 'of' | 'ground' | 'by' | 'approvers'> {
  /** In the words of who asks; disclosed. */
  readonly basis: string
  /**
   * How many entries whoever judged it knew. Where a hold that covers it has been placed since, or it has come to concern somebody else,
   * nothing is erased: two that share a ledger may be asked for both at once. Where left out, who may have it erased is not asked.
   */
  readonly judgedAt?: number | undefined
}

export interface AttachParts {
  /** As a draft's: the key that it is sealed under. */
  readonly slot: string
  /** What its entry will say of it: so that an entry can say it too, where a crash cuts it. */
  readonly of?: AttachedOf
}

export type AttachedOf = Pick<Clear<'attachment'>, 'exchange' | 'session' | 'part' | 'type'>

/** What an entry says of a closed attachment. */
export interface Attached {
  readonly id: string
  readonly bytes: number
  readonly chunks: number
  /** Commitment to the plain bytes under `salt`. */
  readonly content: string
  /** Undefined where the key is not the vault's: whoever could try contents with it could read a short one. */
  readonly salt: string | undefined
  /** Where the key is not the vault's. */
  readonly sealed?: {
    /** SHA-256 of the file as it lies, base64url. */
    readonly file: string
    /** Fingerprints of those who can read it. */
    readonly to: readonly string[]
  }
}

/** The disclosures of an attachment's entry. */
export const disclosedOf = ({ salt, sealed }: Attached): Readonly<Record<string, Json>> =>
  sealed === undefined ? { contentSalt: salt! } : { sealed: sealed.file, sealedTo: sealed.to }

/** To whom recordings are encrypted: who records them cannot read them back. */
export interface Readers {
  /** Of their OpenPGP certificates: 40 upper-case hex digits each. */
  readonly fingerprints: readonly string[]
  /** @returns an OpenPGP message that each of them can open */
  encrypt(bytes: Uint8Array): Promise<Uint8Array>
}

export interface AttachmentWriter {
  readonly id: string
  /** @throws Fault ERR_LEDGER_UNAVAILABLE where it cannot be written: what was to be recorded may not go on */
  write(bytes: Uint8Array): Promise<void>
  /** Resolves when all of it is durable. Idempotent. */
  close(): Promise<Attached>
}

/**
 * What an append waits for. `durable`: synced. `written`: the system has it, synced behind; it survives a killed process, not a power
 * cut. `signed`: a published checkpoint covers it. `witnessed`: as many witnesses as were configured have cosigned such a checkpoint.
 */
export type Level = 'written' | 'durable' | 'signed' | 'witnessed'

export interface AppendOptions {
  /**
   * `durable` where left out. Where an append of the later two fails, its entries may stand in the ledger all the same.
   * @throws Misuse ERR_OPTION_INVALID: `witnessed`, and no witness is configured
   */
  readonly level?: Level
}
