/**
 * Text masked as it streams, in pieces that break anywhere. What could still become a finding is held back, 4 KiB at most; the rest of
 * a longer one is dropped as it comes. Bytes are read as Latin-1, one character each: what is found is ASCII, or borders on it, so
 * that no character of UTF-8 is broken, and what is not touched stays byte for byte, be it UTF-8 or not.
 */
import type { MaskRule } from '../control.ts'
import { Fault } from '../errors.ts'
import { detectorsFor } from './cell.ts'
import { controlsIn, isOpen } from './controls.ts'
import { applied, type Edit, type Placed, read } from './detect.ts'
import { isBreak } from './detectors/characters.ts'
import type { Detector } from './detectors/detector.ts'

/** No finding is recognised by more. */
const mostHeld = 4096
/** Of what was let go, for what it says of the beginning of a word. */
const context = 64
/** Of a finding that goes on, the end: so much of it that the mark which ends it is seen whole. */
const keptTail = 128

/** Only such rules can be kept in text: it has no fields. */
export const isForAll = ({ field, strategy }: MaskRule): boolean => field === '*' && strategy === 'detect'

/** Whether the rules can be kept in text that streams: each of their patterns must be told within a word. */
export const canStream = (rules: readonly MaskRule[]): boolean =>
  rules.every(isForAll) && detectorsFor(rules).every(({ whole }) => whole === undefined)

export class TextMasker {
  readonly #detectors: readonly Detector[]
  readonly #found: (kind: string) => void
  /** Plain text before what is held. */
  #before = ''
  #held = ''
  /** What is held begins with a finding that was shown as one already. */
  #announced = false

  constructor(detectors: readonly Detector[], found: (kind: string) => void = () => {}) {
    this.#detectors = detectors
    this.#found = found
  }

  /** @returns what may be shown by now */
  push(bytes: Uint8Array): Uint8Array {
    this.#held += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
    return this.#release(false)
  }

  end(): Uint8Array {
    return this.#release(true)
  }

  #release(all: boolean): Uint8Array {
    const whole = this.#before + this.#held
    const from = this.#before.length
    const known = controlsIn(whole)
    // A control that is cut off says nothing yet, nor does what follows it.
    const cut = all ? undefined : known.findIndex(control => isOpen(whole, control))
    const text = cut === undefined || cut < 0 ? whole : whole.slice(0, known[cut]!.start)
    const controls = cut === undefined || cut < 0 ? known : known.slice(0, cut)
    const { plain, findings, placeOf } = read(text, this.#detectors, controls)
    // Where plain text ends: controls may follow it.
    const last = plain === '' ? 0 : placeOf(plain.length - 1) + 1
    let to = text.length
    if (!all) {
      to = Math.max(placeOf(pendingFrom(plain)), text.length - mostHeld)
      // One that reaches the end may go on; one that is cut in two is none.
      for (const { start, end } of findings) if (start < to && (end > to || end === last)) to = start
      to = Math.max(to, from)
    }
    const out = this.#shown(text, findings, from, to)
    const open = findings.find(({ start, end }) => start <= to && end === last && end > to)
    // One that ends before the end is held until all that may belong to it has come: its own length more, and no longer.
    const rest = open !== undefined && text.length - to > mostHeld ? this.#goingOn(text, open) : undefined
    const announced = this.#announced && to === from
    const mark = rest === undefined || announced ? '' : `[${open!.kind}]`
    if (mark !== '') this.#found(open!.kind)
    this.#before = rest === undefined ? this.#plainBefore(plain, placeOf, to) : ''
    this.#held = (rest?.held ?? text.slice(to)) + whole.slice(text.length)
    this.#announced = rest !== undefined || announced
    return Buffer.from(out + mark + (rest?.controls ?? ''), 'latin1')
  }

  #shown(text: string, findings: readonly Placed[], from: number, to: number): string {
    const edits = findings.flatMap(({ start, end, kind, edits: of }): readonly Edit[] => {
      if (end <= from || start >= to) return []
      if (this.#announced && start === from) return of.map(edit => ({ ...edit, by: '' }))
      this.#found(kind)
      return of
    })
    return to > from ? applied(text, edits, from, to) : ''
  }

  /** Its head and its end are kept, by which the rest will be known; what lies between is dropped, but for terminal controls. */
  #goingOn(text: string, open: Placed): { held: string; controls: string } {
    if (open.head === undefined) throw new Fault('ERR_MASK_FAILED', `a finding of over ${mostHeld} characters`)
    // All controls leave now: cut in two, one would be text that ends the finding.
    const inside = controlsIn(text).filter(({ start }) => start >= open.head!)
    let [controls, tail, at] = ['', '', open.head]
    for (const { start, end } of inside) {
      controls += text.slice(start, end)
      tail += text.slice(at, start)
      at = end
    }
    tail += text.slice(at)
    return { held: text.slice(open.start, open.head) + tail.slice(-keptTail), controls }
  }

  #plainBefore(plain: string, placeOf: (at: number) => number, to: number): string {
    let at = plain.length
    // The first plain character that is held.
    let low = 0
    while (low < at) {
      const middle = (low + at) >> 1
      if (placeOf(middle) < to) low = middle + 1
      else at = middle
    }
    return plain.slice(Math.max(0, at - context), at)
  }
}

const beginning = '-----BEGIN '
const longestBeginning = 96
/** Groups with single spaces between them: a card of 19 digits, an IBAN of 34 characters. */
const longestGroups = 64

/** @returns from where on the text could be the beginning of what a detector finds */
function pendingFrom(plain: string): number {
  const least = Math.max(0, plain.length - mostHeld)
  let word = plain.length
  while (word > least && !isBreak(plain.charCodeAt(word - 1))) word -= 1
  let from = word
  // Back over groups, to the first that has a digit: all that has spaces in it begins with one.
  for (let at = word; plain[at - 1] === ' ' && plain.length - at < longestGroups; ) {
    let start = at - 1
    while (start > least && !isBreak(plain.charCodeAt(start - 1))) start -= 1
    if (start === at - 1) break
    if (/[0-9]/.test(plain.slice(start, at))) from = start
    at = start
  }
  const begun = plain.lastIndexOf(beginning)
  const isBegun =
    begun >= 0 && plain.length - begun < longestBeginning && plain.indexOf('-----', begun + beginning.length) < 0
  return isBegun ? Math.min(from, begun) : from
}
