/** A command or a shell as a lazy reply: its output in frames, its input sent on beside them, its exit as the end. */
import type { PseudoTtyOptions, ServerChannel } from 'ssh2'
import { Fault } from '../../lib/errors.ts'
import type { Exchange, Input } from '../../lib/exchange.ts'
import type { Form, Frame } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'
import { type Exit, exitOf, isClosed, sendSignal } from './internals.ts'
import type { Live } from './live.ts'
import type { Command, Terminal } from './operation.ts'
import { Inlet, pump } from './streams.ts'

/** What a file holds: it may be anything, so under a mask it is refused. */
export const fileForm: Form = { kind: 'opaque' }

/**
 * Commands whose output is a protocol that counts its bytes: masked, it would be another file, or none. Known by how clients ask for
 * them; one that is asked for otherwise fails at the client, which finds other bytes than it was told of.
 */
const counted = [
  /^\s*(\S*\/)?scp(\s+-\S+)*\s+-[A-Za-z]*f/,
  /^\s*(\S*\/)?rsync\s+--server\b/,
  /^\s*(\S*\/)?git[ -](upload-pack|receive-pack|upload-archive)\b/,
  /^\s*(\S*\/)?sftp-server\b/,
]

/** What a command prints: text, which masks that look for patterns apply to, and those that name fields do not. */
const outputForm = ({ command, terminal }: Command): Form =>
  terminal === undefined
    ? counted.some(pattern => pattern.test(command ?? ''))
      ? fileForm
      : { kind: 'text' }
    : { kind: 'text', terminal: { columns: terminal.cols, rows: terminal.rows, term: terminal.term } }

/** A command in flight, for whoever sends it signals and sizes. */
export interface Running {
  exit?: Exit
  signal?: (name: string) => void
  resize?: (size: Pick<Terminal, 'cols' | 'rows' | 'width' | 'height'>) => void
}

export async function* commandReply(
  exchange: Exchange,
  live: Live,
  asked: Command,
  client: ServerChannel,
  running: Running,
): AsyncGenerator<Frame> {
  const { signal } = exchange
  const { command, env, terminal } = asked
  // Said before anything is sent, so that under a mask nothing is.
  yield { type: 'head', form: outputForm(asked) }
  const upstream = await live.link.get(signal)
  // ssh2 takes modes as they are encoded, and does not type that.
  const pty = (terminal ?? false) as PseudoTtyOptions | false
  const remote = await live.link.channel(upstream, signal, (on, done) =>
    command === undefined ? on.shell(pty, { env }, done) : on.exec(command, { pty, env } as never, done),
  )
  /** What cannot be recorded does not go on. */
  const heard = (channel: Input['channel'], bytes: Uint8Array) =>
    exchange.heard({ channel, bytes }).catch(error => {
      exchange.abort(error)
      throw error
    })
  running.signal = name => {
    sendSignal(upstream.client, remote, name)
    heard('signal', Buffer.from(name)).catch(() => undefined)
  }
  running.resize = ({ rows, cols, height, width }) => {
    remote.setWindow(rows, cols, height, width)
    heard('resize', Buffer.from(`${cols}x${rows}`)).catch(() => undefined)
  }
  const over = new AbortController()
  // An approval binds the command as it stands: what would be typed into it, nobody has seen.
  if (exchange.perhaps('approval') !== undefined) remote.end()
  else void pump(client, remote, upstream.socket, over.signal, bytes => heard('stdin', bytes))
  const output = new Inlet({ stdout: remote, stderr: remote.stderr })
  let ended = false
  try {
    for (let piece = await output.next(signal); piece !== undefined; piece = await output.next(signal)) {
      yield { type: 'data', channel: piece.from, bytes: piece.bytes, items: 1 }
    }
    if (exitOf(remote) === undefined && !isClosed(remote)) await race(closing(remote), signal)
    const exit = exitOf(remote)
    if (exit === undefined) throw new Fault('ERR_UPSTREAM', 'the host closed the channel and did not say how it ended')
    running.exit = exit
    ended = true
    yield { type: 'end', ...resultOf(exit), settled: 'unknown' }
  } finally {
    over.abort()
    if (!ended) running.signal('TERM')
    remote.close()
  }
}

const closing = (remote: NodeJS.EventEmitter) =>
  new Promise<void>(resolve => {
    remote.once('exit', () => resolve())
    remote.once('close', () => resolve())
  })

/** A status other than 0 is the command's own way to say that it failed. */
function resultOf(exit: Exit): { readonly result: 'completed' } | { readonly result: 'failed'; readonly code: string } {
  if ('signal' in exit) return { result: 'failed', code: `signal-${exit.signal}` }
  return exit.status === 0 ? { result: 'completed' } : { result: 'failed', code: `exit-${exit.status}` }
}
