/** Addresses of mail (RFC 5321): a local part of up to 64 characters, and a domain of two labels at least, the last in letters. */
import { alphanumeric, is, isAt, letter } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

// Of ASCII: how many characters others are depends on how the text is read, in UTF-16 or byte by byte.
const longestLocal = 64
const longestDomain = 255

/** Of the specials that RFC 5322 allows, those that do not as often stand between an address and what precedes it, as in `?to=`. */
const specials = new Set([...".!#$%'*+-^_`{|}~"].map(character => character.charCodeAt(0)))
// Beyond ASCII everything may be part of it (RFC 6531).
const isLocal = (code: number) => is(code, alphanumeric) || code > 127 || specials.has(code)
const isDomain = (code: number) => is(code, alphanumeric) || code > 127 || code === 0x2d || code === 0x2e

export const email: Detector = {
  kind: 'email',
  needs: { length: 5, anyOf: '@' },
  find(text) {
    const found: Finding[] = []
    let free = 0
    for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
      const start = startOf(text, at, free)
      const end = start < at ? endOf(text, at) : at
      if (end <= at) continue
      found.push({ kind: 'email', start, end })
      free = end
    }
    return found
  },
}

/** @returns `at` where there is no local part. */
function startOf(text: string, at: number, free: number): number {
  let start = at
  for (let length = 0; start > free && length < longestLocal && isLocal(text.charCodeAt(start - 1)); start -= 1) {
    if (text.charCodeAt(start - 1) < 128) length += 1
  }
  // A quote or a dot before an address is not of it.
  while (start < at && ".'`{|".includes(text[start]!)) start += 1
  return start
}

/** @returns `at` where there is no domain. */
function endOf(text: string, at: number): number {
  let end = at + 1
  for (let length = 0; end < text.length && length < longestDomain && isDomain(text.charCodeAt(end)); end += 1) {
    if (text.charCodeAt(end) < 128) length += 1
  }
  // Down to the last label that could be a top one: `a@b.example...` and `a@b.example.1` both end in example.
  for (;;) {
    const dot = at + 1 + text.slice(at + 1, end).lastIndexOf('.')
    // No dot, or none with a label before it.
    if (dot <= at + 1) return at
    if (end - dot > 2 && isTop(text, dot + 1, end)) return end
    end = dot
  }
}

function isTop(text: string, from: number, to: number): boolean {
  // Letters of any script, or its form in ASCII: `xn--p1ai`.
  if (text.startsWith('xn--', from)) return true
  for (let at = from; at < to; at += 1) {
    if (!isAt(text, at, letter) && text.charCodeAt(at) < 128) return false
  }
  return true
}
