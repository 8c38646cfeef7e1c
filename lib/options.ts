/** Options from callers and files: an unknown one is an error that names the nearest known. */
import { Misuse } from './errors.ts'

/** @throws Misuse ERR_OPTION_UNKNOWN */
export function refuseUnknown(options: object, known: readonly string[], of: string): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    const meant = nearest(name, known)
    const hint = meant === undefined ? `known are ${known.join(', ')}` : `did you mean "${meant}"?`
    throw new Misuse('ERR_OPTION_UNKNOWN', `${of}: unknown option ${JSON.stringify(name)}; ${hint}`, {
      option: name,
      meant,
    })
  }
}

/** @returns the known name that a slip of the hand would turn into this one; undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  // Up to a third of the letters wrong, and two at least: `lisen`, `lsiten`, not another word.
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = edits(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least && distance < candidate.length) {
      best = candidate
      least = distance
    }
  }
  return best
}

/** Levenshtein's distance. Bounded: names are compared, not documents. */
function edits(a: string, b: string): number {
  if (a.length > 64 || b.length > 64) return Number.POSITIVE_INFINITY
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const swap = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
