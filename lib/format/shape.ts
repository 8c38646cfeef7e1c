/**
 * Shapes as data: one description of a record gives its TypeScript type, its strict check and its JSON Schema.
 * Kept this small so that the format depends on no schema library.
 */
import { LedgerError } from '../errors.ts'
import type { Json } from './canonical.ts'

/** Scalars, each with the pattern that its JSON string must match. */
export const scalars = {
  /** UUID version 7, RFC 9562. */
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  /** RFC 3339 in UTC, to the millisecond. */
  time: /^\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/,
  /** A principal's pseudonym: 128 random bits, base64url. */
  pseudonym: /^[A-Za-z0-9_-]{22}$/,
  /** SHA-256, base64url. */
  digest: /^[A-Za-z0-9_-]{43}$/,
  /** A grant's or an approval's id. */
  grant: /^g-[0-9a-z]{8,26}$/,
  approval: /^a-[0-9a-z]{8,26}$/,
  /** Names, codes, resources, verbs: printable, without personal data. */
  word: /^[\x21-\x7e]{1,512}$/,
  text: /^[\x20-\x7e\n]{0,8192}$/,
} as const

type Scalar = keyof typeof scalars

export type Shape =
  | Scalar
  | 'count'
  | 'flag'
  | { readonly oneOf: readonly string[] }
  | { readonly list: Shape; readonly most: number }
  | { readonly record: Record<string, Field> }
export type Field = Shape | { readonly optional: Shape }

export const optional = <S extends Shape>(shape: S): { readonly optional: S } => ({ optional: shape })
export const list = <S extends Shape>(shape: S, most = 1024): { readonly list: S; readonly most: number } => ({
  list: shape,
  most,
})
export const oneOf = <const W extends string>(...words: W[]): { readonly oneOf: readonly W[] } => ({ oneOf: words })
export const record = <R extends Record<string, Field>>(fields: R): { readonly record: R } => ({ record: fields })

export type TypeOf<S> = S extends Scalar
  ? string
  : S extends 'count'
    ? number
    : S extends 'flag'
      ? boolean
      : S extends { oneOf: readonly (infer W)[] }
        ? W
        : S extends { list: infer L }
          ? readonly TypeOf<L>[]
          : S extends { record: infer R extends Record<string, Field> }
            ? FieldsOf<R>
            : never

export type FieldsOf<R extends Record<string, Field>> = {
  readonly [K in keyof R as R[K] extends { optional: Shape } ? never : K]: TypeOf<R[K]>
} & {
  readonly [K in keyof R as R[K] extends { optional: Shape } ? K : never]?:
    | (R[K] extends { optional: infer S } ? TypeOf<S> : never)
    | undefined
}

export const isOptional = (field: Field): field is { readonly optional: Shape } =>
  typeof field === 'object' && 'optional' in field

/** Checks a value strictly: no member more, none less. @throws LedgerError ERR_ENTRY_MALFORMED */
export function check(shape: Shape, value: Json | undefined, path = ''): void {
  if (typeof shape === 'string') {
    checkScalar(shape, value, path)
    return
  }
  if ('oneOf' in shape) {
    if (typeof value !== 'string' || !shape.oneOf.includes(value)) throw wrong(path, `one of ${shape.oneOf.join(', ')}`)
    return
  }
  if ('list' in shape) {
    if (!Array.isArray(value) || value.length > shape.most) throw wrong(path, `a list of at most ${shape.most}`)
    for (const [i, item] of value.entries()) check(shape.list, item as Json, `${path}/${i}`)
    return
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path, 'a record')
  checkFields(shape.record, value as { readonly [name: string]: Json | undefined }, path)
}

function checkFields(
  fields: Record<string, Field>,
  value: { readonly [name: string]: Json | undefined },
  path: string,
): void {
  for (const name of Object.keys(value)) {
    if (value[name] !== undefined && !Object.hasOwn(fields, name)) throw wrong(`${path}/${name}`, 'no such member')
  }
  for (const [name, field] of Object.entries(fields)) {
    const member = value[name]
    if (isOptional(field)) {
      if (member !== undefined) check(field.optional, member, `${path}/${name}`)
    } else {
      check(field, member, `${path}/${name}`)
    }
  }
}

function checkScalar(shape: Scalar | 'count' | 'flag', value: Json | undefined, path: string): void {
  if (shape === 'flag' ? typeof value === 'boolean' : shape === 'count' ? isCount(value) : matches(shape, value)) return
  throw wrong(path, shape)
}

export const isCount = (value: Json | undefined) => Number.isSafeInteger(value) && (value as number) >= 0
const matches = (shape: Scalar, value: Json | undefined) => typeof value === 'string' && scalars[shape].test(value)

// The message names the place and the shape, never the value: it may be what must not be shown.
const wrong = (path: string, expected: string) =>
  new LedgerError('ERR_ENTRY_MALFORMED', `${path === '' ? 'the entry' : path} must be ${expected}`, { path })

/** JSON Schema (2020-12) of a shape. */
export function jsonSchema(shape: Shape): { [name: string]: Json } {
  if (shape === 'count') return { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }
  if (shape === 'flag') return { type: 'boolean' }
  if (typeof shape === 'string') return { type: 'string', pattern: scalars[shape].source }
  if ('oneOf' in shape) return { enum: [...shape.oneOf] }
  if ('list' in shape) return { type: 'array', items: jsonSchema(shape.list), maxItems: shape.most }
  const names = Object.keys(shape.record)
  return {
    type: 'object',
    properties: Object.fromEntries(
      names.map(name => {
        const field = shape.record[name]!
        return [name, jsonSchema(isOptional(field) ? field.optional : field)]
      }),
    ),
    required: names.filter(name => !isOptional(shape.record[name]!)),
    additionalProperties: false,
  }
}
