import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { ask, fixture, json, operation, owner, requester } from '../support/guard.ts'

describe('the signal of an exchange', () => {
  it('follows its session while it runs, and leaves nothing on the session when it is over', async () => {
    const at = await fixture([])
    const session = await at.guard.openSession({ subject: requester, protocol: 'test', target: 'crm', tls: false })
    for (let i = 0; i < 3; i += 1) {
      const exchange = at.guard.exchange({ operation: operation(), session })
      expect(getEventListeners(session.signal, 'abort')).toHaveLength(1)
      await at.guard.handle(
        exchange,
        () => json('{}'),
        () => undefined,
      )
      const refused = at.guard.exchange({ operation: operation(), session })
      await at.guard.refuse(refused, new Error())
    }
    expect(getEventListeners(session.signal, 'abort')).toEqual([])
    const running = at.guard.exchange({ operation: operation(), session })
    await at.guard.close()
    expect(running.signal.aborted).toBe(true)
    expect(running.signal.reason).toMatchObject({ code: 'ERR_UPSTREAM' })
  })

  it('is cut from the start where its session is', async () => {
    const at = await fixture([])
    const cut = new Error('cut')
    const exchange = at.guard.exchange({ operation: operation(), subject: requester, signal: AbortSignal.abort(cut) })
    expect(exchange.signal.reason).toBe(cut)
    await expect(ask(at, requester)).resolves.toBeDefined()
  })
})

describe('the subject of an exchange', () => {
  it('is who it was when it was given, whatever the application makes of that object since', async () => {
    const at = await fixture([])
    const reused = { ...owner }
    const exchange = at.guard.exchange({ operation: operation(), subject: reused })
    Object.assign(reused, requester)
    const asked = at.guard.handle(
      exchange,
      () => json('{}'),
      () => undefined,
    )
    await expect(asked).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' })
    await at.guard.close()
  })
})
