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
  /** Findings in order, none overlapping another. */
  find(text: string): Finding[]
}

/** @returns the findings of all, in order; those that overlap become one, of the first one's kind. */
export function findAll(text: string, detectors: readonly Detector[]): Finding[] {
  const found = detectors.flatMap(detector => detector.find(text))
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
