/** All detectors that come with the guard. */
import { card } from './card.ts'
import type { Detector } from './detector.ts'
import { email } from './email.ts'
import { iban } from './iban.ts'
import { jwt } from './jwt.ts'
import { phone } from './phone.ts'
import { privateKey } from './private-key.ts'
import { ssn } from './ssn.ts'
import { accessToken, awsKey, azureKey, googleKey } from './tokens.ts'

export const everywhere: readonly Detector[] = [
  ...[email, card, iban, ssn, jwt, privateKey, awsKey, googleKey, azureKey, accessToken],
]

/** In fields that a rule names. */
export const inDeclared: readonly Detector[] = [...everywhere, phone]
