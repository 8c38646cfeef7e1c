/** What a detector is: a pure function from text to the places of what it finds, in time linear in the text. */

export interface Finding {
  readonly kind: string
  /** Offsets in the text: what lies between is found, `end` itself is not. */
  readonly start: number
  readonly end: number
  /**
   * Where the part ends that it is recognised by; of what follows any length belongs to it. Whoever reads in pieces can keep this
   * part, drop what followed, and find the rest. Absent for what is short.
   */
  readonly head?: number
}

export interface Detector {
  /** One word, as it stands in what is shown (`[email]`) and in the ledger. */
  readonly kind: string
  /** Only in fields that a rule names: elsewhere it would find too much. */
  readonly declared?: true
  /** Why it can be told only in a text that is there as a whole; undefined where it can in one that streams. */
  readonly whole?: string
  /** What every finding has in it, by which most short texts are passed over; undefined where nothing can be said. */
  readonly needs?: { readonly length: number; readonly anyOf: string }
  /** Findings in order, none overlapping another. */
  find(text: string): Finding[]
}

/** @returns the findings of all, in order; those that overlap become one, of the first one's kind. */
export function findAll(text: string, detectors: readonly Detector[]): Finding[] {
  const found: Finding[] = []
  const has = text.length <= short ? bitsOf(text) : everything
  for (const detector of detectors) {
    if (detector.needs !== undefined && (has & needed(detector)) === 0) continue
    if (detector.needs !== undefined && text.length < detector.needs.length) continue
    for (const one of detector.find(text)) found.push(one)
  }
  if (found.length < 2) return found
  found.sort((a, b) => a.start - b.start || b.end - a.end)
  const merged: Finding[] = []
  for (const next of found) {
    const last = merged.at(-1)
    if (last === undefined || next.start >= last.end) merged.push(next)
    // Of two that have heads neither alone would be found again.
    else if (next.end > last.end) merged[merged.length - 1] = { kind: last.kind, start: last.start, end: next.end }
  }
  return merged
}

/** Beyond this a detector's own search costs less than looking at every character. */
const short = 512
const everything = -1
/** Each character a bit, digits one together. */
const signs = '0@-_AJ='
const bits = new Uint8Array(128)
for (const [i, sign] of [...signs].entries()) bits[sign.charCodeAt(0)] = 1 << i
for (const digit of '123456789') bits[digit.charCodeAt(0)] = bits['0'.charCodeAt(0)]!

function bitsOf(text: string): number {
  let found = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code < 128) found |= bits[code]!
  }
  return found
}

const known = new WeakMap<Detector, number>()

function needed(detector: Detector): number {
  let of = known.get(detector)
  if (of === undefined) {
    of = [...(detector.needs?.anyOf ?? signs)].reduce((all, sign) => all | bits[sign.charCodeAt(0)]!, 0)
    known.set(detector, of)
  }
  return of
}
