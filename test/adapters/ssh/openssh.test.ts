/** OpenSSH's own programs through the gateway to OpenSSH's own server, with nothing but a host name changed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import ssh2, { type ParsedKey } from 'ssh2'
import { afterAll, beforeAll, beforeEach, describe, expect } from 'vitest'
import { held } from '../../../conformance/held.ts'
import { sshKeys } from '../../../lib/identity/ssh-keys.ts'
import { findTool, interop } from '../../support/interop.ts'
import { freePort } from '../../support/samples.ts'
import { keyPair, login, requesterId, type Setup, type Sshd, setUp, sshd } from './support.ts'

const needed = ['sshd', 'ssh', 'sftp', 'scp']

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

describe('OpenSSH through the gateway', () => {
  let host: Sshd
  let at: Setup
  let files: string
  let data: string
  const children = new Set<ChildProcess>()

  const there = needed.every(tool => findTool(tool) !== undefined)
  beforeAll(async () => {
    if (!there) return
    host = await sshd()
    files = join(host.folder, 'client')
    data = join(host.folder, 'data')
    mkdirSync(files)
    const identity = keyPair()
    writeFileSync(join(files, 'id'), identity.private, { mode: 0o600 })
    writeFileSync(join(files, 'ssh-keys'), `${identity.public} ${requesterId}\n`)
    at = await setUp({ web1: host.host }, [], { gateway: { keys: sshKeys({ file: join(files, 'ssh-keys') }) } })
    const hostKey = at.hostKey.public
    writeFileSync(join(files, 'known_hosts'), `[127.0.0.1]:${at.port} ${hostKey}\n`)
    writeFileSync(
      join(files, 'config'),
      `Host gateway
  HostName 127.0.0.1
  Port ${at.port}
  User ${host.user}@web1
Host direct
  HostName 127.0.0.1
  Port ${host.port}
  User ${host.user}
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
Host *
  IdentityFile ${files}/id
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${files}/known_hosts
`,
    )
  })
  afterAll(async () => {
    if (!there) return
    for (const child of children) child.kill('SIGKILL')
    await at.close()
    await host.stop()
  })
  beforeEach(() => {
    if (!there) return
    rmSync(data, { recursive: true, force: true })
    mkdirSync(data)
  })

  const begin = (tool: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess => {
    const options = ['-F', join(files, 'config'), ...args]
    const child = spawn(findTool(tool)!, options, { stdio: 'pipe', env: { ...process.env, ...env } })
    children.add(child)
    return child
  }
  const end = (child: ChildProcess): Promise<Ended> => {
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name]!.setEncoding('utf8').on('data', (text: string) => {
        said[name] += text
      })
    return new Promise(resolve => {
      child.once('close', status => {
        children.delete(child)
        resolve({ ...said, status })
      })
    })
  }
  const run = (
    tool: string,
    args: readonly string[],
    input = '',
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ended> => {
    const child = begin(tool, args, env)
    child.stdin!.on('error', () => undefined)
    child.stdin!.end(input)
    return end(child)
  }
  const decisions = async (action: string) =>
    (await at.of('decision')).filter(({ accesses }) => accesses.some(access => access.action === action))

  interop(needed, 'ssh runs a command: output, errors, input, exit status', async () => {
    const ran = await run('ssh', ['gateway', 'cat; echo err >&2; exit 7'], 'typed')
    expect(ran).toMatchObject({ status: 7, stdout: 'typed', stderr: 'err\n' })
  })

  interop(needed, 'ssh logs in with an RSA key by SHA-2, and not by SHA-1', async () => {
    const pair = generateKeyPairSync('rsa', { modulusLength: 3072 })
    const path = join(files, 'rsa')
    writeFileSync(path, pair.privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 })
    const known = readFileSync(join(files, 'ssh-keys'), 'utf8')
    const own = ssh2.utils.parseKey(readFileSync(path)) as ParsedKey
    writeFileSync(join(files, 'ssh-keys'), `${known}ssh-rsa ${own.getPublicSSH().toString('base64')} ${requesterId}\n`)
    const by = (algorithm: string) =>
      run('ssh', ['-i', path, '-o', `PubkeyAcceptedAlgorithms=${algorithm}`, 'gateway', 'echo in'])
    expect(await by('rsa-sha2-512')).toMatchObject({ status: 0, stdout: 'in\n' })
    expect(await by('rsa-sha2-256')).toMatchObject({ status: 0, stdout: 'in\n' })
    expect(await by('ssh-rsa')).toMatchObject({ status: 255, stdout: '' })
    writeFileSync(join(files, 'ssh-keys'), known)
  })

  interop(needed, 'ssh -n runs a command whose input has ended before it starts', async () => {
    expect(await run('ssh', ['-n', 'gateway', 'echo done'])).toMatchObject({ status: 0, stdout: 'done\n' })
  })

  interop(needed, 'ssh hears of the signal that ended a command', async () => {
    expect(await run('ssh', ['gateway', 'kill -KILL $$'])).toMatchObject({ status: 255 })
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'failed', code: 'signal-KILL' })
  })

  interop(needed, 'ssh -tt has a terminal of its size, and a shell that is typed into', async () => {
    const child = begin('ssh', ['-tt', 'gateway'])
    child.stdin!.write('stty -a; tty; export PS1=; echo "$((40 + 2))"; exit 5\n')
    const { status, stdout } = await end(child)
    expect(stdout).toMatch(/\/dev\/pts\/\d+/)
    expect(stdout).toContain('42')
    expect(status).toBe(5)
    expect(await decisions('shell')).toMatchObject([
      { verdict: 'permit', accesses: [{ resource: expect.stringMatching(/\/shell$/) }] },
    ])
  })

  interop(needed, 'ssh sets only the environment that is allowed', async () => {
    const sent = ['-o', 'SetEnv=LC_COUNTERFOIL=kept SECRET=lost', 'gateway', 'echo "$LC_COUNTERFOIL-$SECRET"']
    expect(await run('ssh', sent)).toMatchObject({ stdout: 'kept-\n' })
  })

  interop(needed, 'ssh shows why it is refused, and which exchange that was', async () => {
    const { status, stderr } = await run('ssh', ['-l', 'web9', 'gateway', 'id'])
    const refused = (await at.of('decision')).at(-1)!
    expect(status).toBe(77)
    expect(stderr).toContain('ERR_ACCESS_DENIED')
    expect(stderr).toContain(refused.exchange)
    expect(refused).toMatchObject({ verdict: 'deny', accesses: [{ resource: 'crm/web9/-/exec' }] })
  })

  for (const [name, options] of [
    ['scp', []],
    ['scp -O', ['-O']],
  ] as const) {
    interop(needed, `${name} copies a tree both ways, with its modes and times`, async () => {
      const [from, back] = [join(files, 'tree'), join(files, 'back')]
      for (const folder of [from, back]) rmSync(folder, { recursive: true, force: true })
      mkdirSync(join(from, 'sub dir'), { recursive: true })
      writeFileSync(join(from, 'sub dir', 'ä file.txt'), 'text')
      writeFileSync(join(from, 'run.sh'), '#!/bin/sh\n')
      writeFileSync(join(from, 'empty'), '')
      chmodSync(join(from, 'run.sh'), 0o755)
      expect(await run('scp', [...options, '-rp', from, `gateway:${data}/`])).toMatchObject({ status: 0, stderr: '' })
      expect(await run('scp', [...options, '-rp', `gateway:${data}/tree`, back])).toMatchObject({
        status: 0,
        stderr: '',
      })
      expect(readFileSync(join(back, 'sub dir', 'ä file.txt'), 'utf8')).toBe('text')
      expect(readdirSync(back).sort()).toEqual(['empty', 'run.sh', 'sub dir'])
    })
  }

  interop(needed, 'sftp runs a batch', async () => {
    const local = join(files, 'local.txt')
    writeFileSync(local, 'content')
    const batch = [
      `cd ${data}`,
      'mkdir sub',
      `put ${local} sub/one.txt`,
      'rename sub/one.txt sub/two.txt',
      'ln -s two.txt sub/soft',
      'ln sub/two.txt sub/hard',
      'chmod 600 sub/two.txt',
      'ls -l sub',
      'df sub',
      `get sub/soft ${local}.back`,
      'rm sub/soft',
      'rm sub/hard',
      'rm sub/two.txt',
      'rmdir sub',
      'pwd',
    ]
    const { status, stdout, stderr } = await run('sftp', ['-b', '-', 'gateway'], `${batch.join('\n')}\n`)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(`Remote working directory: ${data}`)
    expect(readFileSync(`${local}.back`, 'utf8')).toBe('content')
    expect(existsSync(join(data, 'sub'))).toBe(false)
    for (const action of ['symlink', 'hardlink', 'rename', 'remove', 'rmdir', 'mkdir', 'setstat', 'list'])
      expect((await decisions(action)).length, action).toBeGreaterThan(0)
  })

  interop([...needed, 'rsync'], 'rsync copies a tree there and back, and finds nothing to do then', async () => {
    const [from, back] = [join(files, 'rsync'), join(files, 'rsync.back')]
    mkdirSync(join(from, 'sub'), { recursive: true })
    writeFileSync(join(from, 'sub', 'file'), 'x'.repeat(3_000_000))
    const over = `${findTool('ssh')} -F ${files}/config`
    const rsync = async (...args: string[]) => {
      const child = spawn(findTool('rsync')!, ['-ai', '-e', over, ...args])
      children.add(child)
      return end(child)
    }
    expect(await rsync(`${from}/`, `gateway:${data}/copy/`)).toMatchObject({ status: 0, stderr: '' })
    expect(await rsync(`gateway:${data}/copy/`, back)).toMatchObject({ status: 0, stderr: '' })
    expect(await rsync(`${from}/`, `gateway:${data}/copy/`)).toMatchObject({ status: 0, stdout: '' })
    expect(readFileSync(join(back, 'sub', 'file')).length).toBe(3_000_000)
  })

  interop([...needed, 'git'], 'git pushes and clones', async () => {
    const work = join(files, 'repository')
    const env = {
      ...process.env,
      ...{ GIT_SSH_COMMAND: `${findTool('ssh')} -F ${files}/config`, GIT_CONFIG_GLOBAL: '/dev/null' },
      ...{ GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@crm.example', GIT_COMMITTER_NAME: 'a' },
      ...{ GIT_COMMITTER_EMAIL: 'a@crm.example' },
    }
    const git = async (...args: string[]) => {
      const child = spawn(findTool('git')!, args, { env })
      children.add(child)
      const { status, stderr } = await end(child)
      expect({ args, status, stderr: status === 0 ? '' : stderr }).toEqual({ args, status: 0, stderr: '' })
    }
    await git('init', '-q', '--bare', join(data, 'bare'))
    await git('init', '-q', work)
    writeFileSync(join(work, 'file'), 'content')
    await git('-C', work, 'add', '.')
    await git('-C', work, 'commit', '-qm', 'first')
    await git('-C', work, 'push', '-q', `gateway:${data}/bare`, 'HEAD:refs/heads/master')
    await git('clone', '-q', '-b', 'master', `gateway:${data}/bare`, `${work}.clone`)
    expect(readFileSync(join(`${work}.clone`, 'file'), 'utf8')).toBe('content')
  })

  describe('forwards', () => {
    let echo: Server
    let port: number
    beforeAll(async () => {
      echo = createServer({ allowHalfOpen: true }, socket => {
        socket.on('error', () => undefined)
        const parts: Buffer[] = []
        socket.on('data', part => parts.push(part))
        // Answers only when its peer has ended: half-closed connections must pass.
        socket.on('end', () => socket.end(`heard ${Buffer.concat(parts)}`))
      })
      await new Promise<void>(resolve => echo.listen(0, '127.0.0.1', resolve))
      port = (echo.address() as { port: number }).port
    })
    afterAll(() => new Promise(resolve => echo.close(resolve)))

    interop(needed, 'ssh -W connects to a destination, and each direction ends on its own', async () => {
      expect(await run('ssh', ['-W', `127.0.0.1:${port}`, 'gateway'], 'hello')).toMatchObject({
        ...{ status: 0, stdout: 'heard hello' },
      })
      expect((await decisions('forward')).at(-1)).toMatchObject({
        ...{ verdict: 'permit', risk: 'low' },
        accesses: [{ action: 'forward', resource: `crm/web1/${host.user}/forward/127.0.0.1:${port}` }],
      })
    })

    interop(needed, 'ssh -L lets a local program through, once for each of its connections', async () => {
      const local = Number(await freePort())
      const master = begin('ssh', ['-N', '-L', `${local}:localhost:${port}`, 'gateway'])
      const ended = end(master)
      const said = () =>
        new Promise<string>(resolve => {
          let text = ''
          const socket = connect(local, '127.0.0.1', () => socket.end('hi'))
          socket.on('error', () => undefined)
          socket.on('data', part => {
            text += part
          })
          socket.on('close', () => resolve(text))
        })
      await expect.poll(said, { timeout: 10_000 }).toBe('heard hi')
      expect(await said()).toBe('heard hi')
      expect((await decisions('forward')).at(-1)).toMatchObject({
        accesses: [{ resource: `crm/web1/${host.user}/forward/localhost:${port}` }],
      })
      await expect
        .poll(async () => (await at.of('outcome')).at(-1), { timeout: 10_000 })
        .toMatchObject({
          ...{ result: 'completed', bytes: 8 },
        })
      master.kill()
      await ended
    })

    interop(needed, 'ssh -J reaches another server through it', async () => {
      writeFileSync(
        join(host.folder, 'authorized_keys'),
        `${readFileSync(join(host.folder, 'authorized_keys'))}${publicOf()}\n`,
      )
      expect(await run('ssh', ['-J', 'gateway', 'direct', 'echo beyond'])).toMatchObject({
        status: 0,
        stdout: 'beyond\n',
      })
    })

    /** What the host's port answers, half-closed as `-R`'s far end must hear it. */
    const ask = (to: number, text: string) =>
      new Promise<string>(resolve => {
        let said = ''
        const socket = connect(to, '127.0.0.1', () => socket.end(text))
        socket.on('error', () => undefined)
        socket.on('data', part => {
          said += part
        })
        socket.on('close', () => resolve(said))
      })
    const resource = (bound: string) => `crm/web1/${host.user}/listen/${bound}`
    const listens = async () =>
      (await decisions('listen')).map(({ accesses, verdict }) => `${verdict} ${accesses[0]!.resource}`)

    interop(needed, 'ssh -R lets the host listen, each connection an exchange, until the client leaves', async () => {
      const before = (await listens()).length
      const [one, two] = [Number(await freePort()), Number(await freePort())]
      const master = begin('ssh', [
        ...['-N', '-o', 'ExitOnForwardFailure=yes'],
        ...['-R', `${one}:127.0.0.1:${port}`, '-R', `127.0.0.1:${two}:127.0.0.1:${port}`, 'gateway'],
      ])
      const ended = end(master)
      await expect.poll(() => ask(one, 'back'), { timeout: 20_000 }).toBe('heard back')
      await expect.poll(() => ask(two, 'again'), { timeout: 20_000 }).toBe('heard again')
      const [first, second, ...connections] = (await listens()).slice(before)
      expect([first, second]).toEqual([
        `permit ${resource(`localhost:${one}`)}`,
        `permit ${resource(`127.0.0.1:${two}`)}`,
      ])
      expect(new Set(connections)).toEqual(new Set([first, second]))
      const connected = (await at.of('decision')).at(-1)!
      await expect
        .poll(async () => (await at.of('outcome')).find(({ exchange }) => exchange === connected.exchange))
        .toMatchObject({ result: 'completed', bytes: 5, settled: 'unknown' })
      master.kill()
      await ended
      await expect.poll(() => ask(one, 'gone'), { timeout: 20_000 }).toBe('')
      await expect
        .poll(async () => (await at.of('outcome')).filter(({ result }) => result === 'aborted').length)
        .toBeGreaterThanOrEqual(2)
    })

    interop(
      needed,
      'ssh -R 0 is told the port that the host chose, and -O cancel ends it, on a connection that stays',
      async () => {
        const control = ['-S', join(files, 'ports')]
        const master = begin('ssh', ['-M', '-N', ...control, 'gateway'])
        const ended = end(master)
        await expect.poll(() => existsSync(join(files, 'ports')), { timeout: 20_000 }).toBe(true)
        const forward = ['-R', `0:127.0.0.1:${port}`, 'gateway']
        const { stdout, status } = await run('ssh', [...control, '-O', 'forward', ...forward])
        expect(status).toBe(0)
        const chosen = Number(stdout.trim())
        expect(chosen).toBeGreaterThan(1023)
        expect(await ask(chosen, 'any')).toBe('heard any')
        expect((await listens()).at(-1)).toBe(`permit ${resource(`localhost:${chosen}`)}`)
        const cancelled = await run('ssh', [...control, '-O', 'cancel', ...forward])
        expect(cancelled, cancelled.stderr).toMatchObject({ status: 0 })
        // The client asks for no answer, so it does not wait for one.
        await expect.poll(() => ask(chosen, 'no more'), { timeout: 20_000 }).toBe('')
        await expect
          .poll(async () => (await at.of('outcome')).at(-1))
          .toMatchObject({ result: 'completed', items: 0, settled: 'unknown' })
        expect(await run('ssh', [...control, 'gateway', 'echo still there'])).toMatchObject({ stdout: 'still there\n' })
        master.kill()
        await ended
      },
    )

    interop(
      needed,
      'ssh -R where the host does not listen is refused to the client, and recorded as failed',
      async () => {
        const listening = [
          '-N',
          '-o',
          'ExitOnForwardFailure=yes',
          '-R',
          `127.0.0.1:${port}:127.0.0.1:${port}`,
          'gateway',
        ]
        const { status, stderr } = await run('ssh', listening)
        expect({ status, stderr }).toMatchObject({ status: 255, stderr: expect.stringContaining('forwarding failed') })
        expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'failed', code: 'ERR_UPSTREAM' })
      },
    )

    interop(needed, 'sockets are forwarded in neither direction, and that is recorded', async () => {
      const [local, remote] = [join(files, 'local.sock'), join(data, 'remote.sock')]
      const back = ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', `${remote}:127.0.0.1:${port}`, 'gateway']
      expect(await run('ssh', back)).toMatchObject({ status: 255 })
      expect(existsSync(remote)).toBe(false)
      expect((await decisions('listen')).at(-1)).toMatchObject({
        ...{ verdict: 'deny', accesses: [{ action: 'listen', resource: `crm/web1/${host.user}/socket` }] },
      })
      const master = begin('ssh', ['-N', '-L', `${local}:/run/any.sock`, 'gateway'])
      const ended = end(master)
      await expect.poll(() => existsSync(local), { timeout: 20_000 }).toBe(true)
      await new Promise<void>(resolve => {
        const socket = connect(local)
        socket.on('error', () => undefined)
        socket.on('data', () => undefined)
        socket.on('close', () => resolve())
      })
      expect((await decisions('forward')).at(-1)).toMatchObject({
        ...{ verdict: 'deny', accesses: [{ action: 'forward', resource: `crm/web1/${host.user}/socket` }] },
      })
      master.kill()
      await ended
    })

    /** Says first that it has nothing to say, so that the client may leave as soon as it has sent, and hears only when it is asked. */
    const sink = async () => {
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
      const reached = new Promise<Socket>(resolve => {
        server.once('connection', socket => resolve(socket.end()))
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const hear = async (): Promise<number> => {
        let length = 0
        for await (const part of await reached) length += part.length
        await new Promise(resolve => server.close(resolve))
        return length
      }
      return { to: (server.address() as AddressInfo).port, hear }
    }

    interop(needed, 'ssh -L loses nothing of what is sent before it is closed', async () => {
      const { to, hear } = await sink()
      const local = Number(await freePort())
      const master = begin('ssh', ['-N', '-L', `127.0.0.1:${local}:127.0.0.1:${to}`, 'gateway'])
      const ended = end(master)
      const connected = () =>
        new Promise<Socket | undefined>(resolve => {
          const socket = connect(local, '127.0.0.1', () => resolve(socket))
          socket.on('error', () => resolve(undefined))
        })
      let socket = await connected()
      while (socket === undefined) socket = await connected()
      socket.resume().end(Buffer.alloc(200_000))
      expect(await hear()).toBe(200_000)
      master.kill()
      await ended
    })

    // OpenSSH's own server, disconnected from, drops what it has not yet written.
    interop(needed, 'nothing is lost of what a client sent before it left with its connection', async () => {
      const { to, hear } = await sink()
      const privateKey = readFileSync(join(files, 'id'), 'utf8')
      const client = await login({ port: at.port, username: `${host.user}@web1`, privateKey })
      const gone = new Promise<void>(resolve => client.once('close', () => resolve()))
      const length = 3_000_000
      client.forwardOut('127.0.0.1', 0, '127.0.0.1', to, (_, channel) => {
        channel.resume().end(Buffer.alloc(length), () => client.end())
      })
      await gone
      expect(await hear()).toBe(length)
    })

    interop(needed, 'ssh is told why a forward is refused', async () => {
      const { status, stderr } = await run('ssh', ['-W', '0x7f.1:80', 'gateway'])
      expect(status).toBe(255)
      expect(stderr).toContain('administratively prohibited: counterfoil: ERR_ACCESS_DENIED')
      expect((await decisions('forward')).at(-1)).toMatchObject({ verdict: 'deny', risk: 'high' })
    })
  })

  const publicOf = () => readFileSync(join(files, 'ssh-keys'), 'utf8').split(' ').slice(0, 2).join(' ')

  interop([...needed, 'ssh-agent'], 'ssh -A and -Y get neither agent nor display, and that is recorded', async () => {
    const socket = join(files, 'agent')
    const agent = spawn(findTool('ssh-agent')!, ['-D', '-a', socket], { stdio: 'ignore' })
    children.add(agent)
    await expect.poll(() => existsSync(socket), { timeout: 10_000 }).toBe(true)
    const options = [
      '-A',
      '-Y',
      '-o',
      `IdentityAgent=${socket}`,
      'gateway',
      'echo "agent:$SSH_AUTH_SOCK display:$DISPLAY"',
    ]
    const ran = await run('ssh', options, '', { DISPLAY: '127.0.0.1:99', SSH_AUTH_SOCK: socket })
    expect(ran).toMatchObject({ status: 0, stdout: 'agent: display:\n' })
    const refused = (await decisions('forward')).filter(({ verdict }) => verdict === 'deny').flatMap(d => d.accesses)
    for (const what of ['agent', 'x11'])
      expect(refused).toContainEqual({ action: 'forward', resource: `crm/web1/${host.user}/${what}` })
    agent.kill()
  })

  interop(
    needed,
    'a big file goes both ways, keys renewed on the way, and comes out whole',
    async () => {
      const size = 100 * 1024 * 1024
      const [local, back] = [join(files, 'big'), join(files, 'big.back')]
      const piece = randomBytes(1024 * 1024)
      writeFileSync(local, Buffer.concat(Array.from({ length: size / piece.length }, () => piece)))
      const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')
      const expected = digest(local)
      const before = held()
      let most = 0
      const watch = setInterval(() => {
        most = Math.max(most, held() - before)
      }, 100)
      const options = ['-o', 'RekeyLimit=16M']
      expect(await run('scp', [...options, local, `gateway:${data}/big`])).toMatchObject({ status: 0, stderr: '' })
      expect(await run('scp', [...options, `gateway:${data}/big`, back])).toMatchObject({ status: 0, stderr: '' })
      clearInterval(watch)
      expect(digest(back)).toBe(expected)
      expect((await at.of('outcome')).filter(({ bytes }) => bytes === size)).toHaveLength(2)
      expect(most).toBeLessThan(32 * 1024 * 1024)
    },
    300_000,
  )

  interop(needed, 'a session whose keys are renewed every megabyte goes on', async () => {
    const { status, stdout } = await run('ssh', ['-o', 'RekeyLimit=1M', 'gateway', 'cat'], 'x'.repeat(8 * 1024 * 1024))
    expect({ status, length: stdout.length }).toEqual({ status: 0, length: 8 * 1024 * 1024 })
  })

  interop(needed, 'many channels share one connection, and one session', async () => {
    const control = ['-o', `ControlPath=${files}/control`]
    const master = begin('ssh', [...control, '-o', 'ControlMaster=yes', '-N', 'gateway'])
    const ended = end(master)
    await expect.poll(() => existsSync(join(files, 'control')), { timeout: 10_000 }).toBe(true)
    const before = (await at.of('session-opened')).length
    const ran = await Promise.all(
      Array.from({ length: 9 }, (_, i) => run('ssh', [...control, 'gateway', `cat; echo ${i}; exit ${i}`], 'in ')),
    )
    expect(ran.map(({ status, stdout }) => [status, stdout])).toEqual(ran.map((_, i) => [i, `in ${i}\n`]))
    expect(await at.of('session-opened')).toHaveLength(before)
    await run('ssh', [...control, '-O', 'exit', 'gateway'])
    await ended
  })
})
