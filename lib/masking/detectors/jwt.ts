/**
 * JSON Web Tokens (RFC 7519, 3) in compact form, signed (RFC 7515, 3.1: three parts) or encrypted (RFC 7516, 3.1: five), by a first part
 * that is a JOSE header: a JSON object, in base64url, in which `alg` must stand (RFC 7515, 4.1.1; RFC 7516, 4.1.1).
 */
import { base64url, isAt, skip } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

const longestHeader = 2048
/** How often `eyJ` may stand in a word before its header: more would cost time, and is no token. */
const mostTries = 8

export const jwt: Detector = {
  kind: 'jwt',
  needs: { length: 5, anyOf: 'J' },
  find(text) {
    const found: Finding[] = []
    // What every JSON object in base64url begins with, whose first character is the quote of a name.
    for (let at = text.indexOf('eyJ'); at >= 0; ) {
      const dot = skip(text, at, base64url, at + longestHeader)
      const start = text[dot] === '.' && isAt(text, dot + 1, base64url) ? headerIn(text, at, dot) : undefined
      let end = dot
      if (start !== undefined) {
        while (isAt(text, end, base64url) || (text[end] === '.' && isAt(text, end + 1, base64url))) end += 1
        // An empty part, as a JWE of direct encryption has one.
        while (text[end] === '.' && text[end + 1] === '.') end = skip(text, end + 2, base64url)
        while (text[end] === '.' && isAt(text, end + 1, base64url)) end = skip(text, end + 1, base64url)
        found.push({ kind: 'jwt', start, end, head: dot + 2 })
      }
      at = text.indexOf('eyJ', Math.max(end, at + 1))
    }
    return found
  },
}

/** @returns where it begins: before it a word may stand, with nothing between. */
function headerIn(text: string, from: number, dot: number): number | undefined {
  let start = from
  for (let tries = 0; tries < mostTries && start >= 0 && start < dot; tries += 1) {
    const header = Buffer.from(text.slice(start, dot), 'base64url').toString('latin1')
    if (header.includes('"alg"') && header.trimEnd().endsWith('}')) return start
    start = text.indexOf('eyJ', start + 1)
  }
  return undefined
}
