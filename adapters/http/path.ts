/** The one spelling of a request's path, settled before policy judges it; ambiguous spellings are refused, not interpreted. */
import { Refusal } from '../../lib/errors.ts'

// Each of these is read one way by some routers, proxies and handlers, and another way by others.
// biome-ignore format: a table
const ambiguous: readonly (readonly [RegExp, string])[] = [
  [/%(?![0-9a-fA-F]{2})/,                  'a malformed percent-encoding'],
  [/%(2f|5c|2e|25|3b|3f|23)/i,             'an encoded slash, backslash, dot, percent sign, semicolon, question mark or hash'],
  [/%(0[0-9a-f]|1[0-9a-f]|7f)/i,           'an encoded control character'],
  [/[\\;\s\p{Cc}]/u,                      'a backslash, semicolon, space or control character'],
  [/\/\//,                                 'an empty segment'],
  [/\/\.{1,2}(\/|$)/,                      'a dot segment'],
]

/** With its target in front it must be a word of an entry, which has 512 characters at most. */
const longestPath = 400

/**
 * @param url the request target as received: path and query
 * @param caseSensitive whether the application's router tells `/A` from `/a`; express's does not unless told to
 * @returns the decoded path without a trailing slash. @throws Refusal ERR_ACCESS_DENIED
 */
export function requestPath(url: string, caseSensitive = false): string {
  const raw = url.split('?', 1)[0]!
  if (!raw.startsWith('/')) throw refused('a target that is no path')
  // RFC 9112, 3.2: a request target has no fragment; some parsers cut the query there, others do not.
  if (url.includes('#')) throw refused('a fragment')
  for (const [pattern, what] of ambiguous) if (pattern.test(raw)) throw refused(what)
  let path: string
  try {
    path = decodeURIComponent(raw)
  } catch {
    throw refused('a percent-encoding that is not UTF-8')
  }
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  const settled = caseSensitive ? trimmed : foldCase(trimmed)
  // Resources are printable ASCII words; anything beyond goes back to its encoding, in one spelling.
  const spelt = settled.replaceAll(/[^\x21-\x7e]/gu, character => encodeURIComponent(character))
  if (spelt.length > longestPath) throw refused(`over ${longestPath} characters`)
  return spelt
}

/** As a router's case-insensitive expression does (ECMA-262, 22.2.2.7.3): what is not ASCII never becomes ASCII (U+212A is no k). */
function foldCase(path: string): string {
  return path.replaceAll(/[A-Z]|[^\p{ASCII}]/gu, character => {
    const lower = character.toLowerCase()
    return /\p{ASCII}/u.test(character) || !/\p{ASCII}/u.test(lower) ? lower : character
  })
}

const refused = (what: string) =>
  new Refusal('ERR_ACCESS_DENIED', `the path has ${what}: its meaning would be ambiguous`)
