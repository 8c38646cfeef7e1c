/** The one spelling of a request's path, settled before policy judges it; ambiguous spellings are refused, not interpreted. */
import { Refusal } from '../../lib/errors.ts'

// Each of these is read one way by some routers, proxies and handlers, and another way by others.
// biome-ignore format: a table
const ambiguous: readonly (readonly [RegExp, string])[] = [
  [/%(?![0-9a-fA-F]{2})/,                  'a malformed percent-encoding'],
  [/%(2f|5c|2e|00|25|3b)/i,                'an encoded slash, backslash, dot, NUL, percent sign or semicolon'],
  [/[\\;\s\p{Cc}]/u,                      'a backslash, semicolon, space or control character'],
  [/\/\//,                                 'an empty segment'],
  [/\/\.{1,2}(\/|$)/,                      'a dot segment'],
]

/**
 * @param url the request target as received: path and query
 * @param caseSensitive whether the application's router tells `/A` from `/a`; express's does not unless told to
 * @returns the decoded path without a trailing slash. @throws Refusal ERR_ACCESS_DENIED
 */
export function requestPath(url: string, caseSensitive = false): string {
  const raw = url.split(/[?#]/, 1)[0]!
  if (!raw.startsWith('/')) throw refused('a target that is no path')
  for (const [pattern, what] of ambiguous) if (pattern.test(raw)) throw refused(what)
  let path: string
  try {
    path = decodeURIComponent(raw)
  } catch {
    throw refused('a percent-encoding that is not UTF-8')
  }
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  const settled = caseSensitive ? trimmed : trimmed.toLowerCase()
  // Resources are printable ASCII words; anything beyond goes back to its encoding, in one spelling.
  return settled.replaceAll(/[^\x21-\x7e]/gu, character => encodeURIComponent(character))
}

const refused = (what: string) =>
  new Refusal('ERR_ACCESS_DENIED', `the path has ${what}: its meaning would be ambiguous`)
