/** Ways to read over sftp what is under a mask or a denial: other names for it, handles of another kind, packets that are none. */
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client, ClientChannel } from 'ssh2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Fields, flag, Packets, packet, string, type, uint32 } from '../../adapters/ssh/sftp/packets.ts'
import { Inlet } from '../../adapters/ssh/streams.ts'
import { type Setup, type Sshd, setUp, sshd } from '../adapters/ssh/support.ts'
import { maskControl } from '../support/guard.ts'
import { findTool } from '../support/interop.ts'

interface Said {
  readonly type: number
  readonly id: number
  readonly rest: Buffer
}

/** An sftp session that sends what it likes. */
async function raw(client: Client) {
  const channel = await new Promise<ClientChannel>((resolve, reject) =>
    client.subsys('sftp', (error, made) => (error ? reject(error) : resolve(made))),
  )
  const packets = new Packets(new Inlet({ in: channel }))
  const never = new AbortController().signal
  const next = () => packets.next(never)
  channel.write(packet(type.init, uint32(3)))
  await next()
  let ids = 0
  return {
    channel,
    next,
    ask: async (of: number, ...parts: Buffer[]): Promise<Said> => {
      channel.write(packet(of, uint32(ids++), ...parts))
      const found = await next()
      if (found === undefined) throw new Error('the session ended')
      const fields = new Fields(found.body)
      return { type: found.type, id: fields.uint32(), rest: fields.rest() }
    },
  }
}

const statusOf = ({ type: of, rest }: Said) => (of === type.status ? new Fields(rest).uint32() : undefined)
const denied = 3

describe.skipIf(findTool('sshd') === undefined)('over sftp', () => {
  let host: Sshd
  let at: Setup
  let data: string
  let client: Client

  beforeAll(async () => {
    host = await sshd()
    data = join(host.folder, 'data')
    for (const folder of ['masked', 'searched']) {
      mkdirSync(join(data, folder), { recursive: true })
      writeFileSync(join(data, folder, 'customers'), '123-45-0001')
    }
    const under = (folder: string) => ({ resource: `crm/web1/${host.user}/sftp${data}/${folder}/**` })
    at = await setUp({ web1: host.host }, [
      { ...maskControl, covers: under('masked') },
      { ...maskControl, id: 'CF-02', covers: under('searched'), mask: { '*': 'detect' } },
    ])
    client = await at.client()
  })
  afterAll(async () => {
    await at.close()
    await host.stop()
  })

  const path = (name: string) => string(`${data}/${name}`)
  const noAttributes = uint32(0)

  it('what is under a mask is not read', async () => {
    const { ask } = await raw(client)
    expect(statusOf(await ask(type.open, path('masked/customers'), uint32(flag.read), noAttributes))).toBe(denied)
    expect((await at.of('outcome')).at(-1)).toMatchObject({ code: 'ERR_OBLIGATION_UNMET', bytes: 0 })
  })

  it('what is under a mask that looks for patterns is not read either: reads come by offset, in any order', async () => {
    const { ask } = await raw(client)
    expect(statusOf(await ask(type.open, path('searched/customers'), uint32(flag.read), noAttributes))).toBe(denied)
    expect((await at.of('outcome')).at(-1)).toMatchObject({ code: 'ERR_OBLIGATION_UNMET', bytes: 0 })
    // Its length is told as it is: it says nothing of what the file holds.
    expect(statusOf(await ask(type.stat, path('searched/customers')))).toBeUndefined()
  })

  it('it is not given another name, where it could be read', async () => {
    const { ask } = await raw(client)
    const extended = (name: string, from: string, to: string) => ask(type.extended, string(name), path(from), path(to))
    const tried = {
      rename: await ask(type.rename, path('masked/customers'), path('a')),
      posix: await extended('posix-rename@openssh.com', 'masked/customers', 'b'),
      hard: await extended('hardlink@openssh.com', 'masked/customers', 'c'),
      soft: await ask(type.symlink, path('masked/customers'), path('d')),
      turned: await ask(type.symlink, path('e'), path('masked/customers')),
      relative: await ask(type.symlink, string('masked/customers'), path('f')),
      folder: await ask(type.rename, path('masked'), path('g')),
      above: await ask(type.rename, string(data), string(`${data}-moved`)),
      linked: await ask(type.symlink, string(data), path('masked-too')),
    }
    for (const [way, said] of Object.entries(tried)) expect(statusOf(said), way).toBe(denied)
    for (const name of 'abcdefg') expect(existsSync(join(data, name)), name).toBe(false)
    expect((await at.of('outcome')).slice(-9).every(({ code }) => code === 'ERR_OBLIGATION_UNMET')).toBe(true)
    writeFileSync(join(data, 'free'), 'x')
    expect(statusOf(await ask(type.rename, path('free'), path('freed')))).toBe(0)
  })

  it('a handle for writing shows nothing, and one for reading writes nothing', async () => {
    const { ask } = await raw(client)
    writeFileSync(join(data, 'file'), 'content')
    const opened = async (flags: number) => {
      const said = await ask(type.open, path('file'), uint32(flags), noAttributes)
      return string(new Fields(said.rest).string())
    }
    const [writing, reading] = [await opened(flag.write), await opened(flag.read)]
    const from = Buffer.alloc(8)
    expect(statusOf(await ask(type.read, writing, from, uint32(100)))).toBe(denied)
    expect(statusOf(await ask(type.write, reading, from, string('changed')))).toBe(denied)
    expect(statusOf(await ask(type.readdir, reading))).toBe(denied)
    expect(readFileSync(join(data, 'file'), 'utf8')).toBe('content')
  })

  it("a handle that was closed, or is another session's, opens nothing", async () => {
    const [one, other] = [await raw(client), await raw(client)]
    const said = await one.ask(type.opendir, string(data))
    const handle = string(new Fields(said.rest).string())
    expect(statusOf(await other.ask(type.readdir, handle))).toBe(4)
    expect(statusOf(await one.ask(type.close, handle))).toBe(0)
    expect(statusOf(await one.ask(type.readdir, handle))).toBe(4)
  })

  it('what is not in the table is not sent on', async () => {
    const { ask } = await raw(client)
    expect(statusOf(await ask(type.extended, string('copy-data'), uint32(0)))).toBe(8)
    expect(statusOf(await ask(99, string('x')))).toBe(8)
    expect(statusOf(await ask(type.open, string(Buffer.from('/etc/pass\0wd')), uint32(flag.read), noAttributes))).toBe(
      denied,
    )
  })

  it.each([
    ['a length of zero', Buffer.from([0, 0, 0, 0, 0])],
    ['a length without end', Buffer.from([0xff, 0xff, 0xff, 0xff, 3])],
    ['a string that is longer than its packet', packet(type.stat, uint32(1), uint32(1000))],
    ['no id', packet(type.stat)],
  ])('%s ends the session', async (_, bytes) => {
    const { channel, next } = await raw(client)
    const closed = once(channel, 'close')
    channel.stderr.resume()
    channel.write(bytes)
    expect(await next()).toBeUndefined()
    await closed
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'failed' })
  })
})
