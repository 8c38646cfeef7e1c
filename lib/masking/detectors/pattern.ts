/**
 * Patterns of users as detectors, in RE2's syntax, whose time is linear in the text whatever the pattern. What a pattern can match is
 * read from its compiled program: how long it is at most, and whether it can be told in a text that streams.
 */
import { RE2JS, RE2JSSyntaxException } from 're2js'
import { isBreak } from './characters.ts'
import type { Detector } from './detector.ts'

/** Kind to pattern, as controls.yaml has them. */
export type Patterns = Readonly<Record<string, string>>

/** Of what is found: so much is held back of text that streams, and more. */
export const longestMatch = 256
const longestPattern = 256
/** Instructions: time grows with their number too. */
const largestProgram = 400

/** @throws PatternError, which quotes nothing */
export function patternDetector(kind: string, pattern: string): Detector {
  if (pattern.length > longestPattern) throw new PatternError(`a pattern of over ${longestPattern} characters`)
  const compiled = compile(pattern)
  const program = compiled.re2Input.prog as Program
  if (program.inst.length > largestProgram) throw new PatternError('a pattern that would take too long')
  const lengths = new Lengths(program)
  if (lengths.least() === 0) throw new PatternError('a pattern that also matches where there is nothing')
  if (lengths.most() > longestMatch)
    throw new PatternError(`a pattern that may match over ${longestMatch} characters`, 'say how many: {1,20} for +')
  const whole = whyWhole(program)
  return {
    kind,
    ...(whole === undefined ? {} : { whole }),
    find: text => {
      const matcher = compiled.matcher(text)
      const found = []
      while (matcher.find()) found.push({ kind, start: matcher.start(), end: matcher.end() })
      return found
    },
  }
}

export class PatternError extends Error {
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

const known = new WeakMap<Patterns, readonly Detector[]>()

/** Remembered by the object, which lives as long as its version of the controls does. @throws PatternError */
export function patternDetectors(patterns: Patterns): readonly Detector[] {
  let detectors = known.get(patterns)
  if (detectors === undefined) {
    detectors = Object.entries(patterns).map(([kind, pattern]) => patternDetector(kind, pattern))
    known.set(patterns, detectors)
  }
  return detectors
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern)
  } catch (error) {
    const why = error instanceof RE2JSSyntaxException ? error.getDescription() : 'it cannot be compiled'
    throw new PatternError(`not a pattern in RE2's syntax: ${why}`)
  }
}

/** The compiled program, as RE2 has it everywhere (Cox, "Regular Expression Matching: the Virtual Machine Approach"). */
interface Program {
  readonly start: number
  readonly inst: readonly Instruction[]
}

interface Instruction {
  readonly op: number
  readonly out: number
  readonly arg: number
  /** Pairs, from and to; or one character alone. */
  readonly runes: ArrayLike<number>
}

// biome-ignore format: a table
const op = { alt: 1, altMatch: 2, capture: 3, emptyWidth: 4, fail: 5, match: 6, nop: 7, rune: 8, rune1: 9, any: 10, anyButLineFeed: 11 } as const
const ops: ReadonlySet<number> = new Set(Object.values(op))
const takes = ({ op: of }: Instruction) => of >= op.rune && of <= op.anyButLineFeed

/** How many characters lie on the ways through a program. */
class Lengths {
  readonly #program: Program

  constructor(program: Program) {
    this.#program = program
    if (program.inst.some(({ op: of }) => !ops.has(of))) throw new PatternError('a pattern of an unknown kind')
  }

  /** Breadth first, characters last: by the fewest of them. */
  least(): number {
    let at = new Set([this.#program.start])
    for (let length = 0; at.size > 0; length += 1) {
      const here = this.#closure(at)
      if ([...here].some(pc => this.#program.inst[pc]!.op === op.match)) return length
      at = new Set([...here].filter(pc => takes(this.#program.inst[pc]!)).map(pc => this.#program.inst[pc]!.out))
      if (length > longestMatch) break
    }
    throw new PatternError('a pattern that matches nothing')
  }

  /** @returns infinity where it has no end */
  most(): number {
    const done = new Map<number, number>()
    const open = new Set<number>()
    const from = (pc: number): number => {
      if (open.has(pc)) return Number.POSITIVE_INFINITY
      const known = done.get(pc)
      if (known !== undefined) return known
      open.add(pc)
      const one = this.#program.inst[pc]!
      const rest = Math.max(Number.NEGATIVE_INFINITY, ...nexts(one).map(from))
      open.delete(pc)
      const length = one.op === op.match ? 0 : rest + (takes(one) ? 1 : 0)
      done.set(pc, length)
      return length
    }
    return from(this.#program.start)
  }

  #closure(of: ReadonlySet<number>): Set<number> {
    const here = new Set(of)
    for (const pc of here) {
      const one = this.#program.inst[pc]!
      if (!takes(one)) for (const next of nexts(one)) here.add(next)
    }
    return here
  }
}

function nexts({ op: of, out, arg }: Instruction): number[] {
  if (of === op.match || of === op.fail) return []
  return of === op.alt || of === op.altMatch ? [out, arg] : [out]
}

/** EMPTY_BEGIN_LINE to EMPTY_END_TEXT; a word's boundary is told by the characters beside it. */
const anchors = 1 | 2 | 4 | 8
/** K and s of other scripts, which a pattern in any case matches too. */
const folded = new Set([0x212a, 0x017f])

/** Text that streams is there word by word, as Latin-1: see text.ts. */
function whyWhole({ inst }: Program): string | undefined {
  for (const one of inst) {
    if (one.op === op.emptyWidth && (one.arg & anchors) !== 0)
      return 'it looks for the beginning or the end of a text or a line'
    if (!takes(one)) continue
    const reason = whyNotInWord(rangesOf(one))
    if (reason !== undefined) return reason
  }
  return undefined
}

function rangesOf({ op: of, runes }: Instruction): readonly (readonly [number, number])[] {
  if (of === op.any || of === op.anyButLineFeed) return [[0, 0x10ffff]]
  if (runes.length === 1) return [[runes[0]!, runes[0]!]]
  return Array.from({ length: runes.length / 2 }, (_, i) => [runes[2 * i]!, runes[2 * i + 1]!] as const)
}

function whyNotInWord(ranges: readonly (readonly [number, number])[]): string | undefined {
  for (const [from, to] of ranges) {
    if (to > 0x7f && !(from === to && folded.has(from))) return 'it may match characters beyond ASCII'
    for (let code = from; code <= Math.min(to, 0x7f); code += 1)
      if (isBreak(code)) return 'it may match white space, or one of ? : < > ( ) [ ] , ; " & \\'
  }
  return undefined
}
