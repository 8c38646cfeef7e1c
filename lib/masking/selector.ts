/**
 * Which fields a mask means: a name (a column, or a member of that name at any depth), a JSON pointer (RFC 6901, where the
 * segment `*` stands for every member or item), or `*` for all.
 */
import type { MaskRule } from '../control.ts'

export type Selector =
  | { readonly kind: 'all' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'pointer'; readonly segments: readonly string[] }

const longestField = 256

/** @returns undefined where it is no selector. */
export function parseSelector(field: string): Selector | undefined {
  if (field === '' || !field.isWellFormed() || fieldWord(field).length > longestField) return undefined
  if (field === '*') return { kind: 'all' }
  if (!field.startsWith('/')) return { kind: 'name', name: field }
  const segments = field.slice(1).split('/')
  // RFC 6901, 3: a tilde is escaped as ~0, a slash as ~1, and stands nowhere else.
  if (segments.some(segment => /~(?![01])/.test(segment))) return undefined
  return { kind: 'pointer', segments: segments.map(s => s.replaceAll('~1', '/').replaceAll('~0', '~')) }
}

/** Whether a rule's name means this one: in any case, since `SSN` holds what `ssn` does. Pointers are compared as RFC 6901 has it. */
export const isNamed = (name: string, actual: string): boolean =>
  name === actual || name.toLowerCase() === actual.toLowerCase()

/** A field as a word of an entry: whatever is not printable ASCII, and the colon that parts the words, percent-encoded. */
export const fieldWord = (field: string): string =>
  field.toWellFormed().replaceAll(/[^\x21-\x7e]|[%:]/gu, character => encodeURIComponent(character))

/** What happened to a rule's field: the strategy that won, or `absent` where the reply did not contain it. */
export const appliedWord = ({ control, field }: MaskRule, what: string): string =>
  `${control}:${fieldWord(field)}:${what}`
