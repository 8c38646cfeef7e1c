/** In: who asks, verified, and by which pseudonyms the entries will know them; it arms the exchange for the end of that. */

import type { Clock } from '../clock.ts'
import type { Stage } from '../compose.ts'
import { Refusal } from '../errors.ts'
import { refuseExpired, watchIdentity } from '../identity/lapse.ts'
import type { Credential, Subject } from '../identity/subject.ts'
import type { Principals } from '../principals.ts'

interface Parts {
  readonly identify: (credential: Credential) => Promise<Subject>
  readonly principals: Principals
  readonly clock: Clock
}

export function identify({ identify: verify, principals, clock }: Parts): Stage {
  return async (exchange, next) => {
    const given = exchange.session?.subject ?? exchange.subject
    if (given === undefined && exchange.credential === undefined) {
      throw new Refusal('ERR_UNIDENTIFIED', 'no credential: present a token or a key')
    }
    const subject = given ?? (await verify(exchange.credential!))
    refuseExpired(subject, clock)
    if (subject.type === 'agent' && subject.owner === undefined) {
      throw new Refusal('ERR_UNIDENTIFIED', 'an agent without an accountable owner is nobody')
    }
    exchange.learn('subject', subject)
    // A session's own subject is watched by the session.
    if (exchange.session === undefined) {
      exchange.defer(watchIdentity(subject, clock, reason => exchange.abort(reason)))
    }
    exchange.learn('actors', await principals.actors(subject))
    return next()
  }
}
