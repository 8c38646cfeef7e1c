/**
 * Globs over resources and actions, in time linear in the text: `*` within a segment, `**` across segments; segments end at
 * `/` and at `.`. Everything else stands for itself, case included. No regular expressions: nothing here can backtrack.
 */

const within = '*'
const across = '**'

/** A pattern as single characters and wildcards, with what every match must start with. */
interface Glob {
  readonly tokens: readonly string[]
  readonly prefix: string
}

const compiled = new Map<string, Glob>()
const mostCompiled = 10_000

function compile(pattern: string): Glob {
  const known = compiled.get(pattern)
  if (known !== undefined) return known
  const tokens = pattern.split(/(\*+)/).flatMap(part => {
    if (!part.startsWith(within)) return part.split('')
    return [part.length === 1 ? within : across]
  })
  const star = pattern.indexOf(within)
  const glob = { tokens, prefix: star < 0 ? pattern : pattern.slice(0, star) }
  if (compiled.size >= mostCompiled) compiled.clear()
  compiled.set(pattern, glob)
  return glob
}

const isWild = (token: string | undefined) => token === within || token === across
const isBorder = (character: string) => character === '/' || character === '.' || character === anyAcross

/** @returns whether the whole text is matched. */
export function matches(pattern: string, text: string): boolean {
  const { prefix } = compile(pattern)
  if (prefix.length === pattern.length) return pattern === text
  return text.startsWith(prefix) && consumes(pattern, text.split(''))
}

/** @returns true only where everything that `inner` matches, `outer` matches: a wildcard stays within one as wide. */
export const contains = (outer: string, inner: string): boolean =>
  consumes(
    outer,
    compile(inner).tokens.map(token => (token === within ? anyWithin : token === across ? anyAcross : token)),
  )

// What wildcards of an inner pattern stand for: no character of any text, so that only a wildcard takes them.
const anyWithin = 'some'
const anyAcross = 'some/'

function consumes(pattern: string, text: readonly string[]): boolean {
  const { tokens, prefix } = compile(pattern)
  if (!text.slice(0, prefix.length).every((character, i) => character === prefix[i])) return false
  if (text.length < prefix.length) return false
  // Every position in the pattern that can be reached so far, advanced by one character of text at a time.
  let states = new Uint8Array(tokens.length + 1)
  states[prefix.length] = 1
  skipWilds(states, tokens)
  for (let at = prefix.length; at < text.length; at += 1) {
    const character = text[at]!
    const next = new Uint8Array(tokens.length + 1)
    for (let i = prefix.length; i < tokens.length; i += 1) {
      if (states[i] === 0) continue
      const token = tokens[i]
      if (token === across || (token === within && !isBorder(character))) next[i] = 1
      else if (token === character && !isWild(token)) next[i + 1] = 1
    }
    skipWilds(next, tokens)
    states = next
  }
  return states[tokens.length] === 1
}

/** A wildcard may match nothing at all. */
function skipWilds(states: Uint8Array, tokens: readonly string[]): void {
  for (let i = 0; i < tokens.length; i += 1) if (states[i] === 1 && isWild(tokens[i])) states[i + 1] = 1
}

/** @returns whether some text is matched by both. */
export function overlaps(one: string, other: string): boolean {
  const a = compile(one).tokens
  const b = compile(other).tokens
  const seen = new Set<number>()
  const open: [number, number][] = [[0, 0]]
  const visit = (i: number, j: number) => {
    const key = i * (b.length + 1) + j
    if (seen.has(key)) return
    seen.add(key)
    open.push([i, j])
  }
  for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
    const [i, j] = pair
    if (i === a.length && j === b.length) return true
    const x = a[i]
    const y = b[j]
    if (isWild(x)) visit(i + 1, j)
    if (isWild(y)) visit(i, j + 1)
    if (x === undefined || y === undefined) continue
    if (isWild(x) && !isWild(y) && accepts(x, y)) visit(i, j + 1)
    if (isWild(y) && !isWild(x) && accepts(y, x)) visit(i + 1, j)
    if (!isWild(x) && x === y) visit(i + 1, j + 1)
  }
  return false
}

const accepts = (wild: string, character: string) => wild === across || !isBorder(character)

/** @returns whether the pattern can match anything of a target at all: `crm/**` of the target `crm`. */
export const couldMatch = (pattern: string, target: string): boolean => overlaps(pattern, `${target}/**`)
