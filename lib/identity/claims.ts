/** From verified claims to a subject: a person, or an agent with its owner and the person on whose behalf it acts. Pure. */
import { Refusal } from '../errors.ts'
import { isSubjectId } from '../policy/rules.ts'
import type { AgentRule } from './agents.ts'
import { mayName } from './names.ts'
import type { Subject } from './subject.ts'

/** By how much this clock and the issuer's may differ. */
export const skewSeconds = 30

export type Claims = Readonly<Record<string, unknown>>

export interface ClaimRules {
  readonly issuer: string
  readonly subject?: string | undefined
  /** Which people the issuer may name: anybody, where left out. */
  readonly names?: readonly string[] | undefined
  readonly agents: readonly AgentRule[]
}

/** @throws Refusal ERR_UNIDENTIFIED */
export function subjectOf(claims: Claims, rules: ClaimRules): Subject {
  const known = rules.agents.filter(({ recognise }) => recognise.issuer === rules.issuer)
  const common = vouched(claims, rules.issuer)
  if (claims.act !== undefined) {
    const agent = actorIn(claims.act, known)
    return { ...common, id: agent.id, type: 'agent', owner: agent.owner, principal: personIn(claims, rules) }
  }
  const matching = known.filter(({ recognise: { claim, value } }) => claims[claim] === value)
  const [agent] = matching
  if (agent === undefined) return { ...common, id: personIn(claims, rules), type: 'person' }
  if (matching.length > 1) throw refused('could be of two agents')
  // Client credentials: the client itself is the token's subject, and nobody is behind it.
  const own = [agent.recognise.value, claims.client_id, claims.azp].includes(claims.sub)
  const principal = own ? {} : { principal: personIn(claims, rules) }
  return { ...common, id: agent.id, type: 'agent', owner: agent.owner, ...principal }
}

/** RFC 8693, 4.1: the token's subject is the person; `act` is who acts for them. */
function actorIn(act: unknown, agents: readonly AgentRule[]): AgentRule {
  if (typeof act !== 'object' || act === null || Array.isArray(act)) throw refused('has a malformed act claim')
  const actor = act as Claims
  // Each in a chain would need rights of its own; that is not judged yet, so it is not let in.
  if (actor.act !== undefined) throw refused('was passed on from one agent to another')
  // An actor is named by its `sub`, as an agent recognised by its client is there too.
  const matching = agents.filter(({ recognise: { claim, value } }) => (actor[claim] ?? actor.sub) === value)
  const [agent] = matching
  if (agent === undefined || matching.length > 1) throw refused('was given to an agent that is not known here')
  return agent
}

/** A person's id as policy names them. */
function personIn(claims: Claims, { subject: claim, names }: ClaimRules): string {
  const id = claim === undefined ? byDefault(claims) : chosen(claims, claim)
  if (!isSubjectId(id) || id.startsWith('agent:')) throw refused('names a person in a way that policy cannot use')
  if (names !== undefined && !mayName(names, id)) throw refused('names a person whom its issuer may not name')
  return id
}

function byDefault(claims: Claims): string {
  if (typeof claims.email === 'string' && claims.email_verified === true) return lowered(claims.email)
  const id = String(claims.sub)
  // A user name that looks like an address could be chosen to look like somebody else's.
  if (id.includes('@')) throw refused('names a person by an address that its issuer has not verified')
  return id
}

function chosen(claims: Claims, claim: string): string {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  if (typeof value !== 'string') throw refused('does not have the claim that names a person')
  if (claim === 'email' && claims.email_verified !== true)
    throw refused('names a person by an address that its issuer has not verified')
  return value.includes('@') ? lowered(value) : value
}

/** ASCII first: lower case makes a plain k of the Kelvin sign, and so one person's address of another's. */
function lowered(address: string): string {
  if (!isSubjectId(address.replaceAll(/[A-Z]/g, letter => letter.toLowerCase()))) {
    throw refused('names a person in a way that policy cannot use')
  }
  return address.toLowerCase()
}

function vouched(
  claims: Claims,
  issuer: string,
): Pick<Subject, 'issuer' | 'method' | 'strength' | 'credential' | 'expires'> {
  const amr = Array.isArray(claims.amr) ? claims.amr.filter(isWord).sort().join('+') : ''
  const strength = isWord(claims.acr) ? claims.acr : amr
  return {
    issuer,
    method: 'oidc',
    ...(isWord(strength) ? { strength } : {}),
    ...(isWord(claims.jti) ? { credential: claims.jti } : {}),
    expires: (Number(claims.exp) + skewSeconds) * 1000,
  }
}

/** As entries take it. */
const isWord = (value: unknown): value is string => typeof value === 'string' && /^[\x21-\x7e]{1,256}$/.test(value)

const refused = (what: string) => new Refusal('ERR_UNIDENTIFIED', `this token ${what}`)
