/**
 * Masks a stream of JSON records, each as soon as it is whole: newline-delimited JSON, and JSON text sequences (RFC 7464). What
 * stands at the end without its line feed is a record too, and fails where it cannot be read.
 */
import type { MaskRule } from '../control.ts'
import { Fault } from '../errors.ts'
import { type Framing, Lines, Sequence, separator } from './framing.ts'
import { decode, maskDocument } from './json.ts'
import { Selections } from './selections.ts'
import type { MaskTools } from './strategies.ts'

/** What may leave by now. */
export interface MaskedRecords {
  readonly bytes: Uint8Array
  readonly records: number
}

/** @throws Fault ERR_MASK_FAILED for what cannot be read, or is too long to be held: nothing of it is given */
export interface RecordMasker {
  push(bytes: Uint8Array): MaskedRecords
  end(): MaskedRecords
  /** As MaskedJson has them, of all that was given so far; none before the first record. */
  readonly applied: readonly string[]
}

export class JsonRecords implements RecordMasker {
  readonly #selections: Selections
  readonly #framing: Framing
  readonly #sequence: boolean
  #any = false

  constructor(framing: 'lines' | 'sequence', rules: readonly MaskRule[], tools: MaskTools = {}) {
    this.#sequence = framing === 'sequence'
    this.#framing = this.#sequence ? new Sequence() : new Lines()
    this.#selections = new Selections(rules, tools)
  }

  get applied(): readonly string[] {
    return this.#any ? this.#selections.applied() : []
  }

  push(bytes: Uint8Array): MaskedRecords {
    return this.#masked(this.#framing.push(bytes))
  }

  end(): MaskedRecords {
    return this.#masked(this.#framing.end())
  }

  #masked(records: Iterable<Uint8Array>): MaskedRecords {
    let out = ''
    let count = 0
    for (const record of records) {
      const text = decode(record)
      const from = this.#sequence ? beginning(text) : 0
      // Empty lines, and separators with nothing between them, are no records, and have nothing to mask in them.
      if (/^[ \t\r\n]*$/.test(text.slice(from))) {
        out += text
        continue
      }
      if (this.#sequence) check(text, from)
      out += text.slice(0, from) + maskDocument(text.slice(from), this.#selections)
      count += 1
      this.#any = true
    }
    return { bytes: Buffer.from(out), records: count }
  }
}

/** Behind the separators; spaces may stand between them. */
const beginning = (text: string) => text.lastIndexOf(String.fromCharCode(separator)) + 1

/** RFC 7464, 2.4: a number or a literal that no space follows may be the beginning of a longer one. */
function check(text: string, from: number): void {
  if (from === 0) throw failed('it has no separator before it')
  if (!/[\]}" \t\r\n]$/.test(text)) throw failed('it may have been cut')
}

const failed = (what: string) => new Fault('ERR_MASK_FAILED', `a record of a sequence cannot be read: ${what}`)
