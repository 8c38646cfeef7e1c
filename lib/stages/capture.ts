/**
 * Out: keeps what was shown as an attachment, where a control asks for it, together with what was typed. Outside of the masks, so what it
 * keeps is masked; inside of the seal, so that it is durable before the outcome says so. What cannot be kept is not shown.
 */
import type { Clock } from '../clock.ts'
import type { Stage } from '../compose.ts'
import { slotOf } from '../entries.ts'
import type { Exchange, Input } from '../exchange.ts'
import { type AttachmentWriter, type DraftOf, disclosedOf, type Ledger } from '../ledger/ledger.ts'
import { keptInput } from '../recording/kept.ts'
import { type Recorder, recorderFor } from '../recording/recorder.ts'
import type { Frame, Head, Reply } from '../reply.ts'

interface Parts {
  readonly ledger: Ledger
  readonly clock: Clock
}

export function capture(parts: Parts): Stage {
  // Entered at once, not when it is pulled: the seal looks for the decision before the first frame.
  return async (exchange, next) => captured(parts, exchange, await next())
}

async function* captured(parts: Parts, exchange: Exchange, reply: Reply): AsyncGenerator<Frame> {
  let recording: Recording | undefined
  let over = false
  const finish = async (end?: Uint8Array) => {
    if (over || recording === undefined) return
    over = true
    exchange.learn('attachments', [await recording.close(end)])
  }
  try {
    for await (const frame of reply) {
      if (frame.type === 'end') {
        await finish(frame.bytes)
      } else if (exchange.perhaps('obligations')?.record.response === 'masked') {
        if (frame.type === 'head') recording ??= await Recording.begin(parts, exchange, frame)
        await recording?.add(frame)
      }
      yield frame
    }
  } finally {
    await finish()
  }
}

type Begun = ReturnType<typeof recorderFor> & { readonly started: number }

class Recording {
  readonly #exchange: Exchange
  readonly #clock: Clock
  readonly #started: number
  readonly #writer: AttachmentWriter
  readonly #recorder: Recorder
  readonly #part: 'response' | 'terminal'
  #over = false

  private constructor(exchange: Exchange, clock: Clock, writer: AttachmentWriter, { started, recorder, part }: Begun) {
    this.#exchange = exchange
    this.#clock = clock
    this.#started = started
    this.#writer = writer
    this.#recorder = recorder
    this.#part = part
    exchange.onInput(input => this.#typed(input))
  }

  static async begin({ ledger, clock }: Parts, exchange: Exchange, head: Head): Promise<Recording> {
    const started = clock.now()
    const begun = { started, ...recorderFor(head, started, keptInput(exchange.fact('obligations').masks)) }
    const of = { exchange: exchange.id, session: exchange.session?.id, part: begun.part, type: begun.recorder.type }
    return new Recording(exchange, clock, await ledger.attach({ slot: slotOf(exchange), of }), begun)
  }

  async add(frame: Frame): Promise<void> {
    if (frame.type === 'head') await this.#write(this.#recorder.head(frame, this.#at()))
    else if (frame.type === 'data') await this.#write(this.#recorder.data(frame, this.#at()))
  }

  async close(end: Uint8Array | undefined): Promise<DraftOf<'attachment'>> {
    this.#over = true
    await this.#write(this.#recorder.end(this.#at(), end))
    const attached = await this.#writer.close()
    const { id, bytes, chunks, content } = attached
    return {
      kind: 'attachment',
      attachment: id,
      exchange: this.#exchange.id,
      session: this.#exchange.session?.id,
      part: this.#part,
      type: this.#recorder.type,
      ...{ bytes, chunks, content },
      disclose: disclosedOf(attached),
      slot: slotOf(this.#exchange),
    }
  }

  /** What comes once the reply is over has nothing that it could be typed into. */
  async #typed(input: Input): Promise<void> {
    // A request of which only a digest is kept is kept nowhere else either.
    if (this.#over || this.#exchange.fact('obligations').record.request === 'digest') return
    await this.#write(this.#recorder.input(input, this.#at()))
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (bytes.length > 0) await this.#writer.write(bytes)
  }

  #at(): number {
    return this.#clock.now() - this.#started
  }
}
