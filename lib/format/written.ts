/**
 * A shape as a regular expression of the one text that its values are written as: RFC 8785, members in order, nothing escaped but what
 * must be. A text that matches needs no second writing to compare with; one that does not may still be right, and is looked at closely.
 */
import { type Field, isOptional, type Shape } from './shape.ts'

/** Scalars as they stand in JSON. Of the characters that they may have, only `"`, `\` and a newline are escaped. */
const letter = '(?:[!#-[\\]-~]|\\\\["\\\\])'
const line = '(?:[ !#-[\\]-~]|\\\\["\\\\n])'
// biome-ignore format: a table
const written = {
  uuid:      '"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"',
  time:      '"\\d{4}-(?:0[1-9]|1[0-2])-(?:[0-2]\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d\\.\\d{3}Z"',
  pseudonym: '"[A-Za-z0-9_-]{22}"',
  digest:    '"[A-Za-z0-9_-]{43}"',
  grant:     '"g-[0-9a-z]{8,26}"',
  approval:  '"a-[0-9a-z]{8,26}"',
  word:      `"${letter}{1,512}"`,
  text:      `"${line}{0,8192}"`,
  // Up to 15 digits: every one of them is a safe integer, and is written so.
  count:     '(?:0|[1-9]\\d{0,14})',
  flag:      '(?:true|false)',
} as const

/** Matches only what is the canonical text of a value of the shape: of printable ASCII, so that its bytes are its characters. */
export const writtenAs = (shape: Shape): RegExp => new RegExp(`^${source(shape)}$`)

function source(shape: Shape): string {
  if (typeof shape === 'string') return written[shape]
  if ('oneOf' in shape)
    return `"(?:${shape.oneOf.map(word => word.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')})"`
  if ('list' in shape) {
    const item = source(shape.list)
    return `\\[(?:${item}(?:,${item}){0,${shape.most - 1}})?\\]`
  }
  // RFC 8785, 3.2.3: by UTF-16 code units. Each member brings the comma before it; the first has none before it.
  const members = Object.entries(shape.record).sort(([a], [b]) => (a < b ? -1 : 1))
  return `\\{(?!,)${members.map(([name, field]) => member(name, field)).join('')}\\}`
}

function member(name: string, field: Field): string {
  const optional = isOptional(field)
  // After the opening brace there is no comma, and after anything else there is.
  return `(?:(?:(?<=\\{)|,)"${name}":${source(optional ? field.optional : field)})${optional ? '?' : ''}`
}
