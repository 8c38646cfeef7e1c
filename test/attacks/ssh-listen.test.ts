/**
 * A port that a host listens on for a client is a way in: nothing is listened on that is not listed, however it is spelt, nor for longer.
 */
import { connect } from 'node:net'
import type { Client, ClientChannel } from 'ssh2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { type Setup, type Sshd, setUp, sshd } from '../adapters/ssh/support.ts'
import { dba, requester } from '../support/guard.ts'
import { without } from '../support/interop.ts'
import { freePort } from '../support/samples.ts'

const base = (host: Sshd) => `crm/web1/${host.user}`
const listen = (client: Client, address: string, port: number) =>
  new Promise<number | string>(resolve => {
    client.forwardIn(address, port, (error, chosen) => resolve(error?.message ?? chosen))
  })
/** Whether somebody takes the connection, and keeps it. */
const reaches = (port: number) =>
  new Promise<string>(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.once('data', data => {
      resolve(data.toString())
      socket.destroy()
    })
    socket.once('close', () => resolve(''))
  })

describe.skipIf(without('sshd'))('a port that the host listens on', () => {
  let host: Sshd
  let at: Setup
  let allowed: number
  const grant: Control = {
    ...{ id: 'AC-03', title: 'AC-03', criteria: ['CC6.1'], mode: 'enforce', tests: 'auto' },
    ...{ covers: { resource: 'crm/web1/*/listen/**' }, require: { grant: { longestMs: 60_000, reason: false } } },
  }
  beforeAll(async () => {
    host = await sshd()
    allowed = Number(await freePort())
  })
  afterAll(async () => {
    await host.stop()
  })

  const open = async (rules: readonly string[], controls: readonly Control[] = []) => {
    const parts = { rules: `${rules.join('\n')}\n` }
    at = await setUp({ web1: host.host }, controls, parts)
    return at.client()
  }
  const lines = (resource: string) => [
    `p, requester@crm.example, ${base(host)}/exec, exec, allow`,
    `p, requester@crm.example, ${base(host)}/listen/${resource}, listen, allow`,
  ]
  const verdicts = async () =>
    (await at.of('decision')).map(({ verdict, accesses }) => `${verdict} ${accesses[0]?.resource ?? ''}`)

  it('is the one that is listed: no other port, no other address, no spelling of all of them', async () => {
    const client = await open(lines(`127.0.0.1:${allowed}`))
    const tried = ['', '*', '0.0.0.0', '::', '127.1', '0x7f.1', '2130706433', 'localhost', '::1', 'EXAMPLE.com.']
    for (const address of tried)
      expect([address, await listen(client, address, allowed)]).toEqual([address, expect.stringContaining('Unable')])
    expect(await listen(client, '127.0.0.1', 0)).toContain('Unable')
    expect((await verdicts()).every(verdict => verdict.startsWith('deny'))).toBe(true)
    expect(await reaches(allowed)).toBe('')
    expect(await listen(client, '127.0.0.1', allowed)).toBe(allowed)
    await at.close()
  })

  it('brings nothing any more once policy does not permit it, though it is listened on still', async () => {
    const client = await open(lines('**'))
    client.on('tcp connection', (_, accept: () => ClientChannel) => void accept().end('hello'))
    const port = (await listen(client, 'localhost', 0)) as number
    expect(await reaches(port)).toBe('hello')
    await at.guard.policy.reload({ rules: `p, requester@crm.example, ${base(host)}/exec, exec, allow\n`, controls: [] })
    expect(await reaches(port)).toBe('')
    await at.close()
  })

  it('is none under a mask, which what comes through could not be held to', async () => {
    const mask: Control = {
      ...{ id: 'CF-01', title: 'CF-01', criteria: ['C1.1'], mode: 'enforce', tests: 'auto' },
      ...{ covers: { resource: 'crm/web1/**' }, mask: { '*': 'detect' } },
    }
    const client = await open(lines('**'), [mask])
    expect(await listen(client, 'localhost', allowed)).toContain('Unable')
    expect(await reaches(allowed)).toBe('')
    await at.close()
  })

  it('is closed with the grant that it was opened under', async () => {
    const client = await open(
      [...lines('**'), 'p, role:dba, crm/**, *, allow', 'g, dba@crm.example, role:dba'],
      [grant],
    )
    client.on('tcp connection', (_, accept: () => ClientChannel) => void accept().end('hello'))
    expect(await listen(client, 'localhost', allowed)).toContain('Unable')
    expect((await at.of('decision')).at(-1)).toMatchObject({ verdict: 'deny', code: 'ERR_GRANT_REQUIRED' })
    const { desk } = at.guard
    const asked = { resource: `${base(host)}/listen/localhost:${allowed}`, actions: ['listen'], seconds: 2 }
    await desk.approve(dba, await desk.request(requester, asked))
    expect(await listen(client, 'localhost', allowed)).toBe(allowed)
    expect(await reaches(allowed)).toBe('hello')
    const closed = new Promise<number>(resolve => client.once('close', () => resolve(Date.now())))
    const until = Date.parse((await at.of('grant-decided'))[0]!.until!)
    expect((await closed) - until).toBeLessThan(1000)
    await expect.poll(() => reaches(allowed), { timeout: 10_000 }).toBe('')
    expect((await at.of('outcome')).map(({ code }) => code)).toContain('ERR_GRANT_EXPIRED')
    await at.close()
  })
})
