/** What of a request may be shown: members whose names say that they hold a secret are withheld, whatever their value. */
import type { Json } from '../../lib/format/canonical.ts'

const secretName =
  /pass(word|wd|phrase)?$|secret|token|authorization|cookie|api[-_]?key|private[-_]?key|credential|^(pin|otp|cvv|cvc)$/i

export function withoutSecrets(value: Json): Json {
  if (Array.isArray(value)) return value.map(item => withoutSecrets(item as Json))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      secretName.test(name) ? '[withheld]' : member === undefined ? undefined : withoutSecrets(member),
    ]),
  )
}
