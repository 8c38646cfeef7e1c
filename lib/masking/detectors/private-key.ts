/**
 * Private keys in PEM (RFC 7468) or OpenPGP's armor (RFC 9580), whole or cut off; in JSON too, as a service account's `private_key`,
 * where line breaks are written `\n`.
 */
import { isAt, pemBody } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

const begin = '-----BEGIN '
const finish = '-----END '
const dashes = '-----'
const longestLabel = 64

export const privateKey: Detector = {
  kind: 'private-key',
  needs: { length: 16, anyOf: '-' },
  find(text) {
    const found: Finding[] = []
    for (let at = text.indexOf(begin); at >= 0; ) {
      const head = labelEnd(text, at + begin.length)
      if (head === undefined) {
        at = text.indexOf(begin, at + begin.length)
        continue
      }
      const end = bodyEnd(text, head)
      found.push({ kind: 'private-key', start: at, end, head })
      at = text.indexOf(begin, end)
    }
    return found
  },
}

/** @returns undefined where this is not the label of a private key. */
function labelEnd(text: string, from: number): number | undefined {
  const to = text.slice(from, from + longestLabel).indexOf(dashes)
  const label = to < 0 ? '' : text.slice(from, from + to)
  return label.endsWith('PRIVATE KEY') || label === 'PGP PRIVATE KEY BLOCK' ? from + to + dashes.length : undefined
}

function bodyEnd(text: string, from: number): number {
  for (let at = from; ; at += 1) {
    if (text.startsWith(finish, at)) {
      const to = text.slice(at + finish.length, at + finish.length + longestLabel).indexOf(dashes)
      return to < 0 ? Math.min(text.length, at + finish.length + longestLabel) : at + finish.length + to + dashes.length
    }
    // Cut off before its end: whatever could still be of it is.
    if (!isAt(text, at, pemBody)) return at
  }
}
