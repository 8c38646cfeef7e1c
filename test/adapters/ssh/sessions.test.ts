/** What runs on the SSH gateway's channels: terminals, signals, many at once, hosts that fail, approvals, masks. */
import { once } from 'node:events'
import type { Client, ClientChannel, ServerChannel } from 'ssh2'
import { afterEach, describe, expect, it } from 'vitest'
import type { Control } from '../../../lib/control.ts'
import { decodeEvents } from '../../../lib/format/timeline.ts'
import { approvalControl, dba, maskControl } from '../../support/guard.ts'
import { without } from '../../support/interop.ts'
import { type Behaviour, type FakeHost, fakeHost } from './host.ts'
import { exec, finished, keyPair, type Setup, type Sshd, setUp, sshd } from './support.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function inFrontOf(behaviour: Behaviour, controls: readonly Control[] = [], pinned?: string) {
  const host: FakeHost = await fakeHost(behaviour, pinned)
  closing.push(host.close)
  const at: Setup = await setUp({ web1: host.host }, controls)
  closing.push(at.close)
  return { host, at, client: await at.client() }
}

const say = (text: string) => (_: string, channel: ServerChannel) => {
  channel.resume()
  channel.write(text, () => {
    channel.exit(0)
    channel.end()
  })
}
const shell = (client: Client, terminal: object | false = {}) =>
  new Promise<ClientChannel>((resolve, reject) =>
    client.shell(terminal as never, (error, channel) => (error ? reject(error) : resolve(channel))),
  )
const started = (client: Client, command: string, options: object = {}) =>
  new Promise<ClientChannel>((resolve, reject) =>
    client.exec(command, options, (error, channel) => (error ? reject(error) : resolve(channel))),
  )

describe.skipIf(without('sshd'))('on a real host, with sshd', () => {
  const open = async () => {
    const host: Sshd = await sshd()
    closing.push(host.stop)
    const at = await setUp({ web1: host.host })
    closing.push(at.close)
    return at.client()
  }

  it('a terminal has the size and the modes that were asked for, and follows when it changes', async () => {
    const client = await open()
    const channel = await started(client, 'stty size; stty -a | grep -o -- "-echo "; read x; stty size', {
      pty: { rows: 30, cols: 100, term: 'xterm', modes: { ECHO: 0 } },
    })
    const over = finished(channel)
    await once(channel, 'data')
    channel.setWindow(50, 120, 0, 0)
    channel.write('\n')
    const { stdout } = await over
    expect(stdout.split(/\s+/).filter(Boolean)).toEqual(['30', '100', '-echo', '50', '120'])
  })
})

describe('a signal', () => {
  it('reaches the command, by its name', async () => {
    const { client } = await inFrontOf({
      exec: (_, channel, __, session) => {
        session.on('signal', (___, ____, { name }) => say(`got ${name}`)('', channel))
        channel.write('ready')
      },
    })
    const channel = await started(client, 'wait')
    const over = finished(channel)
    await once(channel, 'data')
    channel.signal('USR1')
    expect(await over).toMatchObject({ stdout: 'readygot USR1', status: 0 })
  })

  it('is sent to a command that is cut', async () => {
    const signals: string[] = []
    const { at, client } = await inFrontOf({
      exec: (_, channel, __, session) => {
        session.on('signal', (___, ____, { name }) => signals.push(name))
        channel.write('ready')
      },
    })
    const channel = await started(client, 'wait')
    await once(channel, 'data')
    await at.guard.policy.reload({ rules: 'p, nobody@crm.example, crm/**, *, allow', controls: [] })
    expect((await finished(channel)).stderr).toContain('ERR_ACCESS_DENIED: the policy has changed')
    await expect.poll(() => signals).toEqual(['TERM'])
  })
})

describe('a host', () => {
  it('is reached only when something is permitted there, and once for all channels of a client', async () => {
    const { host, at, client } = await inFrontOf({ exec: say('x') })
    const other = await at.client({ username: 'web1', password: 'owner@crm.example' })
    expect((await exec(other, 'id')).stderr).toContain('ERR_ACCESS_DENIED')
    expect(host.connections()).toBe(0)
    await Promise.all([exec(client, 'a'), exec(client, 'b'), exec(client, 'c')])
    expect(host.connections()).toBe(1)
  })

  it('that shows another key than the pinned one is sent nothing, and the attempt is recorded', async () => {
    let asked = 0
    const { at, client } = await inFrontOf(
      { exec: () => (asked += 1), connected: c => c.on('authentication', () => (asked += 1)) },
      [],
      keyPair().public,
    )
    const { status, stderr } = await exec(client, 'id')
    expect({ status, asked }).toEqual({ status: 69, asked: 0 })
    expect(stderr).toContain('ERR_UPSTREAM: web1 shows another host key than the one that is pinned')
    expect(await at.of('outcome')).toMatchObject([{ result: 'failed', code: 'ERR_UPSTREAM' }])
  })

  it('that dies in the middle of a command fails it, and is reached anew for the next', async () => {
    let first = true
    const { host, at, client } = await inFrontOf({
      connected: connection =>
        connection.on('session', () => {
          if (first) setImmediate(() => connection.end())
          first = false
        }),
      exec: say('alive'),
    })
    expect((await exec(client, 'id')).status).toBe(69)
    expect(await exec(client, 'id')).toMatchObject({ stdout: 'alive', status: 0 })
    expect(host.connections()).toBe(2)
    expect((await at.of('outcome')).map(({ result }) => result)).toEqual(['failed', 'completed'])
  })

  it('that there is not is refused, however it is asked for', async () => {
    const { at } = await inFrontOf({})
    const client = await at.client({ username: 'root@web1' })
    expect(await exec(client, 'id')).toMatchObject({ status: 77, stderr: expect.stringContaining('no such login') })
    const sftp = await new Promise(resolve => client.sftp(error => resolve(error)))
    expect(sftp).toBeInstanceOf(Error)
    const forwarded = await new Promise<Error | undefined>(resolve =>
      client.forwardOut('127.0.0.1', 1, 'localhost', 1, resolve),
    )
    expect(forwarded?.message).toContain('ERR_ACCESS_DENIED')
    expect((await at.of('decision')).map(({ verdict }) => verdict)).toEqual(['deny', 'deny', 'deny'])
  })
})

describe('one connection', () => {
  it('has a hundred channels at once, and no more', async () => {
    const { client } = await inFrontOf({ exec: (_, channel) => channel.write('here') })
    const channels = await Promise.all(Array.from({ length: 100 }, () => started(client, 'stay')))
    await expect(started(client, 'stay')).rejects.toThrow('100 channels at once, and no more')
    const closed = once(channels[0]!.resume(), 'close')
    channels[0]!.close()
    await closed
    await expect
      .poll(() =>
        started(client, 'stay').then(
          () => 'in',
          () => 'out',
        ),
      )
      .toBe('in')
  })

  it('that asks for what is refused faster than it can be recorded is closed', async () => {
    const { at, client } = await inFrontOf({})
    // However it is closed: with what it still sends, it may be reset.
    const closed = new Promise<void>(resolve => client.once('close', () => resolve()))
    client.on('error', () => undefined)
    for (let asked = 0; asked < 2000; asked += 1) client.forwardIn('127.0.0.1', 0, () => undefined)
    await closed
    const decisions = await at.of('decision')
    expect(decisions.length).toBeGreaterThan(0)
    expect(decisions.length).toBeLessThan(1000)
  })
})

describe('output on both streams', () => {
  it('reaches a client that reads late, each byte once', async () => {
    const size = 6 * 1024 * 1024
    const { client } = await inFrontOf({
      exec: (_, channel) => {
        const bytes = Buffer.alloc(64 * 1024, 'o')
        let left = size / bytes.length
        const next = () => {
          if (left-- === 0) {
            channel.exit(0)
            channel.end()
          } else channel.write(bytes, () => channel.stderr.write(bytes, next))
        }
        next()
      },
    })
    const channel = await started(client, 'both')
    const counted = { stdout: 0, stderr: 0 }
    // One is left until its window is full, then the other.
    channel.on('data', (part: Buffer) => {
      counted.stdout += part.length
      if (counted.stdout > 1_000_000 && channel.stderr.listenerCount('data') === 0) {
        channel.stderr.on('data', (piece: Buffer) => {
          counted.stderr += piece.length
        })
      }
    })
    await once(channel, 'close')
    expect(counted).toEqual({ stdout: size, stderr: size })
  })
})

describe('an approval', () => {
  const approved = (action: string, waitMs = 30_000): Control => ({
    ...approvalControl,
    covers: { resource: 'crm/**', actions: [action] },
    require: { approval: { people: 1, from: 'role:dba', withinMs: 60_000, waitMs } },
  })

  it('for a command binds the command alone: what is typed into it does not reach it', async () => {
    let typed = ''
    const { at, client } = await inFrontOf(
      {
        exec: (command, channel) => {
          channel.on('data', (part: Buffer) => {
            typed += part
          })
          channel.once('end', () => say(`${command} ran`)(command, channel))
        },
      },
      [approved('exec')],
    )
    const channel = await started(client, 'sh')
    const over = finished(channel)
    channel.write('rm -rf /\n')
    await expect.poll(() => at.of('approval-requested')).toHaveLength(1)
    await at.guard.desk.approve(dba, (await at.of('approval-requested'))[0]!.approval)
    const { stdout, stderr, status } = await over
    expect({ stdout, status, typed }).toEqual({ stdout: 'sh ran', status: 0, typed: '' })
    expect(stderr).toContain('waiting for another person to approve this: a-')
  })

  it('that does not come leaves an exit status by which a script can tell that it may try again', async () => {
    const { client } = await inFrontOf({ exec: say('x') }, [approved('exec', 20)])
    expect(await exec(client, 'id')).toMatchObject({
      status: 75,
      stderr: expect.stringContaining('ERR_APPROVAL_PENDING'),
    })
  })

  it('for another environment or terminal is another one', async () => {
    const { at, client } = await inFrontOf({ exec: say('x') }, [approved('exec', 20)])
    await exec(client, 'id', { env: { LC_ALL: 'C' } })
    await exec(client, 'id', { env: { LC_ALL: 'C' } })
    await exec(client, 'id', { env: { LC_ALL: 'POSIX' } })
    await exec(client, 'id', { pty: true })
    expect(await at.of('approval-requested')).toHaveLength(3)
  })

  it('binds the terminal as it was: none comes after it was asked for', async () => {
    const terminals: unknown[] = []
    const { at, client } = await inFrontOf(
      {
        exec: (command, channel, _, session) => {
          terminals.push(session.listenerCount('pty'))
          say(command)('', channel)
        },
        pty: info => terminals.push(info),
      },
      [approved('exec')],
    )
    const channel = await started(client, 'id')
    const over = finished(channel)
    await expect.poll(() => at.of('approval-requested')).toHaveLength(1)
    const { _client, outgoing } = channel as unknown as {
      _client: { _protocol: { pty(...of: unknown[]): void } }
      outgoing: { id: number }
    }
    _client._protocol.pty(outgoing.id, 24, 80, 0, 0, 'xterm', null, false)
    // Answered behind it.
    await new Promise(resolve => client.forwardOut('127.0.0.1', 1, '0x7f.1', 1, resolve))
    await at.guard.desk.approve(dba, (await at.of('approval-requested'))[0]!.approval)
    expect(await over).toMatchObject({ stdout: 'id', status: 0 })
    expect(terminals).toEqual([1])
  })

  it('cannot be given for a shell, which is nothing but what is typed into it', async () => {
    const { at, client } = await inFrontOf({}, [approved('shell')])
    const channel = await shell(client)
    expect((await finished(channel)).stderr).toContain('ERR_OBLIGATION_UNMET')
    expect(await at.of('approval-requested')).toEqual([])
  })
})

describe('a mask', () => {
  it('anywhere behind the listener refuses what could show anything: commands and shells', async () => {
    const { host, at, client } = await inFrontOf(
      { exec: say('123-45-0001'), shell: channel => say('x')('', channel) },
      [{ ...maskControl, covers: { resource: 'crm/web2/*/sftp/srv/**' } }],
    )
    const { stdout, stderr } = await exec(client, 'cat /srv/customers')
    expect({ stdout, connections: host.connections() }).toEqual({ stdout: '', connections: 0 })
    expect(stderr).toContain('ERR_OBLIGATION_UNMET')
    expect((await finished(await shell(client))).stderr).toContain('ERR_OBLIGATION_UNMET')
    expect((await at.of('outcome')).every(({ bytes }) => bytes === 0)).toBe(true)
  })
})

describe('a mask that looks for patterns', () => {
  it('finds them in what is printed, across its pieces, and lets everything else through', async () => {
    const detect: Control = { ...maskControl, covers: { resource: 'crm/**' }, mask: { '*': 'detect' } }
    const { at, client } = await inFrontOf(
      {
        exec: (_, channel) => {
          channel.resume()
          channel.write('\u001b[1mssn\u001b[0m 123-45', () =>
            channel.write('-6789 of c1@customer.example\n', () => say('end')('', channel)),
          )
        },
      },
      [detect],
    )
    const { stdout, status } = await exec(client, 'cat customers')
    expect(status).toBe(0)
    expect(stdout).toContain('\u001b[1mssn\u001b[0m ')
    expect(stdout).not.toMatch(/123-45|-6789|c1@customer/)
    expect(stdout).toMatch(/end$/)
    expect((await at.of('outcome')).at(-1)!.masked?.join()).toMatch(/detect:email/)
  })

  it('lets no output through that counts its bytes: a masked copy would be another file', async () => {
    const detect: Control = { ...maskControl, covers: { resource: 'crm/**' }, mask: { '*': 'detect' } }
    const ran: string[] = []
    const { at, client } = await inFrontOf(
      {
        exec: (command, channel) => {
          ran.push(command)
          say('')('', channel)
        },
      },
      [detect],
    )
    const refused = [
      ...['scp -f notes', '/usr/bin/scp -r -p -f -- notes', 'scp -pf notes', ' scp -v -f notes'],
      ...[
        'rsync --server --sender . notes',
        "git-upload-pack 'x.git'",
        'git upload-pack x.git',
        '/usr/lib/sftp-server',
      ],
    ]
    for (const command of refused) {
      const { stderr, status } = await exec(client, command)
      expect({ command, status, stderr }).toMatchObject({
        status: 77,
        stderr: expect.stringContaining('ERR_OBLIGATION_UNMET'),
      })
    }
    expect(ran).toEqual([])
    expect((await exec(client, 'scp --help')).status).toBe(0)
    expect((await at.of('decision')).length).toBeGreaterThan(refused.length)
  })

  it('is what output can be held to; one that names a field is refused, and says what to do', async () => {
    const { client } = await inFrontOf({ exec: say('{"ssn":"123-45-6789"}') }, [
      { ...maskControl, id: 'CF-09', covers: { resource: 'crm/**' }, mask: { '*': 'detect', ssn: 'last4' } },
    ])
    const { stdout, stderr } = await exec(client, 'cat customers.json')
    expect(stdout).toBe('')
    expect(stderr).toContain(
      'text, which has no fields that a mask could name: let CF-09 cover less, or say "*": detect',
    )
  })
})

describe('a recording', () => {
  const recorded: Control = {
    ...{ id: 'RC-01', title: 'RC-01', criteria: ['CC7.2'], mode: 'enforce', tests: 'auto' },
    ...{ covers: { resource: 'crm/**' }, record: { response: 'masked' } },
  }

  it('of a shell is an asciicast: shown, typed but for a password, resized', async () => {
    const { at, client } = await inFrontOf(
      {
        shell: channel => {
          channel.write('[sudo] password for deploy: ')
          channel.once('data', () => channel.write('\r\n$ ', () => channel.once('data', () => say('bye')('', channel))))
        },
      },
      [recorded],
    )
    const channel = await shell(client, { rows: 30, cols: 100, term: 'xterm' })
    const over = finished(channel)
    await once(channel, 'data')
    channel.setWindow(50, 120, 0, 0)
    channel.write('hunter2\r')
    await once(channel, 'data')
    channel.write('exit\r')
    await over
    const [entry] = await at.of('attachment')
    expect(entry).toMatchObject({ part: 'terminal', type: 'application/x-asciicast' })
    const parts: Uint8Array[] = []
    for await (const part of at.ledger.attachment(entry!.attachment)) parts.push(part)
    const text = Buffer.concat(parts).toString()
    expect(text).not.toContain('hunter2')
    const [head, ...events] = text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(head).toMatchObject({ version: 2, width: 100, height: 30, env: { TERM: 'xterm' } })
    const of = (code: string) =>
      events
        .filter(event => event[1] === code)
        .map(event => event[2])
        .join('')
    expect(of('o')).toContain('bye')
    expect(of('i')).toBe('[withheld]\rexit\r')
    expect(of('r')).toBe('120x50')
  })

  it('of a command is a timeline, with its input', async () => {
    const { at, client } = await inFrontOf(
      { exec: (_, channel) => void channel.once('data', () => say('seen')('', channel)) },
      [recorded],
    )
    await exec(client, 'cat', {}, 'given')
    const [entry] = await at.of('attachment')
    const events = []
    for await (const { channel, bytes } of decodeEvents(at.ledger.attachment(entry!.attachment))) {
      events.push(`${channel} ${Buffer.from(bytes)}`)
    }
    expect(events).toEqual(['head {"kind":"text"}\n', 'stdin given', 'stdout seen'])
  })

  describe('under a mask that looks for patterns', () => {
    const masked: Control = { ...maskControl, covers: { resource: 'crm/**' }, mask: { '*': 'detect' } }
    const bytesOf = async (at: Setup) => {
      const parts: Uint8Array[] = []
      for await (const part of at.ledger.attachment((await at.of('attachment'))[0]!.attachment)) parts.push(part)
      return Buffer.concat(parts)
    }
    const personal = ['078-05-1120', 'c1@customer.example', '4111111111111111']

    it('keys that are typed one at a time reach the host at once, and are kept masked', async () => {
      let typed = ''
      const { at, client } = await inFrontOf(
        {
          shell: channel => {
            channel.write('$ ')
            channel.on('data', (part: Buffer) => {
              typed += part
              if (typed.endsWith('exit\r')) say('bye')('', channel)
            })
          },
        },
        [recorded, masked],
      )
      const channel = await shell(client, { term: 'xterm' })
      const over = finished(channel)
      await once(channel, 'data')
      let sent = ''
      for (const key of `find ${personal.join(' or ')}`) {
        sent += key
        channel.write(key)
        await expect.poll(() => typed, { interval: 1 }).toBe(sent)
      }
      channel.write('\rexit\r')
      await over
      const recording = await bytesOf(at)
      for (const value of personal) expect(recording.includes(value)).toBe(false)
      const events = recording
        .toString()
        .trim()
        .split('\n')
        .slice(1)
        .map(line => JSON.parse(line) as [number, string, string])
      const input = events.filter(([, code]) => code === 'i').map(([, , text]) => text)
      expect(input.join('')).toBe('find [ssn] or [email] or [card]\rexit\r')
      // Words are kept as they are whole, not all of them at the end.
      expect(input.length).toBeGreaterThan(1)
    })

    it('what a command is given on its input is kept masked, wherever it is cut', async () => {
      let heard = ''
      const { at, client } = await inFrontOf(
        {
          exec: (_, channel) => {
            channel.on('data', (part: Buffer) => {
              heard += part
            })
            channel.once('end', () => say('done')('', channel))
          },
        },
        [recorded, masked],
      )
      const channel = await started(client, 'cat')
      const over = finished(channel)
      for (const part of ['it is 078-', '05-11', '20, of c1@customer', '.example']) {
        channel.write(part)
        await expect.poll(() => heard, { interval: 1 }).toContain(part)
      }
      channel.end()
      await over
      const recording = await bytesOf(at)
      for (const value of personal) expect(recording.includes(value)).toBe(false)
      let kept = ''
      for await (const { channel: of, bytes } of decodeEvents(
        at.ledger.attachment((await at.of('attachment'))[0]!.attachment),
      ))
        if (of === 'stdin') kept += Buffer.from(bytes)
      expect(kept).toBe('it is [ssn], of [email]')
    })
  })
})
