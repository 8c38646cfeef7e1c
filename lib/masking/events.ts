/**
 * Masks server-sent events (WHATWG HTML, 9.2) as they stream, each as soon as its empty line is there. What
 * leaves is written anew, in the one spelling that all readers read alike: LF ends a line, a field stands
 * once, and what readers ignore is left out. A comment leaves at once, as a bare colon: it keeps the
 * connection alive, and what it says is for nobody.
 */
import type { MaskRule } from '../control.ts'
import { Fault, isOurs } from '../errors.ts'
import { maskText } from './detect.ts'
import { everywhere } from './detectors/index.ts'
import { AnyLines, longestRecord } from './framing.ts'
import { decode, maskDocument } from './json.ts'
import type { MaskedRecords, RecordMasker } from './records.ts'
import { Selections } from './selections.ts'
import type { MaskTools } from './strategies.ts'
import { isForAll } from './text.ts'

/** By which streams of many services say that they are over. It is always the same, and so says nothing of anybody. */
const done = '[DONE]'
/** Milliseconds: over a day. */
const retry = /^[0-9]{1,8}$/

/** An event as far as it has been read: of a field that stands twice the last counts, but of data, which is joined (9.2.6). */
interface Pending {
  event?: string
  id?: string
  retry?: string
  data?: string[]
}

export class EventMasker implements RecordMasker {
  readonly #selections: Selections
  /** Data that is no JSON can be searched, and nothing else. */
  readonly #searchable: boolean
  /** A value on its own has no fields: only rules for all can be kept in it. */
  readonly #scalars: boolean
  readonly #lines = new AnyLines()
  #event: Pending = {}
  #held = 0
  #first = true
  #any = false

  constructor(rules: readonly MaskRule[], tools: MaskTools = {}) {
    this.#selections = new Selections(rules, tools)
    this.#searchable = rules.every(isForAll)
    this.#scalars = rules.every(({ field }) => field === '*')
  }

  get applied(): readonly string[] {
    return this.#any ? this.#selections.applied() : []
  }

  push(bytes: Uint8Array): MaskedRecords {
    return this.#read(this.#lines.push(bytes))
  }

  /**
   * Readers discard an event that the stream ends in; who reads lines does not: it is masked as any, and stays without its empty line.
   */
  end(): MaskedRecords {
    const { bytes, records } = this.#read(this.#lines.end())
    const last = this.#written()
    return { bytes: Buffer.concat([bytes, Buffer.from(last)]), records: records + (last === '' ? 0 : 1) }
  }

  #read(lines: Iterable<Uint8Array>): MaskedRecords {
    let [out, records] = ['', 0]
    for (const line of lines) {
      this.#held += line.length
      if (this.#held > longestRecord)
        throw new Fault('ERR_MASK_FAILED', `an event of over ${longestRecord} bytes is too long to be masked`)
      const text = this.#decoded(line)
      if (text === '') {
        const event = this.#written()
        if (event !== '') records += 1
        out += `${event}\n`
      } else if (text.startsWith(':')) {
        this.#held -= line.length
        out += ':\n'
      } else this.#field(text)
    }
    return { bytes: Buffer.from(out), records }
  }

  /** One byte order mark may stand at the very beginning (9.2.5), and is left out. */
  #decoded(line: Uint8Array): string {
    const text = decode(line)
    const marked = this.#first && text.startsWith('\ufeff')
    this.#first = false
    return marked ? text.slice(1) : text
  }

  #field(line: string): void {
    const colon = line.indexOf(':')
    const [name, after] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)]
    const value = after.startsWith(' ') ? after.slice(1) : after
    if (name === 'data') {
      this.#event.data ??= []
      this.#event.data.push(value)
    } else if (name === 'event') this.#event.event = value
    else if (name === 'id' && !value.includes('\0')) this.#event.id = value
    else if (name === 'retry' && retry.test(value)) this.#event.retry = value
  }

  /** @returns the event's lines, masked; empty where it has none */
  #written(): string {
    const { event, id, retry: after, data } = this.#event
    this.#event = {}
    this.#held = 0
    const shown = [
      ...line('event', event === undefined ? null : this.#named('event', event)),
      ...line('id', id === undefined ? null : this.#named('id', id)),
      ...line('retry', after ?? null),
      ...(data === undefined ? [] : this.#data(data.join('\n')).split('\n')).flatMap(part => line('data', part)),
    ]
    if (shown.length > 0) this.#any = true
    return shown.join('')
  }

  /** As a member of that name would be; searched, where no rule means it: nothing says what it is made of. */
  #named(name: string, value: string): string | null {
    const shown = this.#selections.mask(value, [...this.#selections.named(name), ...this.#selections.all])
    return shown === undefined ? maskText(value, everywhere) : shown
  }

  #data(value: string): string {
    if (value === '' || value === done) return value
    if (!this.#scalars && !/^[ \t\n]*[{[]/.test(value)) throw unreadable()
    try {
      return maskDocument(value, this.#selections)
    } catch (error) {
      if (!isOurs(error) || isJson(value)) throw error
      if (!this.#searchable) throw unreadable()
    }
    return this.#selections.mask(value, this.#selections.all) ?? ''
  }
}

const line = (name: string, value: string | null) => (value === null ? [] : [`${name}: ${value}\n`])

const unreadable = () =>
  new Fault('ERR_MASK_FAILED', 'the data of an event is no JSON, so that a mask by fields cannot be applied to it')

/** What others would read as JSON, and the mask did not, is no text. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
