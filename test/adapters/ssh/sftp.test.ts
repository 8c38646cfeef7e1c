/** sftp through the gateway to OpenSSH's own server, asked by ssh2: what is judged, and what is recorded of it. */
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Client, SFTPWrapper } from 'ssh2'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { without } from '../../support/interop.ts'
import { type Setup, type Sshd, setUp, sshd } from './support.ts'

const open = (client: Client) => promisify<SFTPWrapper>(client.sftp.bind(client) as never)()

const rulesFor = (base: string, data: string) => `
p, role:support, ${base}/sftp/**, subsystem, allow
p, role:support, ${base}/sftp/**, stat, allow
p, role:support, ${base}/sftp${data}/**, *, allow
p, role:support, ${base}/sftp${data}/closed/**, read, deny
g, requester@crm.example, role:support
`

describe.skipIf(without('sshd'))('sftp to a real host, with sshd', () => {
  let host: Sshd
  let at: Setup
  let data: string
  let base: string
  let sftp: SFTPWrapper

  beforeAll(async () => {
    host = await sshd()
    data = join(host.folder, 'data')
    base = `crm/web1/${host.user}`
    at = await setUp({ web1: host.host }, [], { rules: rulesFor(base, data) })
    sftp = await open(await at.client())
  })
  afterAll(async () => {
    await at.close()
    await host.stop()
  })
  beforeEach(() => {
    rmSync(data, { recursive: true, force: true })
    mkdirSync(join(data, 'closed'), { recursive: true })
  })

  const lastDecision = async () => (await at.of('decision')).at(-1)!
  const lastOutcome = async () => (await at.of('outcome')).at(-1)!
  /** An error's SFTP status and text. */
  const failure = (wait: Promise<unknown>) =>
    wait.then(
      () => undefined,
      ({ code, message }: { code: number; message: string }) => ({ code, message }),
    )
  const read = (path: string) => promisify<string, Buffer>(sftp.readFile.bind(sftp) as never)(path)
  const write = (path: string, text: string) =>
    promisify<string, string, void>(sftp.writeFile.bind(sftp) as never)(path, text)

  it('reads a file whole, as one exchange that counts its bytes', async () => {
    const text = 'Customer 0001\n'.repeat(10_000)
    writeFileSync(join(data, 'customers.csv'), text)
    expect((await read(`${data}/customers.csv`)).toString()).toBe(text)
    expect(await lastDecision()).toMatchObject({
      ...{ verdict: 'permit', read: true, risk: 'low' },
      accesses: [{ action: 'read', resource: `${base}/sftp${data}/customers.csv` }],
    })
    expect(await lastOutcome()).toMatchObject({ result: 'completed', bytes: text.length, settled: 'nothing' })
  })

  it('writes a file whole, as one exchange that counts its bytes and says that they stand', async () => {
    const text = 'x'.repeat(300_000)
    await write(`${data}/new.txt`, text)
    expect(readFileSync(join(data, 'new.txt'), 'utf8')).toBe(text)
    expect(await lastDecision()).toMatchObject({ read: false, accesses: [{ action: 'write' }] })
    expect(await lastOutcome()).toMatchObject({ result: 'completed', bytes: text.length, settled: 'committed' })
  })

  it('lists, makes, renames and removes, each an exchange of its own', async () => {
    const call = <T>(name: 'mkdir' | 'rename' | 'unlink' | 'rmdir' | 'readdir' | 'chmod', ...of: unknown[]) =>
      promisify<unknown[], T>(((args: unknown[], done: never) =>
        (sftp[name] as (...all: unknown[]) => void)(...args, done)) as never)(of)
    writeFileSync(join(data, 'a'), 'x')
    await call('mkdir', `${data}/sub`)
    await call('rename', `${data}/a`, `${data}/sub/b`)
    const listed = await call<{ filename: string }[]>('readdir', `${data}/sub`)
    expect(listed.map(({ filename }) => filename)).toContain('b')
    await call('chmod', `${data}/sub/b`, 0o600)
    await call('unlink', `${data}/sub/b`)
    await call('rmdir', `${data}/sub`)
    const seen = (await at.of('decision'))
      .slice(-6)
      .map(({ accesses, risk }) => [accesses[0]!.action, accesses.length, risk])
    expect(seen).toEqual([
      ['mkdir', 1, 'low'],
      ['rename', 2, 'high'],
      ['list', 1, 'low'],
      ['setstat', 1, 'high'],
      ['remove', 1, 'high'],
      ['rmdir', 1, 'high'],
    ])
    expect(existsSync(join(data, 'sub'))).toBe(false)
  })

  it('what the host refuses is told as the host says it, and recorded as failed', async () => {
    expect(await failure(read(`${data}/missing`))).toMatchObject({ code: 2 })
    expect(await lastOutcome()).toMatchObject({ result: 'failed', code: 'sftp-no-such-file' })
  })

  it('what policy refuses never reaches the host, and names the exchange', async () => {
    writeFileSync(join(data, 'closed', 'secret'), 'hidden')
    const refused = await failure(read(`${data}/closed/secret`))
    const decision = await lastDecision()
    expect(decision).toMatchObject({ verdict: 'deny', code: 'ERR_ACCESS_DENIED' })
    expect(refused).toMatchObject({ code: 3, message: expect.stringContaining(decision.exchange) })
  })

  it.each([
    ['dot segments', (to: string) => `${data}/other/../closed/${to}`],
    ['doubled slashes', (to: string) => `${data}//closed///${to}`],
    [
      'a symbolic link to the file',
      (to: string) => {
        symlinkSync(`${data}/closed/${to}`, `${data}/link`)
        return `${data}/link`
      },
    ],
    [
      'a symbolic link to the folder',
      (to: string) => {
        symlinkSync(`${data}/closed`, `${data}/way`)
        return `${data}/way/${to}`
      },
    ],
    [
      'dots behind a symbolic link',
      (to: string) => {
        mkdirSync(`${data}/closed/deep`)
        symlinkSync(`${data}/closed/deep`, `${data}/deep`)
        return `${data}/deep/../${to}`
      },
    ],
  ])('%s lead to no other judgement', async (_, way) => {
    mkdirSync(`${data}/other`)
    writeFileSync(join(data, 'closed', 'secret'), 'hidden')
    expect(await failure(read(way('secret')))).toMatchObject({ code: 3 })
    expect(await lastDecision()).toMatchObject({ verdict: 'deny' })
  })
})
