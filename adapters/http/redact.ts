/** What of a request may be shown: members whose names say that they hold a secret are withheld, whatever their value. */
import type { Json } from '../../lib/format/canonical.ts'

export const withheld = '[withheld]'

/** Anywhere in a name: `newPassword`, `user[password]`, `x-api-key`. */
const secretParts =
  /pass[-_]?(word|wd|phrase|code)|secret|token|authori[sz]ation|cookie|api[-_]?key|access[-_]?key|private[-_]?key|credential|session[-_]?id|signature|bearer/i
/** Only as a word of their own: `pass` is in `passenger`, `pin` in `shipping`. */
const secretWords = new Set(['pass', 'passwd', 'pwd', 'pin', 'otp', 'totp', 'cvv', 'cvc', 'jwt', 'sid', 'sig'])

/** Members that name another member's meaning: `{"name": "password", "value": ...}`, and a JSON Patch's `path`. */
const naming = new Set(['name', 'key', 'field', 'path', 'id'])

export function isSecretName(name: string): boolean {
  if (secretParts.test(name)) return true
  // camelCase, snake_case, `?pin`, `card[cvc]`, `/user/pin`: split into words.
  const words = name.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').split(/[^A-Za-z0-9]+/)
  return words.some(word => secretWords.has(word.toLowerCase()))
}

export function withoutSecrets(value: Json): Json {
  if (Array.isArray(value)) return value.map(item => withoutSecrets(item as Json))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value)
  const named = members.some(
    ([name, of]) => naming.has(name.toLowerCase()) && typeof of === 'string' && isSecretName(of),
  )
  return Object.fromEntries(
    members.map(([name, member]) => {
      const secret = isSecretName(name) || (named && name.toLowerCase() === 'value')
      return [name, secret ? withheld : member === undefined ? undefined : withoutSecrets(member)]
    }),
  )
}
