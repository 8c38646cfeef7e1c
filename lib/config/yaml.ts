/**
 * Reads a YAML file (1.2, core schema) into plain values whose places are known. Strictly: no aliases, no tags, no key twice, and
 * nothing that a YAML 1.1 reader would take for something else.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit } from 'yaml'
import type { Problem } from '../problem.ts'

export type Path = readonly (string | number)[]

/** `ledger.keys.note`, `listen[0].upstream`. */
export const keyAt = (path: Path): string =>
  path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('')

export interface Place {
  readonly line: number
  readonly column: number
}

export interface YamlFile {
  /** As problems name it. */
  readonly file: string
  /** Undefined where there are problems. */
  readonly value: unknown
  readonly problems: readonly Problem[]
  /** The place of the value; of the nearest that exists, where it is missing. */
  placeOf(path: Path): Place
  /** The place of a key in the map at the path. */
  placeOfKey(path: Path, key: string): Place
}

const longestText = 1024 * 1024

export function readYaml(text: string, file: string): YamlFile {
  if (text.length > longestText) return unreadable(file, { line: 1, column: 1 }, 'a file of over 1 MiB')
  try {
    return read(text, file)
  } catch {
    // Nested so deeply that reading it overflows the stack.
    return unreadable(file, { line: 1, column: 1 }, 'this cannot be read as YAML')
  }
}

function read(text: string, file: string): YamlFile {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    version: '1.2',
    schema: 'core',
    prettyErrors: false,
    // `silent` would pass over a second document.
    logLevel: 'error',
  })
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const problems: Problem[] = []
  const report = (offset: number, message: string, hint?: string) =>
    problems.push({ file, ...at(offset), message, ...(hint === undefined ? {} : { hint }) })

  for (const { code, pos } of [...document.errors, ...document.warnings]) report(pos[0], messageFor(code))
  visit(document, (_, node) => {
    if (isAlias(node)) report(offsetOf(node), 'an alias', 'write the value out')
    else if (isScalar(node) || isMap(node) || isSeq(node)) {
      if (node.anchor !== undefined) report(offsetOf(node), 'an anchor', 'write the value out where it is used')
      if (node.tag !== undefined && node.range) report(offsetOf(node), 'a tag', 'leave it out')
      // As a member's name it would set the object's prototype, and be lost.
      if (isScalar(node) && node.value === '__proto__') report(offsetOf(node), 'this name cannot be used')
      if (isScalar(node))
        checkScalar(node.type, node.source, message => report(offsetOf(node), message, 'put it in quotes'))
    }
  })
  const root = document.contents as Node | null
  const value = problems.length === 0 ? (document.toJS({ maxAliasCount: 0 }) as unknown) : undefined

  const find = (path: Path): { node: Node | null; pair: Pair | undefined } => {
    let node = root
    let pair: Pair | undefined
    for (const step of path) {
      const next: unknown = isMap(node)
        ? node.items.find(p => keyOf(p) === String(step))
        : isSeq(node)
          ? node.items[Number(step)]
          : undefined
      if (next === undefined || next === null) break
      pair = isMap(node) ? (next as Pair) : undefined
      const below = pair === undefined ? (next as Node) : (pair.value as Node | null)
      if (below === null) break
      node = below
    }
    return { node, pair }
  }
  return {
    file,
    value,
    problems,
    placeOf: path => at(offsetOf(find(path).node)),
    placeOfKey: (path, key) => {
      const { node } = find(path)
      const pair = isMap(node) ? node.items.find(p => keyOf(p) === key) : undefined
      return at(offsetOf((pair?.key as Node | undefined) ?? node))
    },
  }
}

const offsetOf = (node: Node | null) => node?.range?.[0] ?? 0
const keyOf = (pair: Pair) => (isScalar(pair.key) ? String(pair.key.value) : undefined)

function checkScalar(type: string | undefined, source: string | undefined, report: (message: string) => void): void {
  if (type !== 'PLAIN' || source === undefined) return
  if (/^(y|n|yes|no|on|off)$/i.test(source)) report('a YAML 1.1 reader would take this for true or false')
  else if (/^[-+]?0[0-7_]+$/.test(source)) report('a YAML 1.1 reader would take this for an octal number')
  else if (/^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+$/.test(source))
    report('a YAML 1.1 reader would take this for a number to the base of 60')
}

function unreadable(file: string, place: Place, message: string): YamlFile {
  return {
    file,
    value: undefined,
    problems: [{ file, ...place, message }],
    placeOf: () => place,
    placeOfKey: () => place,
  }
}

const messages: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key stands here twice',
  MULTIPLE_DOCS: 'a second document: one file holds one',
  BAD_INDENT: 'this is indented in a way that YAML does not allow',
  TAB_AS_INDENT: 'a tab as indentation: use spaces',
  MISSING_CHAR: 'a quote, bracket or comma is missing',
  UNEXPECTED_TOKEN: 'something that does not belong here',
  BAD_ALIAS: 'an alias of nothing',
  NON_STRING_KEY: 'a key that is not text',
}

// Never the library's own text, which may quote the value.
const messageFor = (code: string) => messages[code] ?? `this is not YAML (${code.toLowerCase().replaceAll('_', ' ')})`
