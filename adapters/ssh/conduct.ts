/** A session channel's work from its start to its close: done until the client closes it, with a refusal told where a person sees it. */
import type { ServerChannel } from 'ssh2'
import { race } from '../../lib/run.ts'
import { told } from './errors.ts'
import { sendExit } from './internals.ts'
import type { Live, Result } from './live.ts'
import type { Terminal } from './operation.ts'
import { Outlet } from './streams.ts'

/** Does a channel's work until its client closes it; says on stderr why it was refused or failed, and closes it. */
export async function conduct(
  channel: ServerChannel,
  live: Live,
  work: (outlet: Outlet, signal: AbortSignal) => Promise<Result>,
  terminal?: Terminal,
): Promise<void> {
  const closed = new AbortController()
  const unwatch = live.watch(channel, () => closed.abort(new Error('the client closed the channel')))
  channel.on('error', () => undefined)
  channel.stderr.on('error', () => undefined)
  const outlet = new Outlet(channel, live.parts.socket)
  try {
    const result = await work(outlet, closed.signal)
    closed.signal.throwIfAborted()
    if ('error' in result) {
      const { text, exit } = told(result.error, result.exchange)
      // What waits for the client to read would come first.
      if (!outlet.idle) return void channel.close()
      await race(notice(channel, outlet, text, terminal), closed.signal)
      sendExit(channel, { status: exit })
    }
    channel.end()
  } catch {
    // The client has closed it: there is nobody to tell.
    channel.close()
  } finally {
    unwatch()
  }
}

/** A line on stderr, where a person sees it whatever the output is piped into. */
export const notice = (
  channel: ServerChannel,
  outlet: Outlet,
  text: string,
  terminal: Terminal | undefined,
): Promise<void> => outlet.write(Buffer.from(`${text}${terminal === undefined ? '\n' : '\r\n'}`), channel.stderr)
