/** What is shown instead of a value. As data: each strategy with its strictness. */
import type { Strategy } from '../control.ts'
import type { CellMask } from '../reply.ts'

/** Stands for a value, and says that there is one. */
export const redacted = '[redacted]'

/** Fewer significant characters than this, and the last four would be half of the secret. */
const shortestShown = 8

// From the most lenient to the strictest: `null` hides even that there is a value.
const strategies: readonly (readonly [Strategy, CellMask])[] = [
  ['last4', last4],
  ['redact', () => redacted],
  ['null', () => null],
]

export const strategyNames: readonly Strategy[] = strategies.map(([name]) => name)

const masks: ReadonlyMap<Strategy, CellMask> = new Map(strategies)

/** The same length always, so as not to tell the value's. Spaces and punctuation are no part of the four. */
function last4(text: string): string {
  let significant = 0
  let shown = ''
  // From the end, so that a long value costs no more than a short one.
  for (let i = text.length - 1; i >= 0; i -= 1) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return last4OfAnyScript(text)
    if (!isLetterOrDigit(code)) continue
    significant += 1
    if (significant <= 4) shown = text[i] + shown
    if (significant === shortestShown) return `****${shown}`
  }
  return redacted
}

/** ASCII. */
const isLetterOrDigit = (code: number) =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)

function last4OfAnyScript(text: string): string {
  const significant = text.match(/[\p{L}\p{N}]/gu) ?? []
  return significant.length < shortestShown ? redacted : `****${significant.slice(-4).join('')}`
}

/** An unknown strategy redacts: only code without types could name one. */
export const maskFor = (strategy: Strategy): CellMask => masks.get(strategy) ?? (() => redacted)

export function strictest(names: readonly Strategy[]): Strategy | undefined {
  if (names.length === 0) return undefined
  return strategyNames[Math.max(...names.map(name => strategyNames.indexOf(name)))] ?? 'redact'
}
