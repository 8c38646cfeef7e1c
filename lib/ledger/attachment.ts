/**
 * Writes an attachment: chunks sealed as they fill, over whatever holds the bytes; under the
 * vault's key, or one that only its readers know.
 */
import { createHash, randomBytes } from 'node:crypto'
import { Fault } from '../errors.ts'
import {
  type AttachmentContext,
  encodeAttachmentHead,
  encodeChunk,
  encodeContentKey,
  longestChunk,
} from '../format/attachment.ts'
import { commitmentStream, randomSalt } from '../format/disclosure.ts'
import { type MacKey, macKey } from '../format/mac.ts'
import type { Attached, AttachmentWriter, Readers } from './ledger.ts'

/** Where the bytes go: a file, or memory. */
export interface AttachmentMedium {
  /**
   * Before the first bytes. @param isWhole whether the end comes with them: else they may be all that a crash leaves.
   * @param head what they begin with
   */
  begin?(isWhole: boolean, head: Uint8Array): Promise<void>
  append(bytes: Uint8Array): Promise<void>
  /** Makes all of it durable, and ends it. */
  finish(): Promise<void>
  /** Ends it after a failure, and never throws. */
  abandon(): Promise<void>
}

/** How the writing of an attachment ended. */
export type Ending = 'whole' | 'failed'

/** `key` is of the slot. */
export interface SealedWriterParts extends AttachmentContext {
  readonly slot: number
  readonly medium: AttachmentMedium
  readonly sealed?: SealedKey | undefined
  /** Called once, when its file is touched no more. */
  readonly onEnd?: (ending: Ending) => void
}

/** What seals the chunks in place of a key of the vault's, and stands in the head. */
interface SealedKey {
  readonly key: Uint8Array
  readonly message: Uint8Array
  readonly salt: string
  readonly to: readonly string[]
}

/**
 * A key of the attachment's own, that is nowhere but in this process's memory while it is written, and in the message to its readers.
 * @throws Fault ERR_LEDGER_UNAVAILABLE
 */
export async function keyForReaders(
  { encrypt, fingerprints: to }: Readers,
  { origin, id: attachment }: Omit<AttachmentContext, 'key'>,
): Promise<SealedKey> {
  const [key, salt] = [randomBytes(32), randomSalt()]
  try {
    const message = await encrypt(encodeContentKey({ origin, attachment, key, salt }))
    return { key, message, salt, to }
  } catch (cause) {
    throw new Fault('ERR_LEDGER_UNAVAILABLE', 'a recording could not be encrypted to those who may read it', {}, cause)
  }
}

export class SealedWriter implements AttachmentWriter {
  readonly id: string
  readonly #parts: SealedWriterParts
  /** What the chunks are sealed under. */
  readonly #context: AttachmentContext
  /** Shows that this host wrote a chunk that it cannot open again. */
  readonly #prover: MacKey | undefined
  readonly #salt: string
  readonly #content: ReturnType<typeof commitmentStream>
  /** Of the file as it lies. */
  readonly #file = createHash('sha256')
  #pending: Buffer[] = []
  #pendingBytes = 0
  #bytes = 0
  #chunks = 0
  #begun = false
  #closed: Promise<Attached> | undefined
  #ended = false
  /** Writes follow each other; the first that fails fails all after it. */
  #last: Promise<void> = Promise.resolve()

  constructor(parts: SealedWriterParts) {
    this.id = parts.id
    const { origin, id, key, sealed } = parts
    this.#parts = parts
    this.#context = { origin, id, key: sealed?.key ?? key }
    this.#prover = sealed === undefined ? undefined : macKey(key, origin, 'chunk')
    this.#salt = sealed?.salt ?? randomSalt()
    this.#content = commitmentStream(this.#salt)
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#closed !== undefined)
      return Promise.reject(new Fault('ERR_LEDGER_UNAVAILABLE', 'the attachment is closed'))
    this.#bytes += bytes.length
    this.#content.update(bytes)
    this.#pending.push(Buffer.from(bytes))
    this.#pendingBytes += bytes.length
    if (this.#pendingBytes >= longestChunk) this.#then(() => this.#flush(false))
    return this.#last
  }

  close(): Promise<Attached> {
    this.#closed ??= this.#then(() => this.#flush(true)).then(() => {
      this.#end('whole')
      return this.#attached()
    })
    return this.#closed
  }

  /** Nothing more is written to it, and what is pending is not. Resolves when its file is closed. */
  async abandon(fault: Fault): Promise<void> {
    const ended = this.#then(() => Promise.reject(fault))
    await ended.catch(() => undefined)
  }

  #end(ending: Ending): void {
    if (!this.#ended) this.#parts.onEnd?.(ending)
    this.#ended = true
  }

  #attached(): Attached {
    const { sealed } = this.#parts
    const attached = { id: this.id, bytes: this.#bytes, chunks: this.#chunks, content: this.#content.digest() }
    if (sealed === undefined) return { ...attached, salt: this.#salt }
    return { ...attached, salt: undefined, sealed: { file: this.#file.digest('base64url'), to: sealed.to } }
  }

  #then(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work).catch(async error => {
      await this.#parts.medium.abandon()
      this.#end('failed')
      throw error instanceof Fault
        ? error
        : new Fault('ERR_LEDGER_UNAVAILABLE', 'an attachment could not be written', {}, error)
    })
    // Whoever writes next hears of it.
    this.#last.catch(() => undefined)
    return this.#last
  }

  async #flush(all: boolean): Promise<void> {
    const { medium, slot, sealed } = this.#parts
    const plain = Buffer.concat(this.#pending)
    const whole = all ? plain.length : plain.length - (plain.length % longestChunk)
    this.#pending = whole === plain.length ? [] : [plain.subarray(whole)]
    this.#pendingBytes = plain.length - whole
    const out: Uint8Array[] = []
    if (!this.#begun) {
      const head = encodeAttachmentHead(slot, sealed?.message)
      await medium.begin?.(all, head)
      out.push(head)
    }
    this.#begun = true
    for (let at = 0; at < whole; at += longestChunk) {
      const chunk = plain.subarray(at, Math.min(whole, at + longestChunk))
      out.push(encodeChunk(this.#context, this.#chunks, chunk, this.#prover))
      this.#chunks += 1
    }
    const bytes = Buffer.concat(out)
    if (sealed !== undefined) this.#file.update(bytes)
    await medium.append(bytes)
    if (all) await medium.finish()
  }
}
