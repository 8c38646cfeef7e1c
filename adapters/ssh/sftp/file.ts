/** A file or directory that is open, as one lazy reply: everything asked of its handle, in order, from OPEN to CLOSE. */
import type { Exchange } from '../../../lib/exchange.ts'
import type { Data, End, Frame } from '../../../lib/reply.ts'
import { race } from '../../../lib/run.ts'
import { fx } from '../errors.ts'
import { Fields, type Packet, packet, string, type, uint32 } from './packets.ts'
import type { Remote } from './remote.ts'
import { type Judged, refuseMoves } from './requests.ts'

/** A frame, and how it stands on the client's wire: where a mask has changed its bytes, with those. */
export type Answer = (Data | End) & { readonly wire: (bytes: Uint8Array) => Buffer }

/** One request to a handle. */
export interface Step {
  /** The client's own, under which it is answered. */
  readonly id: number
  readonly answer: Promise<Packet>
  /** What it writes: counted, and committed to, once the host has said that it is written. */
  readonly written?: Buffer
  readonly closes?: true
}

export class OpenFile {
  readonly judged: Judged
  /** How the client names it. */
  readonly handle: Buffer
  /** How the host does; undefined until it is open. */
  remote: Buffer | undefined
  /** What became of it, where it ended before it was closed. */
  over: { readonly error: unknown; readonly exchange: string | undefined } | undefined
  readonly #steps: Step[] = []
  #wake: () => void = () => undefined

  constructor(judged: Judged, handle: Buffer) {
    this.judged = judged
    this.handle = handle
  }

  ask(step: Step): void {
    this.#steps.push(step)
    this.#wake()
  }

  /** Those that nobody will answer any more. */
  unanswered(): readonly Step[] {
    return this.#steps.splice(0)
  }

  /** @throws the signal's reason */
  async next(signal: AbortSignal): Promise<Step> {
    for (;;) {
      const step = this.#steps.shift()
      if (step !== undefined) return step
      await race(new Promise<void>(resolve => (this.#wake = resolve)), signal)
    }
  }
}

/** @param opened called before the client is told of the handle */
export async function* fileReply(
  exchange: Exchange,
  remote: Remote,
  file: OpenFile,
  id: number,
  opened: () => void,
): AsyncGenerator<Frame> {
  const { signal } = exchange
  const { judged, handle } = file
  const changes = !judged.operation.read
  // Said before anything is sent, so that under a mask nothing is.
  yield { type: 'head', form: judged.form }
  signal.throwIfAborted()
  const asked = remote.request(judged.type, judged.body, 0)
  const found = await race(asked, signal).catch(error => {
    // Opened after nobody waits for it any more.
    void asked.then(late => release(remote, late)).catch(() => undefined)
    throw error
  })
  if (found.type !== type.handle) return yield ended(id, found, changes ? 'nothing' : undefined)
  file.remote = new Fields(found.body).string()
  let closed = false
  let failure: string | undefined
  try {
    opened()
    yield answer('handle', Buffer.alloc(0), 0, () => packet(type.handle, uint32(id), string(handle)))
    for (;;) {
      const step = await file.next(signal)
      const said = await race(step.answer, signal)
      if (step.closes) {
        closed = true
        yield closing(step.id, said, failure, changes)
        return
      }
      failure ??= failureOf(said)
      yield frameOf(step, said)
    }
  } finally {
    if (!closed) release(remote, found)
  }
}

/** The host's handle, which nobody will close any more. */
function release(remote: Remote, { type: of, body }: Packet): void {
  if (of === type.handle) void remote.request(type.close, body, 0)
}

/** A request that is answered once. */
export async function* singleReply(
  exchange: Exchange,
  remote: Remote,
  judged: Pick<Judged, 'operation' | 'form' | 'type' | 'body' | 'moves'>,
  id: number,
): AsyncGenerator<Frame> {
  refuseMoves(judged, exchange.fact('obligations').masks)
  yield { type: 'head', form: judged.form }
  exchange.signal.throwIfAborted()
  const said = await race(remote.request(judged.type, judged.body, 0), exchange.signal)
  const settled = judged.operation.read ? undefined : failureOf(said) === undefined ? 'committed' : 'nothing'
  if (said.type === type.status) return yield ended(id, said, settled)
  const { type: of, body } = said
  if (of === type.name) yield frameOf({ id, answer: Promise.resolve(said) }, said)
  else yield answer('attributes', body, 1, bytes => packet(of, uint32(id), bytes))
  yield { type: 'end', result: 'completed', settled: settled ?? 'nothing' }
}

function frameOf({ id, written }: Step, { type: of, body }: Packet): Answer {
  switch (of) {
    case type.data:
      return answer('file', new Fields(body).string(), 1, bytes => packet(of, uint32(id), string(bytes)))
    case type.name:
      return answer('names', body, new Fields(body).uint32(), bytes => packet(of, uint32(id), bytes))
    case type.status: {
      const done = written !== undefined && failureOf({ type: of, body }) === undefined
      return answer('written', done ? written : Buffer.alloc(0), done ? 1 : 0, () => packet(of, uint32(id), body))
    }
    default:
      // No contents: the count of a file's exchange is of what it holds.
      return answer('attributes', Buffer.alloc(0), 0, () => packet(of, uint32(id), body))
  }
}

const answer = (channel: string, bytes: Uint8Array, items: number, wire: Answer['wire']): Answer => ({
  type: 'data',
  ...{ channel, bytes, items, wire },
})

function ended(id: number, { type: of, body }: Packet, settled: End['settled'] = 'nothing'): Answer {
  const wire = () => packet(of, uint32(id), body)
  const code = failureOf({ type: of, body })
  return { type: 'end', ...(code === undefined ? { result: 'completed' } : { result: 'failed', code }), settled, wire }
}

/** What was written stands, where every answer said so. */
function closing(id: number, said: Packet, failure: string | undefined, changes: boolean): Answer {
  const code = failure ?? failureOf(said)
  const settled = !changes ? 'nothing' : code === undefined ? 'committed' : 'unknown'
  const wire = () => packet(said.type, uint32(id), said.body)
  return { type: 'end', ...(code === undefined ? { result: 'completed' } : { result: 'failed', code }), settled, wire }
}

const names = new Map<number, string>([
  [fx.noSuchFile, 'no-such-file'],
  [fx.permissionDenied, 'permission-denied'],
  [fx.unsupported, 'unsupported'],
])

/** The end of a file is no failure. */
function failureOf({ type: of, body }: Packet): string | undefined {
  if (of !== type.status) return undefined
  const code = new Fields(body).uint32()
  return code === fx.ok || code === fx.eof ? undefined : `sftp-${names.get(code) ?? 'failure'}`
}
