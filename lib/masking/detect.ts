/** Text with what detectors find in it replaced by its kind, as `[email]`; all else stays as it stands, terminal controls too. */
import { type Control, controlsIn } from './controls.ts'
import { type Detector, type Finding, findAll } from './detectors/detector.ts'

/** A part of a text, and what stands there instead. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly by: string
}

/** @param found told the kind of each finding */
export function maskText(
  text: string,
  detectors: readonly Detector[],
  found: (kind: string) => void = () => {},
): string {
  const edits = read(text, detectors).findings.flatMap(({ kind, edits: of }) => {
    found(kind)
    return of
  })
  return applied(text, edits, 0, text.length)
}

/** A finding, as places in the text with its terminal controls. */
export interface Placed extends Finding {
  readonly edits: readonly Edit[]
}

export interface ReadText {
  /** What a reader of the screen would see: without controls. */
  readonly plain: string
  /** Places in the whole text, in order. */
  readonly findings: readonly Placed[]
  /** Where in the whole text a character of the plain one stands. */
  placeOf(plainAt: number): number
}

/** @param controls the terminal controls in it, where the caller knows them already */
export function read(
  text: string,
  detectors: readonly Detector[],
  controls: readonly Control[] = controlsIn(text),
): ReadText {
  if (controls.length === 0) {
    const findings = findAll(text, detectors).map(one => ({ ...one, edits: [editOf(one)] }))
    return { plain: text, findings, placeOf: at => at }
  }
  const { plain, placeOf } = without(text, controls)
  const shown = findAll(plain, detectors).map(one => place(one, controls, placeOf))
  // What a control carries is shown too, if elsewhere: a title, the target of a link.
  const carried = controls
    .filter(({ end, start }) => end - start > shortestCarrying)
    .flatMap(({ start, end }) =>
      findAll(text.slice(start + 2, end), detectors).map(({ kind, start: from, end: to }) => {
        const moved = { kind, start: start + 2 + from, end: start + 2 + to }
        return { ...moved, edits: [editOf(moved)] }
      }),
    )
  return { plain, findings: [...shown, ...carried].sort((a, b) => a.start - b.start), placeOf }
}

/** No finding fits into fewer characters. */
const shortestCarrying = 8

const editOf = ({ kind, start, end }: Finding): Edit => ({ start, end, by: `[${kind}]` })

function without(text: string, controls: readonly Control[]): { plain: string; placeOf: (at: number) => number } {
  // Where in the plain text each piece begins, and where in the whole.
  const pieces: { plain: number; whole: number }[] = []
  let plain = ''
  let at = 0
  for (const { start, end } of [...controls, { start: text.length, end: text.length }]) {
    if (start > at) {
      pieces.push({ plain: plain.length, whole: at })
      plain += text.slice(at, start)
    }
    at = end
  }
  const placeOf = (of: number): number => {
    let [low, high] = [0, pieces.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (pieces[middle]!.plain <= of) low = middle
      else high = middle - 1
    }
    const piece = pieces[low]
    return piece === undefined || of >= plain.length ? text.length : piece.whole + of - piece.plain
  }
  return { plain, placeOf }
}

/** The controls within a finding stay: a colour that it sets goes on after it. */
function place(
  { kind, start, end, head }: Finding,
  controls: readonly Control[],
  placeOf: (at: number) => number,
): Placed {
  const whole = { kind, start: placeOf(start), end: placeOf(end - 1) + 1 }
  const edits: Edit[] = []
  let at = whole.start
  for (let i = firstFrom(controls, whole.start); i < controls.length && controls[i]!.start < whole.end; i += 1) {
    const control = controls[i]!
    if (control.start > at) edits.push({ start: at, end: control.start, by: edits.length === 0 ? `[${kind}]` : '' })
    at = control.end
  }
  if (at < whole.end) edits.push({ start: at, end: whole.end, by: edits.length === 0 ? `[${kind}]` : '' })
  return { ...whole, edits, ...(head === undefined ? {} : { head: placeOf(head - 1) + 1 }) }
}

function firstFrom(controls: readonly Control[], at: number): number {
  let [low, high] = [0, controls.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (controls[middle]!.start < at) low = middle + 1
    else high = middle
  }
  return low
}

/** @returns the text from one place to another with the edits applied; of one that begins before, what lies within. */
export function applied(text: string, edits: readonly Edit[], from: number, to: number): string {
  let out = ''
  let at = from
  for (const { start, end, by } of [...edits].sort((a, b) => a.start - b.start)) {
    if (end <= at || start >= to) continue
    out += text.slice(at, Math.max(start, at)) + by
    at = end
  }
  return out + text.slice(at, Math.max(to, at))
}
