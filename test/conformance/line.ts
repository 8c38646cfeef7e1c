/**
 * The smallest adapter there is: a line with a work and a credential, an answer of bytes, and a last line. It is here to be made wrong
 * in one way at a time.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Answer, Call, Door, OpenDoor, Work } from '../../conformance/index.ts'
import { canary, credentialOf, personal } from '../../conformance/index.ts'
import { drained } from '../../lib/drained.ts'
import { isOurs } from '../../lib/errors.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Operation } from '../../lib/operation.ts'
import type { Frame, Reply } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'

/** Mistakes that an adapter's author could make; the suite is there to find them. */
export type Flaw =
  | 'asks the upstream before the gate'
  | 'heeds no hang-up'
  | 'heeds no signal'
  | 'takes all that the upstream has'
  | 'records the credential'
  | 'passes the credential on'
  | 'logs what was asked'
  | 'waits for ever'
  | 'ends a broken reply as a whole one'
  | 'calls everything opaque'
  | 'shows an approver nothing'
  | 'says that nobody asked'
  | 'serves without the gate'

const megabyte = Buffer.alloc(1024 * 1024, 'x')

interface Upstream {
  readonly done: { read: number; change: number; destroy: number }
  running: number
}

async function* reply(work: Work, upstream: Upstream, signal: AbortSignal | undefined): Reply & AsyncGenerator<Frame> {
  const data = (bytes: Uint8Array): Frame => ({ type: 'data', channel: 'line', bytes, items: 1 })
  yield { type: 'head', form: { kind: work === 'masked' ? 'json' : 'opaque' } }
  if (work === 'read' || work === 'change' || work === 'destroy') upstream.done[work] += 1
  if (work === 'read') yield data(Buffer.from('Customer 0001'))
  if (work === 'masked') yield data(Buffer.from(JSON.stringify(personal)))
  if (work === 'breaks') {
    yield data(Buffer.alloc(200_000, 'x'))
    yield { type: 'end', result: 'failed', code: 'broken', settled: 'nothing' }
    return
  }
  for (let sent = 0; sent < (work === 'long' ? 2 : work === 'flood' ? 64 : 0); sent += 1)
    yield data(Buffer.from(megabyte))
  if (work === 'silent' || work === 'silent change') {
    upstream.running += 1
    try {
      const never = new Promise<never>(() => undefined)
      await (signal === undefined ? never : race(never, signal))
    } finally {
      upstream.running -= 1
    }
  }
  yield { type: 'end', result: 'completed', settled: 'committed' }
}

/** What each work is called where policy judges it. */
const actionOf = (work: Work) => (work.startsWith('destroy') ? 'drop' : work.endsWith('change') ? 'update' : 'select')

async function serve(socket: Socket, gate: Gate, upstream: Upstream, flaw: Flaw | undefined): Promise<void> {
  const gone = new AbortController()
  socket.on('error', () => socket.destroy())
  socket.on('end', () => flaw !== 'heeds no hang-up' && gone.abort(new Error('the client hung up')))
  socket.on('close', () => flaw !== 'heeds no hang-up' && gone.abort(new Error('the client hung up')))
  const deadline = flaw === 'waits for ever' ? undefined : setTimeout(() => socket.destroy(), 500)
  let line = ''
  try {
    for await (const part of socket.iterator({ destroyOnReturn: false })) {
      line += part
      if (line.includes('\n')) break
    }
  } catch {
    return
  } finally {
    clearTimeout(deadline)
  }
  socket.resume()
  const [work, secret = ''] = line.trim().split('|') as [Work, string]
  const shown = flaw === 'shows an approver nothing' ? 'a work' : work
  const action = { work: shown, ...(flaw === 'records the credential' ? { secret } : {}) }
  if (flaw === 'logs what was asked') process.stderr.write(`asked: ${line}`)
  const operation: Operation = {
    ...{ protocol: 'line', target: 'crm', reaches: [], opaque: false, risk: 'low', action, holdable: true },
    accesses: [{ action: actionOf(work), resource: work === 'masked' ? 'crm/personal' : 'crm/line' }],
    read: actionOf(work) === 'select',
  }
  const sink = async (frame: Frame) => {
    if (frame.type !== 'data' || socket.destroyed) return
    if (!socket.write(frame.bytes) && flaw !== 'takes all that the upstream has') await drained(socket)
  }
  const exchange = gate.exchange({
    ...{ operation, address: '127.0.0.1', signal: gone.signal },
    ...(flaw === 'says that nobody asked' ? {} : { credential: { kind: 'bearer', secret } }),
  })
  try {
    if (flaw === 'serves without the gate') {
      for await (const frame of reply(work, upstream, gone.signal)) await sink(frame)
      socket.end('\nOK\n')
      return
    }
    const eager =
      flaw === 'asks the upstream before the gate' ? await first(reply(work, upstream, gone.signal)) : undefined
    const signal = flaw === 'heeds no signal' ? undefined : exchange.signal
    const form = (frame: Frame): Frame =>
      frame.type === 'head' && flaw === 'calls everything opaque' ? { ...frame, form: { kind: 'empty' } } : frame
    const origin = () => mapped(eager ?? reply(work, upstream, signal), form)
    const { result } = await gate.handle(exchange, origin, sink)
    const whole = result === 'completed' || flaw === 'ends a broken reply as a whole one'
    socket.end(whole ? '\nOK\n' : '\nERR broken\n')
  } catch (error) {
    const said = isOurs(error) ? `${error.code} ${error.message} ${JSON.stringify(error.data)}` : 'ERR'
    socket.end(`\n${said}${flaw === 'passes the credential on' ? secret : ''}\n`)
    setTimeout(() => socket.destroy(), 100).unref()
  }
}

async function* mapped(frames: Reply, change: (frame: Frame) => Frame): Reply & AsyncGenerator<Frame> {
  for await (const frame of frames) yield change(frame)
}

/** As if the upstream had been asked already: two frames are drawn before anybody pulls. */
async function first(frames: Reply & AsyncGenerator<Frame>): Promise<Reply> {
  const drawn: Frame[] = [(await frames.next()).value]
  const next = frames.next()
  return (async function* () {
    yield* drawn
    const { value, done } = await next
    if (!done) yield value
    yield* frames
  })()
}

export const lineDoor = (flaw?: Flaw): Door => ({
  name: 'a line protocol',
  open: gate => open(gate, flaw),
  personal: 'crm/personal',
  words: { change: 'update', destroy: 'drop' },
  changed: 'crm/line',
})

async function open(gate: Gate, flaw: Flaw | undefined): Promise<OpenDoor> {
  const upstream: Upstream = { done: { read: 0, change: 0, destroy: 0 }, running: 0 }
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: false }, socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    void serve(socket, gate, upstream, flaw)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    call: (work, as, stall) =>
      call(port, `${work}|${credentialOf(as)}${work === 'secret' ? `|${canary}` : ''}\n`, stall),
    done: async work => upstream.done[work],
    running: async () => upstream.running,
    async silentClient() {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      socket.write('rea')
      socket.resume()
      return { closed: new Promise(resolve => socket.once('close', () => resolve())) }
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function call(port: number, line: string, stall = false): Call {
  const socket = connect(port, '127.0.0.1', () => socket.write(line))
  let bytes = 0
  const kept: Buffer[] = []
  const answer = new Promise<Answer>(resolve => {
    socket.on('error', () => undefined)
    socket.on('data', (part: Buffer) => {
      bytes += part.length
      if (bytes < 4 * megabyte.length) kept.push(part)
      else kept.splice(0, kept.length, part.subarray(-100))
    })
    if (stall) socket.pause()
    socket.on('close', () => {
      const said = Buffer.concat(kept).toString()
      resolve({ said, bytes, whole: said.endsWith('\nOK\n'), code: /\n(ERR_\w+)/.exec(said)?.[1] })
    })
  })
  return { answer, hangUp: () => socket.destroy(), resume: () => socket.resume() }
}
