/** The host's side of an sftp session: requests under ids of our own, and the answer to each. */
import type { Socket } from 'node:net'
import type { ClientChannel } from 'ssh2'
import { Fault } from '../../../lib/errors.ts'
import { race } from '../../../lib/run.ts'
import { Inlet, Outlet } from '../streams.ts'
import { Fields, type Packet, Packets, packet, string, type, uint32 } from './packets.ts'

/** Asked and not answered, in bytes that the answer or the request may have. Beyond it no more is taken from the client. */
const mostOutstanding = 4 * 1024 * 1024

interface Pending {
  readonly cost: number
  readonly resolve: (answer: Packet) => void
  readonly reject: (error: unknown) => void
}

export class Remote {
  readonly #outlet: Outlet
  readonly #packets: Packets
  readonly #pending = new Map<number, Pending>()
  #outstanding = 0
  #next = 0
  #freed: () => void = () => undefined
  #lost: unknown

  private constructor(channel: ClientChannel, socket: Socket) {
    this.#outlet = new Outlet(channel, socket)
    this.#packets = new Packets(new Inlet({ in: channel }))
  }

  /** @returns the session, and the extensions that the host has. @throws Fault ERR_UPSTREAM; the signal's reason */
  static async open(
    channel: ClientChannel,
    socket: Socket,
    signal: AbortSignal,
  ): Promise<{ remote: Remote; extensions: ReadonlyMap<string, Buffer> }> {
    const remote = new Remote(channel, socket)
    void remote.#outlet.write(packet(type.init, uint32(3)))
    const version = await remote.#packets.next(signal)
    if (version?.type !== type.version) throw new Fault('ERR_UPSTREAM', 'the host does not speak sftp')
    const fields = new Fields(version.body)
    if (fields.uint32() !== 3) throw new Fault('ERR_UPSTREAM', 'the host does not speak version 3 of sftp')
    const extensions = new Map<string, Buffer>()
    while (fields.rest().length > 0) extensions.set(fields.string().toString(), fields.string())
    void remote.#listen(signal)
    return { remote, extensions }
  }

  /**
   * Sends at once.
   * @param body in one piece or several
   * @param cost in bytes that are kept until the answer has come
   * @throws Fault ERR_UPSTREAM
   */
  request(of: number, body: Uint8Array | readonly Uint8Array[], cost: number): Promise<Packet> {
    if (this.#lost !== undefined) return unheard(Promise.reject(this.#lost))
    const id = this.#next
    this.#next = (this.#next + 1) >>> 0
    this.#outstanding += cost
    const answer = new Promise<Packet>((resolve, reject) => this.#pending.set(id, { cost, resolve, reject }))
    void this.#outlet.write(packet(of, uint32(id), ...[body].flat()))
    return unheard(answer)
  }

  /** Where a path leads; undefined where it leads nowhere, or the host cannot say. */
  async realPath(path: string, signal: AbortSignal): Promise<string | undefined> {
    const answer = await race(this.request(type.realpath, string(Buffer.from(path, 'latin1')), 0), signal)
    if (answer.type !== type.name) return undefined
    const fields = new Fields(answer.body)
    return fields.uint32() === 1 ? fields.string().toString('latin1') : undefined
  }

  /** Resolves when more may be asked. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#outstanding > mostOutstanding && this.#lost === undefined) {
      await race(new Promise<void>(resolve => (this.#freed = resolve)), signal)
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    let error: unknown = new Fault('ERR_UPSTREAM', 'the host has ended the sftp session')
    try {
      for (
        let found = await this.#packets.next(signal);
        found !== undefined;
        found = await this.#packets.next(signal)
      ) {
        const fields = new Fields(found.body)
        const id = fields.uint32()
        const pending = this.#pending.get(id)
        if (pending === undefined) throw new Fault('ERR_UPSTREAM', 'the host answered what it was not asked')
        this.#pending.delete(id)
        pending.resolve({ type: found.type, body: fields.rest() })
        this.#outstanding -= pending.cost
        this.#freed()
      }
    } catch (cause) {
      error = signal.aborted ? signal.reason : new Fault('ERR_UPSTREAM', 'the host speaks no sftp any more', {}, cause)
    }
    this.#lost = error
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
    this.#freed()
  }
}

/** Whoever waits for it hears of an error; nobody has to. */
function unheard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
