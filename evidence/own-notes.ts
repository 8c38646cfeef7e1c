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

interface OwnKey extends NoteVerifier {
  /** The verifier key, as it is handed out. */
  readonly text: string
}

const ownKey = (text: string): OwnKey => ({ text, ...parseVerifierKey(text) })

export class OwnNotes {
  readonly #files: LedgerFiles
  readonly #published: SignedCheckpoint
  #first: Promise<readonly OwnKey[]> | undefined
  #later: Promise<readonly OwnKey[]> | undefined

  constructor(files: LedgerFiles, published: SignedCheckpoint) {
    this.#files = files
    this.#published = published
  }

  async has(note: Note): Promise<boolean> {
    return (await this.keyOf(note)) !== undefined
  }

  /**
   * For later keys all entries are read, once, and only where the first key did not sign.
   * @returns the verifier key; undefined where none of the ledger's own signed it. @throws Fault ERR_LEDGER_UNAVAILABLE
   */
  async keyOf(note: Note): Promise<string | undefined> {
    this.#first ??= this.#opening()
    const first = signerOf(note, await this.#first)
    if (first !== undefined) return first
    this.#later ??= this.#rotated()
    return signerOf(note, await this.#later)
  }

  /** Whether it has a line of the key that signed what is published: the one that speaks now. */
  isByKeyInForce({ signatures }: Note): boolean {
    const { origin, note } = this.#published
    const own = (lines: Note['signatures']) => lines.filter(({ name }) => name === origin)
    return own(note.signatures).some(now => own(signatures).some(({ keyId }) => Buffer.compare(keyId, now.keyId) === 0))
  }

  async #opening(): Promise<readonly OwnKey[]> {
    const [first] = (await this.#files.entriesOf(0, this.#published.size).catch(unlessUnreachable)) ?? []
    const opened = first === undefined ? undefined : parseEntry(first)
    return opened?.kind === 'opened' ? [ownKey(opened.noteKey)] : []
  }

  async #rotated(): Promise<readonly OwnKey[]> {
    const entries = await findKeyEntries(this.#files, this.#published)
    return entries.flatMap(({ entry }) =>
      entry.kind === 'key-rotated' && entry.key === 'note' ? [ownKey(entry.new)] : [],
    )
  }
}

/** A false line under the same key beside the true one is refused by whoever checks the note, and so it is here. */
function signerOf({ text, signatures }: Note, keys: readonly OwnKey[]): string | undefined {
  const own = signatures.flatMap(({ name, keyId, signature }) => {
    const key = keys.find(one => one.name === name && Buffer.compare(one.keyId, keyId) === 0)
    return key === undefined ? [] : [{ key, isTrue: key.verify(text, signature) }]
  })
  return own.every(({ isTrue }) => isTrue) ? own[0]?.key.text : undefined
}
