/** Checks a YAML file against its schema: every issue as a problem with its place, what is expected, and what was meant. */
import type { z } from 'zod'
import { nearest } from '../options.ts'
import type { Problem } from '../problem.ts'
import { later, schemaOf } from './schema.ts'
import type { Path, YamlFile } from './yaml.ts'

/** @returns the value, or undefined where there are problems, which are reported in the order of the file. */
export function checkShape<S extends z.ZodType>(
  source: YamlFile,
  schema: S,
  report: (problem: Problem) => void,
): z.infer<S> | undefined {
  const result = source.problems.length > 0 ? undefined : schema.safeParse(source.value, { error: expectation })
  if (result?.success) return result.data
  const problems = [...source.problems]
  const issues = flatten((result?.error?.issues ?? []) as readonly Issue[], [])
  // Where a key is unknown and near to a missing one, the second is not said as well.
  const slips = new Set<string>()
  for (const { path, keys } of issues) {
    if (keys !== undefined) problems.push(...unknownKeys(keys, path, source, schema, slips))
  }
  for (const issue of issues) {
    if (issue.keys === undefined && !slips.has(JSON.stringify(issue.path))) problems.push(explain(issue, source))
  }
  for (const problem of problems.sort((a, b) => a.line - b.line || a.column - b.column)) report(problem)
  return undefined
}

/** Where the schema says nothing of its own. */
function expectation(issue: { readonly code?: string; readonly expected?: unknown }): string | undefined {
  const { code, expected } = issue
  return code === 'invalid_type' ? `expected ${kinds[String(expected)] ?? String(expected)}` : undefined
}

/** The parts of zod's issues that are used here. */
interface Issue {
  readonly code: string
  readonly path: Path
  readonly message: string
  readonly expected?: string
  readonly keys?: readonly string[]
  readonly errors?: readonly (readonly Issue[])[]
  /** The member that tells alternatives apart. */
  readonly discriminator?: string
  /** What is wrong with a key of a map whose keys are free. */
  readonly issues?: readonly Issue[]
}

/** With every union replaced by the issues of the alternative that was meant: the one of the kind that was written. */
function flatten(issues: readonly Issue[], above: Path): Issue[] {
  return issues.flatMap(issue => {
    const path = [...above, ...issue.path]
    if (issue.code !== 'invalid_union' || issue.discriminator !== undefined) return [{ ...issue, path }]
    const meant = issue.errors
      ?.filter(errors => !errors.some(e => e.path.length === 0 && e.code === 'invalid_type'))
      .sort((some, others) => slipsIn(some) - slipsIn(others))[0]
    return meant === undefined ? [{ ...issue, path }] : flatten(meant, path)
  })
}

/** Of two kinds of map, the one was meant of which less is missing, and nothing is there that it does not know. */
const slipsIn = (issues: readonly Issue[]): number =>
  issues.reduce((sum, { keys, path }) => sum + (keys?.length ?? (path.length > 1 ? 0.5 : 1)), 0)

function unknownKeys(
  keys: readonly string[],
  path: Path,
  source: YamlFile,
  schema: z.ZodType,
  slips: Set<string>,
): Problem[] {
  const known = knownKeys(schemaOf(schema), path, source.value)
  return keys.map(key => {
    // Of another of the kinds of map that may stand here.
    if (known.includes(key)) {
      const message = `${JSON.stringify(key)} does not go with the other keys here`
      return { file: source.file, ...source.placeOfKey(path, key), message, hint: 'leave it out, or them' }
    }
    const meant = later.has(key) ? undefined : nearest(key, known)
    if (meant !== undefined) slips.add(JSON.stringify([...path, meant]))
    const hint = later.has(key) ? 'not supported by this version' : `known are ${known.join(', ')}`
    return {
      file: source.file,
      ...source.placeOfKey(path, key),
      message: `unknown key ${JSON.stringify(key.slice(0, 64))}`,
      hint: meant === undefined ? hint : `did you mean "${meant}"?`,
    }
  })
}

function explain(issue: Issue, source: YamlFile): Problem {
  const { code, path, message, expected, discriminator, issues } = issue
  const { file } = source
  const name = path.at(-1)
  if (code === 'invalid_key') {
    return { file, ...source.placeOfKey(path.slice(0, -1), String(name)), message: issues?.[0]?.message ?? message }
  }
  if (typeof name === 'string' && valueAt(source.value, path) === undefined) {
    return { file, ...source.placeOf(path.slice(0, -1)), message: `missing key ${JSON.stringify(name)}` }
  }
  const place = { file, ...source.placeOf(path) }
  if (code === 'invalid_union' && discriminator === undefined)
    return { ...place, message: [...new Set(issue.errors?.flat().map(other => other.message))].join('; or ') }
  const hint = code === 'invalid_type' ? hintOf(expected, message, valueAt(source.value, path)) : undefined
  // The value is not repeated: it may be a secret in the wrong place.
  return { ...place, message, ...(hint === undefined ? {} : { hint }) }
}

function hintOf(expected: string | undefined, message: string, value: unknown): string | undefined {
  if (value === null) return 'nothing stands here'
  if (expected === 'array' && isOne(value)) return 'a list of one is written [ONE]'
  const isText = expected === 'string' && message === `expected ${kinds.string}`
  return isText && isOne(value) ? 'in quotes this is text' : undefined
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  object: 'a map',
  record: 'a map',
  array: 'a list',
  // Every number here is one, and is first asked for as a number.
  number: 'a whole number',
  int: 'a whole number',
  boolean: 'true or false',
}

const isOne = (value: unknown): boolean => typeof value !== 'object'

function valueAt(value: unknown, path: Path): unknown {
  let found = value
  for (const step of path) found = (found as Record<string | number, unknown> | null | undefined)?.[step]
  return found
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: JsonSchema | false
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly const?: unknown
}

/** The keys that may stand in the map at the path. */
function knownKeys(schema: JsonSchema, path: Path, value: unknown): string[] {
  const options = (schema.anyOf ?? schema.oneOf ?? [schema]).filter(option => isMeant(option, value))
  const [step, ...rest] = path
  if (step === undefined) return options.flatMap(option => Object.keys(option.properties ?? {}))
  return options.flatMap(option => {
    const below =
      typeof step === 'number'
        ? option.items
        : (option.properties?.[step] ?? (option.additionalProperties || undefined))
    return below === undefined ? [] : knownKeys(below, rest, valueAt(value, [step]))
  })
}

/** Of alternatives that a member tells apart, the one that was written. */
const isMeant = ({ properties = {} }: JsonSchema, value: unknown): boolean =>
  Object.entries(properties).every(([name, of]) => of.const === undefined || valueAt(value, [name]) === of.const)
