/**
 * What one writer attaches through the leader: what is being written, and what was closed and no entry speaks of yet, by whichever of its
 * connections. An entry of another host's speaks only of what that host closed, and says of it what was written.
 */
import { Fault, LedgerError } from '../../errors.ts'
import { canonical, type Json } from '../../format/canonical.ts'
import { commitmentStream } from '../../format/disclosure.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import { type Attached, type AttachedOf, type AttachmentWriter, type DraftOf, disclosedOf } from '../ledger.ts'
import { denied } from './access.ts'

/** Of one process: each that is being written holds a file open, and each that no entry speaks of has a note on the disk. */
const most = 1024

interface Written {
  readonly of: AttachedOf | undefined
  readonly writer: AttachmentWriter
}

interface Closed {
  readonly of: AttachedOf | undefined
  readonly attached: Attached
}

export class Attachments {
  readonly #ledger: DirectoryLedger
  readonly #writer: string
  readonly #writing = new Map<string, Written>()
  #beginning = 0
  readonly #closed = new Map<string, Closed>()
  /** Nobody will come to speak of these; the ledger has not yet. */
  readonly #left = new Set<string>()
  #telling: Promise<void> | undefined

  constructor(ledger: DirectoryLedger, writer: string) {
    this.#ledger = ledger
    this.#writer = writer
  }

  /**
   * @param slot undefined for a key of its own. @returns its id
   * @throws Fault ERR_LEDGER_UNAVAILABLE. @throws Refusal ERR_ACCESS_DENIED
   */
  async begin(of: AttachedOf | undefined, slot: string | undefined): Promise<string> {
    if (this.#beginning + this.#writing.size + this.#left.size >= most) {
      throw new Fault('ERR_LEDGER_UNAVAILABLE', `${most} attachments of this process are being written, or were left`)
    }
    if (slot === undefined && of === undefined) throw denied('attach what it does not say what it is of')
    // A leader after this one must know what another host may speak of.
    this.#beginning += 1
    const writer = await this.#ledger.attachments
      .begin({ writer: this.#writer, slot, of, isTold: slot === undefined })
      .finally(() => {
        this.#beginning -= 1
      })
    this.#writing.set(writer.id, { of, writer })
    return writer.id
  }

  /** @throws LedgerError ERR_LEDGER_MISSING */
  async write(id: string, bytes: Uint8Array): Promise<void> {
    await this.#written(id).writer.write(bytes)
  }

  /** @throws LedgerError ERR_LEDGER_MISSING */
  async close(id: string): Promise<Attached> {
    const { of, writer } = this.#written(id)
    this.#writing.delete(id)
    const attached = await writer.close()
    this.#closed.set(id, { of, attached })
    // Of who closes and never speaks of it the oldest is given up.
    if (this.#closed.size > most) this.#leave([this.#closed.keys().next().value!])
    return attached
  }

  /**
   * An entry is to speak of it: once, and as it is.
   * @returns a function that takes this back, where the entry does not come to stand
   * @throws Refusal ERR_ACCESS_DENIED unless it was closed here, or by this writer under a leader before
   */
  async speak(draft: DraftOf<'attachment'>): Promise<() => void> {
    const { attachment: id, exchange, session, part, type, bytes, chunks, content, disclose = {} } = draft
    const said = { exchange, session, part, type, bytes, chunks }
    const closed = this.#closed.get(id)
    if (closed === undefined) return this.#speakOfCut(id, said, content, disclose)
    const { of, attached } = closed
    const isSo =
      same(said, { ...of, bytes: attached.bytes, chunks: attached.chunks }) &&
      content === attached.content &&
      same(disclose, disclosedOf(attached))
    if (!isSo) throw untrue()
    this.#closed.delete(id)
    return () => void this.#closed.set(id, closed)
  }

  /** What a process of this host attached is its own to speak of. */
  spoken(id: string): void {
    this.#closed.delete(id)
  }

  async #speakOfCut(id: string, said: object, content: string, disclose: object): Promise<() => void> {
    const cut = this.#ledger.attachments.cutAtOpening(id)
    if (cut === undefined) throw untrue()
    const { writer, file, ...of } = cut
    if (writer !== this.#writer || !same(said, of)) throw untrue()
    const { contentSalt, sealed } = disclose as { readonly contentSalt?: unknown; readonly sealed?: unknown }
    const back = this.#ledger.attachments.takeCut(id)
    try {
      const isSo = sealed === undefined ? (await this.#contentOf(id, contentSalt)) === content : sealed === file
      if (!isSo) throw untrue()
      return back
    } catch (error) {
      back()
      throw error
    }
  }

  async #contentOf(id: string, salt: unknown): Promise<string | undefined> {
    if (typeof salt !== 'string') return undefined
    const stream = commitmentStream(salt)
    for await (const piece of this.#ledger.attachment(id)) stream.update(piece)
    return stream.digest()
  }

  /** The connection is gone: what was being written by it ends here, and no entry will speak of it. */
  async drop(): Promise<void> {
    const ended: string[] = []
    for (const [id, { writer }] of [...this.#writing]) {
      this.#writing.delete(id)
      await writer.close().catch(() => undefined)
      ended.push(id)
    }
    this.#leave(ended)
  }

  /** The writer is gone. */
  async abandon(): Promise<void> {
    this.#leave([...this.#closed.keys()])
    await this.drop()
  }

  /** Whoever wrote these does not speak of them any more. They may be long: nobody waits until they are told. */
  #leave(ids: readonly string[]): void {
    for (const id of ids) {
      this.#closed.delete(id)
      this.#ledger.attachments.forget(id)
      this.#left.add(id)
    }
    this.#telling ??= this.#tell().finally(() => {
      this.#telling = undefined
    })
  }

  /** What cannot be told counts until it is, at the next try or opening. */
  async #tell(): Promise<void> {
    while (this.#left.size > 0) {
      const ids = [...this.#left]
      const isTold = await this.#ledger.attachments.tell(ids).then(
        () => true,
        () => false,
      )
      if (!isTold) return
      for (const id of ids) this.#left.delete(id)
    }
  }

  #written(id: string): Written {
    const written = this.#writing.get(id)
    if (written === undefined) throw new LedgerError('ERR_LEDGER_MISSING', 'no such attachment is being written')
    return written
  }
}

const untrue = () => denied('speak of an attachment that it did not write so')

/** What is undefined is not said. */
const same = (one: object, other: object): boolean => canonical(one as Json) === canonical(other as Json)
