/**
 * Masks one JSON document (RFC 8259) without building it: what is masked is replaced, everything else is copied as it stands, so
 * that no number loses a digit. What two readers could read differently (a member named twice) is refused.
 */
import type { MaskRule } from '../control.ts'
import { Fault } from '../errors.ts'
import { type Selection, Selections } from './selections.ts'
import { type MaskTools, redacted, strictest } from './strategies.ts'

export interface MaskedJson {
  readonly bytes: Uint8Array
  /** Sorted words `CONTROL:FIELD:STRATEGY`; `CONTROL:FIELD:absent` for a field that the document does not contain. */
  readonly applied: readonly string[]
}

const deepest = 128
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws Fault ERR_MASK_FAILED where it is no JSON document, or one that could be read in two ways */
export function maskJson(bytes: Uint8Array, rules: readonly MaskRule[], tools: MaskTools = {}): MaskedJson {
  const selections = new Selections(rules, tools)
  const masked = maskDocument(decode(bytes), selections)
  return { bytes: Buffer.from(masked), applied: selections.applied() }
}

/**
 * As maskJson, for one of many under the same rules, which say what was done with all of them.
 * @throws Fault ERR_MASK_FAILED
 */
export function maskDocument(text: string, selections: Selections): string {
  const masker = new Masker(text, selections)
  masker.document()
  return masker.output
}

export function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw failed('it is not UTF-8')
  }
}

// Where, never what: the text is what must not be shown.
const failed = (what: string) => new Fault('ERR_MASK_FAILED', `the JSON to be masked cannot be read: ${what}`)

/** A pointer on its way down: how many of its segments have been matched. */
interface Path {
  readonly selection: Selection
  readonly segments: readonly string[]
  readonly matched: number
}

const space = new Set([' ', '\t', '\n', '\r'])
const scalar = /(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?![\w.+-])/y
/** A string without escapes, as most are: read at once. One class, so nothing to backtrack into. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what JSON forbids in strings
const plain = /"[^"\\\u0000-\u001f]*"/y

class Masker {
  output = ''
  readonly #text: string
  readonly #selections: Selections
  /** Selections that mean every value: those for all, and within an object that is searched, those that mean it. */
  #all: readonly Selection[]
  #at = 0
  /** Up to where the text is in the output already. */
  #copied = 0

  constructor(text: string, selections: Selections) {
    this.#text = text
    this.#selections = selections
    this.#all = selections.all
  }

  document(): void {
    const paths = this.#selections.each.flatMap(selection =>
      selection.selector.kind === 'pointer' ? [{ selection, segments: selection.selector.segments, matched: 0 }] : [],
    )
    this.#skipSpace()
    this.#value([], paths, 0)
    this.#skipSpace()
    if (this.#at !== this.#text.length) throw this.#failed('there is text after its end')
    this.output += this.#text.slice(this.#copied)
  }

  /** @param hits the selections that mean this very value. @param paths pointers that may mean something below it */
  #value(hits: readonly Selection[], paths: readonly Path[], depth: number): void {
    if (depth > deepest) throw this.#failed(`it is nested over ${deepest} deep`)
    const from = this.#at
    const first = this.#text[from]
    if (first !== '{' && first !== '[') {
      const text = first === '"' ? this.#string() : this.#scalar()
      const by = [...hits, ...this.#all]
      if (text === null) return void this.#selections.win(by)
      const shown = this.#selections.mask(text, by)
      // Where nothing was found in it, it stays as it is written.
      if (shown !== undefined && shown !== text) this.#replace(from, shown)
      return
    }
    const searching = hits.filter(({ rule }) => rule.strategy === 'detect')
    const replacing = hits.filter(({ rule }) => rule.strategy !== 'detect')
    // A whole object or list under a mask: its parts are read on, for what is found in them, and then replaced.
    const strategy = strictest(replacing.map(({ rule }) => (rule.strategy === 'null' ? 'null' : 'redact')))
    if (strategy !== undefined) for (const { won } of hits) won.add(strategy)
    else for (const { won } of searching) won.add('detect')
    const [output, copied, all] = [this.output, this.#copied, this.#all]
    this.#all = [...all, ...searching.filter(one => !all.includes(one))]
    if (first === '{') this.#object(paths, depth)
    else this.#array(paths, depth)
    this.#all = all
    if (strategy === undefined) return
    this.output = output
    this.#copied = copied
    this.#replace(from, strategy === 'null' ? null : redacted)
  }

  #replace(from: number, value: string | null): void {
    this.output += this.#text.slice(this.#copied, from) + JSON.stringify(value)
    this.#copied = this.#at
  }

  #object(paths: readonly Path[], depth: number): void {
    const names = new Set<string>()
    this.#list('}', () => {
      if (this.#text[this.#at] !== '"') throw this.#failed('a member without a name')
      const name = this.#string()
      if (names.has(name)) throw this.#failed('a member is named twice')
      names.add(name)
      this.#skipSpace()
      this.#expect(':')
      this.#skipSpace()
      this.#below(name, this.#selections.named(name), paths, depth)
    })
  }

  #array(paths: readonly Path[], depth: number): void {
    let index = 0
    this.#list(']', () => {
      this.#below(String(index), [], paths, depth)
      index += 1
    })
  }

  #below(segment: string, named: readonly Selection[], paths: readonly Path[], depth: number): void {
    const next = paths
      .filter(({ segments, matched }) => segments[matched] === '*' || segments[matched] === segment)
      .map(path => ({ ...path, matched: path.matched + 1 }))
    const pointed = next
      .filter(({ segments, matched }) => matched === segments.length)
      .map(({ selection }) => selection)
    const open = next.filter(({ segments, matched }) => matched < segments.length)
    this.#value([...named, ...pointed], open, depth + 1)
  }

  #list(end: string, item: () => void): void {
    this.#at += 1
    this.#skipSpace()
    if (this.#text[this.#at] === end) {
      this.#at += 1
      return
    }
    for (;;) {
      item()
      this.#skipSpace()
      if (this.#text[this.#at] === end) break
      this.#expect(',')
      this.#skipSpace()
    }
    this.#at += 1
  }

  /** @returns the literal as written, or null for null: there is nothing to mask in it. */
  #scalar(): string | null {
    scalar.lastIndex = this.#at
    const [literal] = scalar.exec(this.#text) ?? []
    if (literal === undefined) throw this.#failed('a value that is none')
    this.#at += literal.length
    return literal === 'null' ? null : literal
  }

  #string(): string {
    const from = this.#at
    plain.lastIndex = from
    if (plain.test(this.#text)) {
      this.#at = plain.lastIndex
      return this.#text.slice(from + 1, this.#at - 1)
    }
    for (this.#at += 1; ; this.#at += 1) {
      const character = this.#text[this.#at]
      if (character === undefined || character < ' ') throw this.#failed('a string that does not end')
      if (character === '"') break
      if (character === '\\') this.#at += 1
    }
    this.#at += 1
    try {
      return JSON.parse(this.#text.slice(from, this.#at)) as string
    } catch {
      throw this.#failed('a malformed string')
    }
  }

  #expect(character: string): void {
    if (this.#text[this.#at] !== character) throw this.#failed(`no ${character} where one must be`)
    this.#at += 1
  }

  #skipSpace(): void {
    while (space.has(this.#text[this.#at] ?? '')) this.#at += 1
  }

  #failed(what: string): Fault {
    return failed(`${what}, at character ${this.#at}`)
  }
}
