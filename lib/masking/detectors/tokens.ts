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

const detector = (kind: string, issued: readonly Issued[]): Detector => ({
  kind,
  find: text => issued.flatMap(one => findPrefixed(text, kind, one)),
})

// biome-ignore format: a table
export const awsKey = detector('aws-key', [
  { prefix: 'AKIA', of: upperOrDigit, least: 16, exactly: true },  // long-lived
  { prefix: 'ASIA', of: upperOrDigit, least: 16, exactly: true },  // for a session
])

export const googleKey = detector('google-key', [{ prefix: 'AIza', of: base64url, least: 35, exactly: true }])

export const azureKey = detector('azure-key', [
  { prefix: 'AccountKey=', of: base64, least: 40 },
  { prefix: 'SharedAccessKey=', of: base64, least: 40 },
])

// biome-ignore format: a table
export const accessToken = detector('token', [
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map(prefix => ({ prefix, of: alphanumeric, least: 36 })),  // GitHub
  { prefix: 'github_pat_', of: base64url, least: 36 },
  ...['xoxa-', 'xoxb-', 'xoxe-', 'xoxp-', 'xoxr-', 'xoxs-', 'xapp-'].map(prefix => ({ prefix, of: base64url, least: 16 })),  // Slack
  { prefix: 'glpat-',   of: base64url,    least: 20 },  // GitLab
  { prefix: 'npm_',     of: alphanumeric, least: 36 },
  { prefix: 'sk_live_', of: alphanumeric, least: 16 },  // Stripe
  { prefix: 'rk_live_', of: alphanumeric, least: 16 },
])

function findPrefixed(text: string, kind: string, { prefix, of, least, exactly }: Issued): Finding[] {
  const found: Finding[] = []
  for (let at = text.indexOf(prefix); at >= 0; ) {
    const head = at + prefix.length + least
    const end = skip(text, at + prefix.length, of, exactly === undefined ? text.length : head)
    if (end >= head && beginsWord(text, at) && !(exactly && isAt(text, end, alphanumeric)))
      found.push({ kind, start: at, end, ...(exactly === undefined && { head }) })
    at = text.indexOf(prefix, Math.max(end, at + 1))
  }
  return found
}
