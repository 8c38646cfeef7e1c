/** Writes an attachment: chunks sealed as they fill, over whatever holds the bytes. */
import { Fault } from '../errors.ts'
import { type AttachmentContext, encodeAttachmentHead, encodeChunk, longestChunk } from '../format/attachment.ts'
import { commitmentStream, randomSalt } from '../format/disclosure.ts'
import type { Attached, AttachmentWriter } from './ledger.ts'

/** Where the bytes go: a file, or memory. */
export interface AttachmentMedium {
  /** Before the first bytes, where the end does not come with them: they may be all that a crash leaves. */
  begin?(): Promise<void>
  append(bytes: Uint8Array): Promise<void>
  /** Makes all of it durable, and ends it. */
  finish(): Promise<void>
  /** Ends it after a failure, and never throws. */
  abandon(): Promise<void>
}

export interface SealedWriterParts extends AttachmentContext {
  readonly slot: number
  readonly medium: AttachmentMedium
}

export class SealedWriter implements AttachmentWriter {
  readonly id: string
  readonly #parts: SealedWriterParts
  readonly #salt = randomSalt()
  readonly #content = commitmentStream(this.#salt)
  #pending: Buffer[] = []
  #pendingBytes = 0
  #bytes = 0
  #chunks = 0
  #begun = false
  #closed: Promise<Attached> | undefined
  /** Writes follow each other; the first that fails fails all after it. */
  #last: Promise<void> = Promise.resolve()

  constructor(parts: SealedWriterParts) {
    this.id = parts.id
    this.#parts = parts
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
    this.#closed ??= this.#then(() => this.#flush(true)).then(() => ({
      ...{ id: this.id, bytes: this.#bytes, chunks: this.#chunks },
      ...{ content: this.#content.digest(), salt: this.#salt },
    }))
    return this.#closed
  }

  #then(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work).catch(async error => {
      await this.#parts.medium.abandon()
      throw error instanceof Fault
        ? error
        : new Fault('ERR_LEDGER_UNAVAILABLE', 'an attachment could not be written', {}, error)
    })
    // Whoever writes next hears of it.
    this.#last.catch(() => undefined)
    return this.#last
  }

  async #flush(all: boolean): Promise<void> {
    const { medium, slot } = this.#parts
    const plain = Buffer.concat(this.#pending)
    const whole = all ? plain.length : plain.length - (plain.length % longestChunk)
    this.#pending = whole === plain.length ? [] : [plain.subarray(whole)]
    this.#pendingBytes = plain.length - whole
    const out: Uint8Array[] = this.#begun ? [] : [encodeAttachmentHead(slot)]
    if (!this.#begun && !all) await medium.begin?.()
    this.#begun = true
    for (let at = 0; at < whole; at += longestChunk) {
      out.push(encodeChunk(this.#parts, this.#chunks, plain.subarray(at, Math.min(whole, at + longestChunk))))
      this.#chunks += 1
    }
    await medium.append(Buffer.concat(out))
    if (all) await medium.finish()
  }
}
