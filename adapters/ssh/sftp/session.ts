/**
 * One sftp session: the client's requests one after another, each judged before the next is read; reads and writes of what is open
 * overlap, as clients send them.
 */
import type { ServerChannel } from 'ssh2'
import type { Exchange } from '../../../lib/exchange.ts'
import type { Operation } from '../../../lib/operation.ts'
import type { Form, Frame } from '../../../lib/reply.ts'
import { race } from '../../../lib/run.ts'
import { conduct } from '../conduct.ts'
import { fx, told } from '../errors.ts'
import { sendExit } from '../internals.ts'
import type { Live, Result } from '../live.ts'
import { sftpOperation } from '../operation.ts'
import { Inlet, type Outlet } from '../streams.ts'
import { type Answer, fileReply, OpenFile, singleReply } from './file.ts'
import { Fields, flag, Garbled, type Packet, Packets, packet, status, string, type, uint32 } from './packets.ts'
import { Paths } from './paths.ts'
import { Remote } from './remote.ts'
import { extensions, type Judged, judge, setAttributes, tooManyFiles } from './requests.ts'

const mostFiles = 512
const empty: Form = { kind: 'empty' }

export async function serveSftp(channel: ServerChannel | undefined, live: Live): Promise<void> {
  if (channel === undefined) return
  await conduct(channel, live, async (outlet, signal) => {
    const reply = (exchange: Exchange) => sftpReply(exchange, live, channel, outlet)
    const result = await live.run(sftpOperation(live.base), { signal }, reply, () => undefined)
    if ('end' in result) sendExit(channel, { status: 0 })
    return result
  })
}

async function* sftpReply(
  exchange: Exchange,
  live: Live,
  channel: ServerChannel,
  outlet: Outlet,
): AsyncGenerator<Frame> {
  const { signal } = exchange
  yield { type: 'head', form: empty }
  const upstream = await live.link.get(signal)
  const far = await live.link.channel(upstream, signal, (on, done) => on.subsys('sftp', done))
  const over = new AbortController()
  const stop = () => over.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  let session: SftpSession | undefined
  try {
    const { remote, extensions: known } = await Remote.open(far, upstream.socket, over.signal)
    session = new SftpSession({ live, channel, outlet, remote, known, over: over.signal })
    await session.serve()
    yield { type: 'end', result: 'completed', settled: 'nothing' }
  } finally {
    signal.removeEventListener('abort', stop)
    // What is still open was not closed by the client: it ends unfinished.
    over.abort(signal.reason ?? new Error('the sftp session is over'))
    await session?.ended()
    far.close()
  }
}

interface Parts {
  readonly live: Live
  readonly channel: ServerChannel
  readonly outlet: Outlet
  readonly remote: Remote
  /** What the host can do beyond version 3. */
  readonly known: ReadonlyMap<string, Buffer>
  readonly over: AbortSignal
}

class SftpSession {
  readonly #parts: Parts
  readonly #files = new Map<string, OpenFile>()
  readonly #running = new Set<Promise<void>>()
  #paths: Paths | undefined
  #handles = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Resolves when the client has ended the session. @throws Garbled; the signal's reason */
  async serve(): Promise<void> {
    const { channel, outlet, remote, known, over } = this.#parts
    const packets = new Packets(new Inlet({ in: channel }))
    const first = await packets.next(over)
    if (first === undefined) return
    if (first.type !== type.init || new Fields(first.body).uint32() < 3) throw new Garbled('no INIT of version 3')
    const offered = [...known].filter(([name]) => extensions.has(name))
    const pairs = offered.flatMap(([name, value]) => [string(name), string(value)])
    await race(outlet.write(packet(type.version, uint32(3), ...pairs)), over)
    const home = (await remote.realPath('.', over)) ?? '/'
    this.#paths = new Paths(path => remote.realPath(path, over), home)
    for (let next = await packets.next(over); next !== undefined; next = await packets.next(over)) {
      await this.#take(next)
      await remote.room(over)
    }
  }

  /** Resolves when every exchange of the session is recorded. */
  async ended(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async #take({ type: of, body }: Packet): Promise<void> {
    const fields = new Fields(body)
    const id = fields.uint32()
    const rest = fields.rest()
    const extension = of === type.extended ? fields.string().toString() : undefined
    if (extension === 'limits@openssh.com') return this.#pass(id, of, rest)
    if (onHandles.has(extension ?? of)) return this.#ofHandle(id, of, extension, fields)
    if (of === type.fsetstat) return this.#setAttributes(id, rest)
    let judged: Judged | undefined
    try {
      judged = await judge(of, rest, this.#parts.live.base, this.#paths!)
    } catch (error) {
      if (error instanceof Garbled || this.#parts.over.aborted) throw error
      return this.#tell(id, { error, exchange: undefined })
    }
    if (judged === undefined) return this.#say(status(id, fx.unsupported, 'not supported by the gateway'))
    if (judged.opens) return this.#open(id, judged)
    return this.#single(id, judged)
  }

  async #single(id: number, judged: Pick<Judged, 'operation' | 'form' | 'type' | 'body' | 'moves'>): Promise<void> {
    const { remote } = this.#parts
    const result = await this.#run(judged.operation, exchange => singleReply(exchange, remote, judged, id))
    if ('error' in result) await this.#tell(id, result)
  }

  async #open(id: number, judged: Judged): Promise<void> {
    if (this.#files.size >= mostFiles) return this.#tell(id, { error: tooManyFiles(mostFiles), exchange: undefined })
    const file = new OpenFile(judged, uint32(this.#handles++))
    const key = file.handle.toString('hex')
    const opened = new Promise<void>(resolve => {
      const run = this.#run(judged.operation, exchange =>
        fileReply(exchange, this.#parts.remote, file, id, () => {
          this.#files.set(key, file)
          resolve()
        }),
      )
      const done = run.then(async result => {
        if ('error' in result) {
          file.over = result
          const ids = file.remote === undefined ? [id] : file.unanswered().map(step => step.id)
          for (const each of ids) await this.#tell(each, result)
        }
        this.#running.delete(done)
        resolve()
      })
      this.#running.add(done)
    })
    await opened
  }

  /** What is asked of something open belongs to its exchange. */
  async #ofHandle(id: number, of: number, extension: string | undefined, fields: Fields): Promise<void> {
    const { remote } = this.#parts
    const key = fields.string().toString('hex')
    const file = this.#files.get(key)
    if (of === type.close) this.#files.delete(key)
    if (file === undefined) return this.#say(status(id, fx.failure, 'no such handle'))
    if (file.over !== undefined) return this.#tell(id, file.over)
    if (!mayAsk(file, of)) return this.#say(status(id, fx.permissionDenied, 'it was not opened for this'))
    const rest = fields.rest()
    const named = extension === undefined ? [] : [string(extension)]
    const answer = remote.request(of, [...named, string(file.remote!), rest], costOf(of, rest))
    const written = of === type.write ? new Fields(rest.subarray(8)).string() : undefined
    file.ask({
      ...{ id, answer },
      ...(written === undefined ? {} : { written }),
      ...(of === type.close ? { closes: true } : {}),
    })
  }

  async #setAttributes(id: number, body: Buffer): Promise<void> {
    const fields = new Fields(body)
    const file = this.#files.get(fields.string().toString('hex'))
    if (file === undefined) return this.#say(status(id, fx.failure, 'no such handle'))
    if (file.over !== undefined) return this.#tell(id, file.over)
    const sent = Buffer.concat([string(file.remote!), fields.rest()])
    const operation = setAttributes(this.#parts.live.base, file.judged.means, fields.rest())
    await this.#single(id, { operation, form: empty, type: type.fsetstat, body: sent })
  }

  /** What touches nothing of the host. */
  async #pass(id: number, of: number, body: Buffer): Promise<void> {
    const { remote, over } = this.#parts
    const said = await race(remote.request(of, body, 0), over)
    await this.#say(packet(said.type, uint32(id), said.body))
  }

  #run(operation: Operation, origin: (exchange: Exchange) => AsyncGenerator<Frame>): Promise<Result> {
    const { live, outlet, over } = this.#parts
    const onHeld = ({ approval }: { approval: string }) => this.#note(live.parts.holdNotice(approval))
    return live.run(operation, { signal: over, onHeld }, origin, frame => {
      const { wire } = frame as Partial<Answer>
      return wire === undefined ? undefined : outlet.write(wire(frame.type === 'data' ? frame.bytes : Buffer.alloc(0)))
    })
  }

  /** The client's own status, which most programs show by its number only; so the words go to stderr too. */
  async #tell(id: number, { error, exchange }: { readonly error: unknown; readonly exchange: string | undefined }) {
    const { status: code, text } = told(error, exchange)
    this.#note(text)
    // Where the session is over, there is nobody to tell.
    await this.#say(status(id, code, text)).catch(() => undefined)
  }

  #note(text: string): void {
    void this.#parts.outlet.write(Buffer.from(`${text}\n`), this.#parts.channel.stderr)
  }

  async #say(bytes: Buffer): Promise<void> {
    await race(this.#parts.outlet.write(bytes), this.#parts.over)
  }
}

const onHandles: ReadonlySet<number | string> = new Set<number | string>([
  ...[type.close, type.read, type.write, type.fstat, type.readdir],
  ...['fstatvfs@openssh.com', 'fsync@openssh.com'],
])

/** A handle that was judged as one for writing shows nothing, whatever its host would say. */
function mayAsk({ judged }: OpenFile, of: number): boolean {
  const directory = judged.type === type.opendir
  const flags = directory ? flag.read : new Fields(judged.body.subarray(4 + judged.body.readUInt32BE())).uint32()
  if (of === type.readdir) return directory
  if (of === type.read) return !directory && ((flags & flag.read) !== 0 || flags === 0)
  if (of === type.write) return !directory && (flags & ~flag.read) !== 0
  return true
}

/** The bytes that are kept for it, here or on their way. */
function costOf(of: number, rest: Buffer): number {
  if (of === type.write) return rest.length
  if (of === type.read) return Math.min(new Fields(rest.subarray(8)).uint32(), 256 * 1024) + 64
  return 1024
}
