/** Records a terminal as asciicast, version 2: a header line, then a line for each event, which others' players can play. */
import type { Input } from '../exchange.ts'
import type { Data, Head, TextForm } from '../reply.ts'
import { type KeptInput, withheldNote } from './kept.ts'
import type { Recorder } from './recorder.ts'
import { Typed } from './typed.ts'

export const asciicastType = 'application/x-asciicast'

export class Asciicast implements Recorder {
  readonly type = asciicastType
  readonly #terminal: NonNullable<TextForm['terminal']>
  readonly #now: number
  // Pieces break characters; what follows completes them.
  readonly #out = new TextDecoder()
  readonly #in = new TextDecoder()
  readonly #keptText = new TextDecoder()
  readonly #typed = new Typed()
  readonly #kept: KeptInput
  #begun = false

  constructor(terminal: NonNullable<TextForm['terminal']>, now: number, kept: KeptInput) {
    this.#terminal = terminal
    this.#kept = kept
    this.#now = now
  }

  head(_: Head): Uint8Array {
    const { columns: width, rows: height, term } = this.#terminal
    if (this.#begun) return none
    this.#begun = true
    const env = term === undefined ? {} : { env: { TERM: term } }
    return line({ version: 2, width, height, timestamp: Math.floor(this.#now / 1000), ...env })
  }

  data({ bytes }: Data, at: number): Uint8Array {
    const text = this.#out.decode(bytes, { stream: true })
    this.#typed.shown(text)
    return text === '' ? none : line([seconds(at), 'o', text])
  }

  input({ channel, bytes }: Input, at: number): Uint8Array {
    // `80x24`, as the format has it.
    if (channel === 'resize') return line([seconds(at), 'r', Buffer.from(bytes).toString('latin1')])
    if (channel === 'signal') return line([seconds(at), 'm', Buffer.from(bytes).toString('latin1')])
    const text = this.#typed.kept(this.#in.decode(bytes, { stream: true }))
    return this.#input(this.#kept.push(Buffer.from(text)), at, true)
  }

  end(at: number): Uint8Array {
    const rest = this.#out.decode()
    const note = withheldNote(this.#kept)
    return Buffer.concat([
      rest === '' ? none : line([seconds(at), 'o', rest]),
      this.#input(this.#kept.end(), at, false),
      note === undefined ? none : line([seconds(at), 'm', note]),
    ])
  }

  #input(bytes: Uint8Array, at: number, stream: boolean): Uint8Array {
    const text = this.#keptText.decode(bytes, { stream })
    return text === '' ? none : line([seconds(at), 'i', text])
  }
}

const none = new Uint8Array()
const seconds = (at: number) => Math.round(at) / 1000
const line = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`)
