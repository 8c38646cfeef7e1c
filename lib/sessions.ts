/** Live sessions: recorded when they open and close, and cut when a grant they used or their identification ends. */
import { setMaxListeners } from 'node:events'
import type { Clock } from './clock.ts'
import { isOurs } from './errors.ts'
import { uuidv7 } from './format/entry.ts'
import type { OpenSession, SessionParts } from './gate.ts'
import type { Grantbook } from './grants/grantbook.ts'
import { watchIdentity } from './identity/lapse.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Principals } from './principals.ts'

interface Parts {
  readonly ledger: Ledger
  readonly principals: Principals
  readonly grants: Grantbook
  readonly clock: Clock
}

interface Live {
  readonly controller: AbortController
  readonly undo: Map<string, () => void>
  closed?: Promise<void>
}

export class Sessions {
  readonly #parts: Parts
  readonly #live = new Map<string, Live>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async open({ subject, protocol, target, tls, address, client }: SessionParts): Promise<OpenSession> {
    const { ledger, principals, clock } = this.#parts
    const actors = await principals.actors(subject)
    const id = uuidv7(clock.now())
    const { method, strength, credential, issuer } = subject
    await ledger.append([
      {
        kind: 'session-opened',
        session: id,
        ...actors,
        protocol,
        target,
        method,
        strength,
        credential,
        tls,
        disclose: { address, client, issuer },
        slot: `session:${id}`,
      },
    ])
    const live: Live = { controller: new AbortController(), undo: new Map() }
    // Every exchange in flight listens to it, however many there are.
    setMaxListeners(0, live.controller.signal)
    this.#live.set(id, live)
    live.undo.set(
      'identity',
      watchIdentity(subject, clock, reason => live.controller.abort(reason)),
    )
    return {
      id,
      subject,
      signal: live.controller.signal,
      close: reason => {
        live.closed ??= this.#close(id, live, reason)
        return live.closed
      },
    }
  }

  /** From now on the end of this grant is the end of the session. */
  bind(id: string, grant: string): void {
    const live = this.#live.get(id)
    if (live === undefined || live.undo.has(grant)) return
    live.undo.set(grant, () => undefined)
    live.undo.set(
      grant,
      this.#parts.grants.watch(grant, reason => live.controller.abort(reason)),
    )
  }

  /** Cuts every session, as the guard stops. */
  cut(reason: unknown): void {
    for (const { controller } of this.#live.values()) controller.abort(reason)
  }

  async #close(id: string, live: Live, reason: string): Promise<void> {
    this.#live.delete(id)
    for (const undo of live.undo.values()) undo()
    const cut: unknown = live.controller.signal.reason
    const grant = isOurs(cut) ? (cut.data.grant as string | undefined) : undefined
    await this.#parts.ledger.append([
      {
        kind: 'session-closed',
        session: id,
        reason: grant === undefined ? reason : howItEnded(cut),
        grant,
      },
    ])
  }
}

const howItEnded = (cut: unknown) => (isOurs(cut) && cut.data.how === 'revoked' ? 'grant-revoked' : 'grant-lapsed')
