/**
 * Which notes a ledger signed itself: by the note key of its entry 0, or by one that its entries say it was rotated to.
 * Nothing of that is pinned, and proves nothing; but what none of them signed was put there by somebody else.
 */
import type { SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { parseEntry } from '../lib/format/entry.ts'
import { type Note, type NoteVerifier, parseVerifierKey } from '../lib/format/note.ts'
import { unlessUnreachable } from './finding.ts'
import { findKeyEntries } from './key-entries.ts'
import type { LedgerFiles } from './ledger-files.ts'

export class OwnNotes {
  readonly #files: LedgerFiles
  readonly #published: SignedCheckpoint
  #first: Promise<readonly NoteVerifier[]> | undefined
  #later: Promise<readonly NoteVerifier[]> | undefined

  constructor(files: LedgerFiles, published: SignedCheckpoint) {
    this.#files = files
    this.#published = published
  }

  /** For later keys all entries are read, once, and only where the first key did not sign. @throws Fault ERR_LEDGER_UNAVAILABLE */
  async has(note: Note): Promise<boolean> {
    this.#first ??= this.#opening()
    if (isBy(note, await this.#first)) return true
    this.#later ??= this.#rotated()
    return isBy(note, await this.#later)
  }

  async #opening(): Promise<readonly NoteVerifier[]> {
    const [first] = (await this.#files.entriesOf(0, this.#published.size).catch(unlessUnreachable)) ?? []
    const opened = first === undefined ? undefined : parseEntry(first)
    return opened?.kind === 'opened' ? [parseVerifierKey(opened.noteKey)] : []
  }

  async #rotated(): Promise<readonly NoteVerifier[]> {
    const entries = await findKeyEntries(this.#files, this.#published)
    return entries.flatMap(({ entry }) =>
      entry.kind === 'key-rotated' && entry.key === 'note' ? [parseVerifierKey(entry.new)] : [],
    )
  }
}

/** A false line under the same key beside the true one is refused by whoever checks the note, and so it is here. */
function isBy({ text, signatures }: Note, keys: readonly NoteVerifier[]): boolean {
  const own = signatures.flatMap(({ name, keyId, signature }) => {
    const key = keys.find(one => one.name === name && Buffer.compare(one.keyId, keyId) === 0)
    return key === undefined ? [] : [key.verify(text, signature)]
  })
  return own.length > 0 && own.every(Boolean)
}
