/** Keys and tokens that say by a prefix what they are: of clouds, of code hosts, of chat and payment services. */
import { alphanumeric, base64, base64url, beginsWord, isAt, skip, upperOrDigit } from './characters.ts'
import type { Detector, Finding } from './detector.ts'

interface Issued {
  readonly prefix: string
  readonly of: number
  /** Characters after the prefix: so many at least, or exactly. */
  readonly least: number
  readonly exactly?: true
}

/** Prefixes are looked for by a part that several share and text seldom has: one search finds them all. */
const shared = ['_', '-']

const detector = (kind: string, anyOf: string, issued: readonly Issued[]): Detector => {
  const needles = new Map<string, Sought[]>()
  for (const one of issued) {
    const needle = shared.find(part => one.prefix.includes(part)) ?? one.prefix
    needles.set(needle, [...(needles.get(needle) ?? []), { ...one, offset: one.prefix.indexOf(needle) }])
  }
  const groups = [...needles]
  const needs = { length: Math.min(...issued.map(({ prefix, least }) => prefix.length + least)), anyOf }
  return { kind, needs, find: text => groups.flatMap(([needle, of]) => findBy(text, kind, needle, of)) }
}

interface Sought extends Issued {
  /** Of the part by which it is looked for. */
  readonly offset: number
}

// biome-ignore format: a table
export const awsKey = detector('aws-key', 'A', [
  { prefix: 'AKIA', of: upperOrDigit, least: 16, exactly: true },  // long-lived
  { prefix: 'ASIA', of: upperOrDigit, least: 16, exactly: true },  // for a session
])

export const googleKey = detector('google-key', 'A', [{ prefix: 'AIza', of: base64url, least: 35, exactly: true }])

export const azureKey = detector('azure-key', '=', [
  { prefix: 'AccountKey=', of: base64, least: 40 },
  { prefix: 'SharedAccessKey=', of: base64, least: 40 },
])

// biome-ignore format: a table
export const accessToken = detector('token', '_-', [
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map(prefix => ({ prefix, of: alphanumeric, least: 36 })),  // GitHub
  { prefix: 'github_pat_', of: base64url, least: 36 },
  ...['xoxa-', 'xoxb-', 'xoxe-', 'xoxp-', 'xoxr-', 'xoxs-', 'xapp-'].map(prefix => ({ prefix, of: base64url, least: 16 })),  // Slack
  { prefix: 'glpat-',   of: base64url,    least: 20 },  // GitLab
  { prefix: 'npm_',     of: alphanumeric, least: 36 },
  { prefix: 'sk_live_', of: alphanumeric, least: 16 },  // Stripe
  { prefix: 'rk_live_', of: alphanumeric, least: 16 },
])

function findBy(text: string, kind: string, needle: string, sought: readonly Sought[]): Finding[] {
  const found: Finding[] = []
  let next: number[] | undefined
  for (let hit = text.indexOf(needle); hit >= 0; hit = text.indexOf(needle, hit + 1)) {
    next ??= sought.map(() => 0)
    for (let i = 0; i < sought.length; i += 1) {
      const { prefix, of, least, exactly, offset } = sought[i]!
      const at = hit - offset
      if (at < next[i]! || text[at] !== prefix[0] || !text.startsWith(prefix, at)) continue
      const head = at + prefix.length + least
      const end = skip(text, at + prefix.length, of, exactly === undefined ? text.length : head)
      if (end >= head && beginsWord(text, at) && !(exactly && isAt(text, end, alphanumeric)))
        found.push({ kind, start: at, end, ...(exactly === undefined && { head }) })
      next[i] = Math.max(end, at + 1)
    }
  }
  return found
}
