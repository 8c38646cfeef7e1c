/** In: a live grant where a control asks for one; it arms the exchange and its session for the moment the grant ends. */
import type { Stage } from '../compose.ts'
import { formatDuration } from '../duration.ts'
import { Refusal } from '../errors.ts'
import type { Grantbook } from '../grants/grantbook.ts'

/** `bind` ties a session to a grant that it has used, so that the grant's end cuts the session. */
interface Parts {
  readonly grants: Grantbook
  readonly bind: (session: string, grant: string) => void
}

export function grant({ grants, bind }: Parts): Stage {
  return (exchange, next) => {
    const { grant: terms, observed } = exchange.fact('obligations')
    const actors = exchange.fact('actors')
    const needed = terms?.accesses ?? exchange.operation.accesses
    const live = terms === undefined && observed.length === 0 ? undefined : grants.find(actors, needed, terms)
    exchange.learn(
      'observed',
      observed.filter(o => o.approval || (o.grant && live === undefined)).map(o => o.control),
    )
    if (terms === undefined) return next()
    if (live === undefined) {
      const resource = needed[0]!.resource
      const actions = [...new Set(needed.map(access => access.action))]
      const ended = grants.ended(actors, needed)
      const ask = { resource, actions, longest: Math.floor(terms.longestMs / 1000), controls: terms.controls }
      const how = `counterfoil request ${resource} --action ${actions.join(',')} --for ${formatDuration(ask.longest * 1000)} --reason "..."`
      throw ended === undefined
        ? new Refusal('ERR_GRANT_REQUIRED', `a live grant is required (${terms.controls.join(', ')}); ask: ${how}`, ask)
        : new Refusal('ERR_GRANT_EXPIRED', `the grant ${ended.id} has ended; ask again: ${how}`, {
            ...ask,
            grant: ended.id,
          })
    }
    exchange.learn('grant', { id: live.id, until: live.until! })
    exchange.defer(grants.watch(live.id, reason => exchange.abort(reason)))
    if (exchange.session !== undefined) bind(exchange.session.id, live.id)
    return next()
  }
}
