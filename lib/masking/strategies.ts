/** What is shown instead of a value. As data: each strategy with its strictness. */
import { createHmac } from 'node:crypto'
import type { Strategy } from '../control.ts'
import { Fault } from '../errors.ts'
import type { CellMask } from '../reply.ts'
import { maskText } from './detect.ts'
import { everywhere } from './detectors/index.ts'

/** Stands for a value, and says that there is one. */
export const redacted = '[redacted]'

/** Fewer significant characters than this, and the last four would be half of the secret. */
const shortestShown = 8

/** What masking needs beyond the rules, from the configuration. */
export interface MaskTools {
  /** Under which `hash` makes its words. Secret: whoever has it can try values out. */
  readonly key?: Uint8Array
}

// From the most lenient to the strictest, by how much of the value is left: all but what is found in it, four characters, two, none
// but whether two values are equal, none, and with `null` not even that there is a value.
const strategies: readonly (readonly [Strategy, (tools: MaskTools) => CellMask])[] = [
  ['detect', () => text => maskText(text, everywhere)],
  ['last4', () => last4],
  ['partial', () => partial],
  ['hash', hash],
  ['redact', () => () => redacted],
  ['null', () => () => null],
]

export const strategyNames: readonly Strategy[] = strategies.map(([name]) => name)

const masks: ReadonlyMap<Strategy, (tools: MaskTools) => CellMask> = new Map(strategies)

/**
 * What a mask has made of a value stays as it is: a query's rows and the route that answers with them may both be under
 * it. Of a value that was written so, no more is shown than would be.
 */
const shown4 = /^\*{4}[\p{L}\p{N}]{4}$/u
const shown2 = /^[\p{L}\p{N}]\*{4}[\p{L}\p{N}]$/u

/** The same length always, so as not to tell the value's. Spaces and punctuation are no part of the four. */
function last4(text: string): string {
  if (text.startsWith('****') && shown4.test(text)) return text
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
  const significant = significantOf(text)
  return significant.length < shortestShown ? redacted : `****${significant.slice(-4).join('')}`
}

/** The first and the last letter or digit, of eight at least; the length is not told. */
function partial(text: string): string {
  if (shown2.test(text)) return text
  const significant = significantOf(text)
  return significant.length < shortestShown ? redacted : `${significant[0]}****${significant.at(-1)}`
}

const significantOf = (text: string): readonly string[] => text.match(/[\p{L}\p{N}]/gu) ?? []

/**
 * Equal values have equal words, across fields and controls, so that what belongs together can still be joined. 96 bits of
 * HMAC-SHA-256 (RFC 2104): without the key no value can be tried out.
 */
function hash({ key }: MaskTools): CellMask {
  if (key === undefined) throw new Fault('ERR_MASK_FAILED', 'a mask that hashes, and no key to do it with')
  return text => `h:${createHmac('sha256', key).update(text, 'utf8').digest('base64url').slice(0, 16)}`
}

/**
 * An unknown strategy redacts: only code without types could name one.
 * @throws Fault ERR_MASK_FAILED for `hash` without a key
 */
export const maskFor = (strategy: Strategy, tools: MaskTools = {}): CellMask =>
  masks.get(strategy)?.(tools) ?? (() => redacted)

export function strictest(names: readonly Strategy[]): Strategy | undefined {
  if (names.length === 0) return undefined
  return strategyNames[Math.max(...names.map(rank))]
}

/** An unknown one ranks as what it does. */
const rank = (name: Strategy) => strategyNames.indexOf(masks.has(name) ? name : 'redact')
