/** Asks each identity provider in turn who presents a credential: the first that knows its kind decides. */
import { type Clock, systemClock } from '../clock.ts'
import { Fault, isOurs, Refusal } from '../errors.ts'
import { isSubjectId } from '../policy/rules.ts'
import type { AgentRule } from './agents.ts'
import { localKeys } from './keys.ts'
import { type OidcOptions, oidcProvider } from './oidc.ts'
import type { Credential, IdentityProvider, Subject } from './subject.ts'

/** Longer than any token in use; bounded, since it comes from strangers. */
const longestSecret = 16_384

/**
 * @returns a function that throws Refusal ERR_UNIDENTIFIED for whoever nobody vouches for, and Fault ERR_IDENTITY_UNAVAILABLE where
 * it cannot be told
 */
export function identifier(
  providers: readonly IdentityProvider[],
  clock: Clock = systemClock,
): (credential: Credential) => Promise<Subject> {
  return async credential => {
    if (!/^[\x21-\x7e]+$/.test(credential.secret) || credential.secret.length > longestSecret) throw unknown()
    for (const provider of providers) {
      const subject = await ask(provider, credential)
      if (subject === undefined) continue
      // What policy could not tell from another name is no name.
      const names = [subject.id, subject.owner, subject.principal].filter(name => name !== undefined)
      if (!names.every(isSubjectId))
        throw new Refusal('ERR_UNIDENTIFIED', 'the identity has a name that policy cannot use')
      if (subject.expires !== undefined && subject.expires <= clock.now()) {
        throw new Refusal('ERR_UNIDENTIFIED', 'the credential has expired: get another')
      }
      return subject
    }
    throw unknown()
  }
}

async function ask(provider: IdentityProvider, credential: Credential): Promise<Subject | undefined> {
  try {
    return await provider.identify(credential)
  } catch (error) {
    if (isOurs(error)) throw error
    throw new Fault('ERR_IDENTITY_UNAVAILABLE', `${provider.name} could not say who this is`, {}, error)
  }
}

const unknown = () => new Refusal('ERR_UNIDENTIFIED', 'this is neither a token nor a key that is known here')

export interface IdentitySettings {
  readonly people: readonly Omit<OidcOptions, 'agents' | 'clock'>[]
  readonly agents: readonly AgentRule[]
  /** The file of local keys. */
  readonly keys?: string | undefined
}

/** The providers that a configuration names: local keys first, which need no network. */
export function configuredIdentity(
  { people, agents, keys }: IdentitySettings,
  clock: Clock = systemClock,
): (credential: Credential) => Promise<Subject> {
  return identifier(
    [
      ...(keys === undefined ? [] : [localKeys({ file: keys, clock })]),
      ...people.map(settings => oidcProvider({ ...settings, agents, clock })),
    ],
    clock,
  )
}
