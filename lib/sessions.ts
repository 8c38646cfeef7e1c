/** Live sessions: recorded when they open and close, and cut when a grant they used ends or their identification expires. */
import type { Clock } from './clock.ts'
import { isOurs, Refusal } from './errors.ts'
import { uuidv7 } from './format/entry.ts'
import type { OpenSession, SessionParts } from './gate.ts'
import type { Grantbook } from './grants/grantbook.ts'
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

const longestTimer = 2 ** 31 - 1

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
    this.#live.set(id, live)
    if (subject.expires !== undefined) live.undo.set('expiry', this.#expire(live.controller, subject.expires))
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

  #expire(controller: AbortController, at: number): () => void {
    let timer: NodeJS.Timeout
    const arm = () => {
      const left = at - this.#parts.clock.now()
      if (left <= 0) {
        controller.abort(new Refusal('ERR_UNIDENTIFIED', 'the identification has expired: log in again'))
      } else {
        timer = setTimeout(arm, Math.min(left, longestTimer))
        timer.unref()
      }
    }
    arm()
    return () => clearTimeout(timer)
  }
}

const howItEnded = (cut: unknown) => (isOurs(cut) && cut.data.how === 'revoked' ? 'grant-revoked' : 'grant-lapsed')
