/** Keys from outside, as they are given: one of the wrong kind is a slip of whoever gave it, and says nothing of what is verified. */
import { isOurs, Misuse } from '../lib/errors.ts'
import { parseCosignerKey } from '../lib/format/cosignature.ts'
import { type NoteVerifier, parseVerifierKey } from '../lib/format/note.ts'

const wanted = {
  seal: 'wants the OpenPGP fingerprint (40 hex digits), or the file of its certificate, as its owner gave it to you',
  log: 'wants a ledger\'s verifier key (NAME+8 hex digits+base64), which "counterfoil keys show LEDGER --note" prints',
  witness: 'wants a witness\'s verifier key (NAME+8 hex digits+base64), which "counterfoil witness key" printed',
} as const

/** What a key is instead of what it should be. The text is not repeated: it may be a secret. @throws Misuse ERR_OPTION_INVALID */
export function wrongKey(option: string, wants: keyof typeof wanted, given: string, cause?: unknown): Misuse {
  return new Misuse('ERR_OPTION_INVALID', `${option} ${wanted[wants]}; what was given is ${kindOf(given)}`, {}, cause)
}

const vkey = /^[^\s+]+\+[0-9a-f]{8}\+([A-Za-z0-9+/]{44})$/u

function kindOf(given: string): string {
  if (isFingerprint(given)) return 'an OpenPGP fingerprint'
  const [, encoded] = vkey.exec(given) ?? []
  const type = encoded === undefined ? undefined : Buffer.from(encoded, 'base64')[0]
  if (type === 1) return "a ledger's verifier key"
  if (type === 4) return "a witness's verifier key"
  if (/^-----BEGIN [A-Z ]*PRIVATE KEY/.test(given)) return 'a private key'
  return type === undefined ? 'no key that is known here' : 'a verifier key of another type'
}

export const isFingerprint = (text: string): boolean => /^([0-9a-fA-F]{4}\s*){10}$/.test(text)

/** @throws Misuse ERR_OPTION_INVALID */
export function logKey(option: string, given: string): NoteVerifier {
  return ofKind(option, 'log', given, parseVerifierKey)
}

/** @returns them. @throws Misuse ERR_OPTION_INVALID */
export function witnessKeys(option: string, given: readonly string[]): readonly string[] {
  for (const one of given) ofKind(option, 'witness', one, parseCosignerKey)
  return given
}

function ofKind<T>(option: string, kind: 'log' | 'witness', given: string, parse: (text: string) => T): T {
  try {
    return parse(given)
  } catch (error) {
    if (!isOurs(error)) throw error
    throw wrongKey(option, kind, given, error)
  }
}
