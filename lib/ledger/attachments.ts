/**
 * Attachments of an open directory ledger: written under a key of the vault or to readers, noted where a crash would
 * cut them, and kept from erasures until an entry speaks of them.
 */
import { Fault, LedgerError } from '../errors.ts'
import { type Entry, uuidv7 } from '../format/entry.ts'
import { type Attaching, type AttachmentCut, headDigest, type Note, ownSlot } from './attaching.ts'
import { type Ending, keyForReaders, SealedWriter } from './attachment.ts'
import { createAttachmentFile } from './attachment-file.ts'
import type { Eraser } from './eraser.ts'
import type { AttachedOf, AttachmentWriter, Draft } from './ledger.ts'
import type { DirectoryOptions } from './options.ts'
import type { Vault } from './vault.ts'

/** Milliseconds after which nobody comes to speak of what they closed: its entry is appended at once, or was refused. */
const unspokenMs = 60_000

interface Parts {
  readonly options: Pick<DirectoryOptions, 'directory' | 'origin' | 'readers'>
  readonly vault: Vault
  readonly attaching: Attaching
  readonly eraser: Eraser
  /** Durable entries. */
  readonly size: () => number
  /** Unix milliseconds. */
  readonly now: () => number
  /** @throws Fault ERR_LEDGER_UNAVAILABLE where nothing more can be attached */
  readonly requireReady: () => void
  /** @throws where another process may have the ledger by now, and have said what is left of what is being written */
  readonly requireHeld: () => void
  readonly append: (drafts: readonly Draft[]) => Promise<unknown>
}

export interface Attachment {
  readonly writer: string
  /** Undefined for a key of its own. */
  readonly slot: string | undefined
  readonly of: AttachedOf | undefined
  /** Whether the next opening tells of it, where no entry came to: else only of what was cut. */
  readonly isTold?: boolean
}

/** Closed, and no entry speaks of it. */
interface Unspoken {
  /** Unix milliseconds. */
  readonly since: number
  /** What is to be noted of it before it can be told; undefined where it is, or nobody said what it is of. */
  readonly note: Note | undefined
}

export class Attachments {
  readonly #parts: Parts
  readonly #writing = new Map<string, SealedWriter>()
  readonly #beginning = new Set<Promise<unknown>>()
  readonly #unspoken = new Map<string, Unspoken>()
  /** It is told of these that they were cut, since nobody spoke of them in time. */
  readonly #givenUp = new Set<string>()
  #telling: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE */
  begin(attachment: Attachment): Promise<AttachmentWriter> {
    const begun = this.#begin(attachment)
    this.#beginning.add(begun)
    const over = () => void this.#beginning.delete(begun)
    begun.then(over, over)
    return begun
  }

  async #begin({ writer, slot, of, isTold = false }: Attachment): Promise<AttachmentWriter> {
    const { options, vault, attaching, eraser, size, now, requireReady, requireHeld } = this.#parts
    requireReady()
    const { directory, origin, readers } = options
    const id = uuidv7(now())
    const name = slot ?? ownSlot(id)
    const undone = eraser.attaching(id, { name, of, writer })
    try {
      // Before anything is awaited: no slot is given out by a ledger that was closed meanwhile.
      const key = vault.names.get(name)
      // With readers, the slot is what it is erased by, and opens nothing.
      const sealed = readers === undefined ? undefined : await keyForReaders(readers, { origin, id })
      const medium = await createAttachmentFile(directory, id)
      // Who does not say what it is of has nobody told what becomes of it in a crash.
      let unnoted: Note | undefined
      const begin = async (isWhole: boolean, head: Uint8Array) => {
        if (of === undefined) return
        const note = { ...of, writer, size: size(), slot: key.slot, head: headDigest(head) }
        if (isWhole && !isTold) unnoted = note
        else await attaching.note(id, note)
      }
      const append = async (bytes: Uint8Array) => {
        requireHeld()
        await medium.append(bytes)
      }
      const onEnd = (ending: Ending) => this.#ended(id, ending, unnoted)
      const parts = { ...key, sealed, origin, id, medium: { ...medium, begin, append }, onEnd }
      const sealing = new SealedWriter(parts)
      this.#writing.set(id, sealing)
      return sealing
    } catch (error) {
      undone()
      throw error
    }
  }

  /** Nobody speaks of what could not be written: what there is of it is said here. */
  #ended(id: string, ending: Ending, note: Note | undefined): void {
    this.#writing.delete(id)
    if (ending === 'whole') {
      this.#unspoken.set(id, { since: this.#parts.now(), note })
      return
    }
    this.forget(id)
    if (!this.#closed) this.tell([id]).catch(() => undefined)
  }

  /** No entry will speak of it: nothing that is to be erased waits for it any more. */
  forget(id: string): void {
    this.#unspoken.delete(id)
    this.#parts.eraser.forget(id)
  }

  /** To be told of every entry when it takes its place, before it is durable. */
  coming(entry: Entry): void {
    if (entry.kind === 'attachment') this.#unspoken.delete(entry.attachment)
  }

  /** @throws LedgerError ERR_LEDGER_MISSING where a draft speaks of what was given up */
  requireSpeakable(drafts: readonly Draft[]): void {
    if (drafts.some(draft => draft.kind === 'attachment' && this.#givenUp.has(draft.attachment))) {
      throw new LedgerError('ERR_LEDGER_MISSING', 'a recording was not spoken of in time, and told as cut')
    }
  }

  /**
   * What was closed a minute ago or longer, and no entry came to speak of, keeps nothing from being erased: it is told
   * as cut, and no entry may speak of it any more.
   */
  async giveUpUnspoken(): Promise<void> {
    const { attaching, now, requireHeld } = this.#parts
    const until = now() - unspokenMs
    const ids = [...this.#unspoken].filter(([, { since }]) => since <= until).map(([id]) => id)
    if (ids.length === 0) return
    try {
      await this.#tell(ids, async id => {
        // Spoken of while this waited for its turn.
        const unspoken = this.#unspoken.get(id)
        if (unspoken === undefined) return
        this.#givenUp.add(id)
        requireHeld()
        if (unspoken.note !== undefined) await attaching.note(id, unspoken.note)
        this.forget(id)
      })
    } catch (error) {
      // Of what is noted the erasure finds the key, said or not.
      if (ids.some(id => this.#unspoken.has(id))) throw error
    }
  }

  /** What was noted of these is said as an opening would say it, and noted no longer: who wrote them has left them behind. */
  tell(ids: readonly string[]): Promise<void> {
    return this.#tell(ids, async () => undefined)
  }

  /** @param before of each */
  #tell(ids: readonly string[], before: (id: string) => Promise<void>): Promise<void> {
    const { options, vault, attaching, eraser, append } = this.#parts
    // Of what is erased just now, either the erasure finds what this says, or this finds nothing left.
    const told = eraser.apart(async () => {
      const drafts: Draft[] = []
      for (const id of ids) {
        if (this.#closed) throw closed()
        await before(id)
        const draft = await attaching.cutOf(id, options.origin, slot => vault.key(slot))
        if (draft !== undefined) drafts.push(draft)
      }
      if (drafts.length > 0) await append(drafts)
    })
    this.#telling = told.catch(() => undefined)
    return told
  }

  /**
   * What is being written ends here. Resolves when none of their files is touched any more. What
   * was not told by then, the next opening tells.
   */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#beginning)
    await Promise.all([...this.#writing.values()].map(writer => writer.abandon(closed())))
    await this.#telling
  }

  /** What the opening said of one that it found cut: who wrote it may not have been heard to the end. */
  cutAtOpening(id: string): AttachmentCut | undefined {
    return this.#parts.attaching.cutAtOpening(id)
  }

  /** An entry speaks of one that was cut. @returns a function that takes this back */
  takeCut(id: string): () => void {
    return this.#parts.attaching.takeCut(id)
  }
}

const closed = () => new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')
