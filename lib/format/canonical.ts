/**
 * Canonical JSON (RFC 8785, JCS), for the subset that entries use.
 * Stricter than JCS: lone surrogates, integer-like member names and non-finite numbers are refused, not repaired.
 */
import { LedgerError } from '../errors.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined }

const integerLike = /^(0|[1-9][0-9]*)$/
const deepest = 64

const malformed = (what: string, path: string) =>
  new LedgerError('ERR_ENTRY_MALFORMED', `${what} at ${path === '' ? 'the top' : path}`, { path })

/** @returns the canonical text; members that are `undefined` are left out. @throws LedgerError ERR_ENTRY_MALFORMED */
export function canonical(value: Json, path = '', depth = 0): string {
  if (depth > deepest) throw malformed('JSON nested too deeply', path)
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw malformed('a lone surrogate', path)
      return JSON.stringify(value)
    case 'number':
      if (!Number.isFinite(value)) throw malformed('a number that is not finite', path)
      return JSON.stringify(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object': {
      if (value === null) return 'null'
      if (Array.isArray(value)) {
        return `[${value.map((item, i) => canonical(item as Json, `${path}/${i}`, depth + 1)).join(',')}]`
      }
      return object(value as { [name: string]: Json | undefined }, path, depth)
    }
    default:
      throw malformed(`a value of type ${typeof value}`, path)
  }
}

function object(value: { readonly [name: string]: Json | undefined }, path: string, depth: number): string {
  let text = ''
  // RFC 8785, 3.2.3: names sorted by UTF-16 code units, which is what Array.prototype.sort compares.
  for (const name of Object.keys(value).sort()) {
    const member = value[name]
    if (member === undefined) continue
    if (integerLike.test(name)) throw malformed(`the integer-like name ${JSON.stringify(name)}`, path)
    if (!name.isWellFormed()) throw malformed('a name with a lone surrogate', path)
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonical(member, `${path}/${name}`, depth + 1)}`
  }
  return `{${text}}`
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads bytes that must be canonical JSON already: `canonical(parse(bytes)) === bytes`.
 * Duplicate names, other spellings of numbers, white space and invalid UTF-8 all fail.
 * @throws LedgerError ERR_ENTRY_MALFORMED
 */
export function parseCanonical(bytes: Uint8Array): Json {
  const text = utf8(bytes)
  const value = parseJson(text)
  if (canonical(value) !== text) throw malformed('JSON that is not in canonical form', '')
  return value
}

/** @throws LedgerError ERR_ENTRY_MALFORMED */
export function utf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw malformed('bytes that are not UTF-8', '')
  }
}

/** @throws LedgerError ERR_ENTRY_MALFORMED, never a SyntaxError, whose message quotes the input. */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    throw malformed('text that is not JSON', '')
  }
}
