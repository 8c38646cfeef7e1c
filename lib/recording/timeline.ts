/** Records any reply as a timeline: each head, each piece with its channel, each input. */
import type { Input } from '../exchange.ts'
import { encodeEvent, timelineType } from '../format/timeline.ts'
import type { Data, Form, Head } from '../reply.ts'
import type { Recorder } from './recorder.ts'

export class Timeline implements Recorder {
  readonly type = timelineType

  head({ form, bytes = new Uint8Array() }: Head, at: number): Uint8Array {
    const described = Buffer.from(`${JSON.stringify(describe(form))}\n`)
    return encodeEvent({ at, channel: 'head', bytes: Buffer.concat([described, bytes]) })
  }

  data({ channel, bytes }: Data, at: number): Uint8Array {
    return encodeEvent({ at, channel, bytes })
  }

  input({ channel, bytes }: Input, at: number): Uint8Array {
    return encodeEvent({ at, channel, bytes })
  }

  end(): Uint8Array {
    return new Uint8Array()
  }
}

/** What replaying needs to know: of rows, the columns' names as the reply has them. */
const describe = (form: Form) =>
  form.kind === 'rows' ? { kind: form.kind, columns: form.columns.map(({ name }) => name) } : { kind: form.kind }
