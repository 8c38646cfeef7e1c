/** Records any reply as a timeline: each head, each piece with its channel, each input as far as it is kept, and how it ended. */
import type { Input } from '../exchange.ts'
import { encodeEvent, timelineType } from '../format/timeline.ts'
import type { Data, Form, Head } from '../reply.ts'
import { type KeptInput, withheldNote } from './kept.ts'
import type { Recorder } from './recorder.ts'

export class Timeline implements Recorder {
  readonly type = timelineType
  readonly #kept: KeptInput

  constructor(kept: KeptInput) {
    this.#kept = kept
  }

  head({ form, bytes: own }: Head, at: number): Uint8Array {
    const bytes = own ?? (form.kind === 'rows' ? form.description : undefined) ?? new Uint8Array()
    const described = Buffer.from(`${JSON.stringify(describe(form))}\n`)
    return encodeEvent({ at, channel: 'head', bytes: Buffer.concat([described, bytes]) })
  }

  data({ channel, bytes }: Data, at: number): Uint8Array {
    return encodeEvent({ at, channel, bytes })
  }

  input({ channel, bytes }: Input, at: number): Uint8Array {
    return channel === 'stdin' ? event(at, channel, this.#kept.push(bytes)) : encodeEvent({ at, channel, bytes })
  }

  end(at: number, bytes: Uint8Array = none): Uint8Array {
    const note = withheldNote(this.#kept)
    const said = note === undefined ? none : encodeEvent({ at, channel: 'withheld', bytes: Buffer.from(note) })
    return Buffer.concat([event(at, 'stdin', this.#kept.end()), said, event(at, 'end', bytes)])
  }
}

const none = new Uint8Array()
const event = (at: number, channel: string, bytes: Uint8Array) =>
  bytes.length === 0 ? none : encodeEvent({ at, channel, bytes })

/** What replaying needs to know: of rows, the columns' names as the reply has them. */
const describe = (form: Form) =>
  form.kind === 'rows' ? { kind: form.kind, columns: form.columns.map(({ name }) => name) } : { kind: form.kind }
