/**
 * Terminal controls in a text (ECMA-48): escape and control sequences, control strings that end soon, and NUL, which fills without
 * being seen, and stands beside each letter of a text in UTF-16. What a reader sees as one word may have them in it.
 */

export interface Control {
  readonly start: number
  readonly end: number
}

const introducer = '\u001b'
const filler = '\0'
/** Parameters beyond this are none that a terminal takes. */
const longestSequence = 64
/** A control string that does not end within this (an image, say) is read as text, its introducer apart. */
export const longestString = 1024

export function controlsIn(text: string): Control[] {
  const controls: Control[] = []
  let [begun, fill] = [text.indexOf(introducer), text.indexOf(filler)]
  while (begun >= 0 || fill >= 0) {
    const start = fill < 0 || (begun >= 0 && begun < fill) ? begun : fill
    const end = start === fill ? fillEnd(text, start) : controlEnd(text, start)
    controls.push({ start, end })
    if (begun >= 0 && begun < end) begun = text.indexOf(introducer, end)
    if (fill >= 0 && fill < end) fill = text.indexOf(filler, end)
  }
  return controls
}

function fillEnd(text: string, from: number): number {
  let at = from + 1
  while (text[at] === filler) at += 1
  return at
}

/** Whether more text could make this control another one. */
export const isOpen = (text: string, { start, end }: Control): boolean =>
  text[start] === filler
    ? false
    : isString(text, start)
      ? end === start + 2 && isCutOff(text, start)
      : end === text.length && !isComplete(text, start)

function isCutOff(text: string, start: number): boolean {
  const next = text.indexOf(introducer, start + 2)
  return text.length - start < longestString && (next < 0 || next === text.length - 1)
}

const isString = (text: string, start: number) => ']PX^_'.includes(text[start + 1] ?? ' ')

/** Told apart by adding what would end any: a complete one does not take it in. */
const isComplete = (text: string, start: number) => controlEnd(`${text.slice(start)}~`, 0) <= text.length - start

function controlEnd(text: string, start: number): number {
  const second = text.charCodeAt(start + 1)
  if (second === 0x5b) return sequenceEnd(text, start + 2)
  if (isString(text, start)) return stringEnd(text, start + 2)
  // ECMA-35: intermediate bytes, then one that ends it.
  if (second >= 0x20 && second <= 0x2f) {
    let at = start + 2
    while (at - start < longestSequence && text.charCodeAt(at) >= 0x20 && text.charCodeAt(at) <= 0x2f) at += 1
    return Math.min(at + 1, text.length)
  }
  return second >= 0x30 && second <= 0x7e ? start + 2 : start + 1
}

/** Parameter and intermediate bytes, then a final one (5.4). Cut short by any other. */
function sequenceEnd(text: string, from: number): number {
  for (let at = from; at - from < longestSequence; at += 1) {
    const code = text.charCodeAt(at)
    if (code >= 0x40 && code <= 0x7e) return at + 1
    if (!(code >= 0x20 && code <= 0x3f)) return Math.min(at, text.length)
  }
  return from + longestSequence
}

/** Up to ST, or BEL as terminals take it. Where neither comes soon it is the introducer alone. */
function stringEnd(text: string, from: number): number {
  const most = Math.min(text.length, from + longestString)
  for (let at = from; at < most; at += 1) {
    const code = text.charCodeAt(at)
    if (code === 0x07) return at + 1
    if (code === 0x1b) return text[at + 1] === '\\' ? at + 2 : from
  }
  return from
}
