/** The SSH gateway in front of OpenSSH's own server, asked by ssh2. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { without } from '../../support/interop.ts'
import { exec, type Setup, type Sshd, setUp, sshd } from './support.ts'

describe.skipIf(without('sshd'))('commands on a real host, with sshd', () => {
  let host: Sshd
  let at: Setup
  beforeAll(async () => {
    host = await sshd()
    at = await setUp({ web1: host.host })
  })
  afterAll(async () => {
    await at.close()
    await host.stop()
  })

  it('run on the host that was named, and give back output, errors and exit status', async () => {
    const client = await at.client({ username: `${host.user}@web1` })
    expect(await exec(client, 'echo out; echo err >&2; exit 3')).toMatchObject({
      ...{ stdout: 'out\n', stderr: 'err\n', status: 3 },
    })
  })

  it('are recorded with the host, the login and how they ended', async () => {
    const client = await at.client()
    await exec(client, 'exit 4')
    expect((await at.of('decision')).at(-1)).toMatchObject({
      ...{ protocol: 'ssh', target: 'crm', verdict: 'permit', read: false },
      accesses: [{ action: 'exec', resource: `crm/web1/${host.user}/exec` }],
    })
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'failed', code: 'exit-4' })
  })

  it('get what is sent to them, and its end', async () => {
    expect(await exec(await at.client(), 'wc -c', {}, 'x'.repeat(300_000))).toMatchObject({ stdout: '300000\n' })
  })

  it('that die of a signal say so', async () => {
    expect(await exec(await at.client(), 'kill -TERM $$')).toMatchObject({ status: null, signal: 'SIGTERM' })
  })
})
