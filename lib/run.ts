/** Drives a reply into a sink, and ends it cleanly when the subject hangs up or the exchange is cut. */
import { Misuse } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { End, Frame, Reply } from './reply.ts'

/** Takes frames, and resolves when it can take more: this is the back-pressure. */
export type Sink = (frame: Frame) => void | Promise<void>

/**
 * Waits for a promise, or for the signal, whichever is first. Every wait in a stage or origin goes through here, since a generator's
 * `return()` cannot interrupt a pending await.
 * @throws the signal's reason
 */
export function race<T>(wait: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    const over = () => signal.removeEventListener('abort', stop)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    // One promise and no more: an exchange comes through here several times.
    wait.then(
      value => {
        over()
        resolve(value)
      },
      error => {
        over()
        reject(error)
      },
    )
  })
}

/** Pulls every frame into the sink. @returns the end. @throws what a stage, the origin or the signal threw */
export async function run(exchange: Exchange, reply: Reply, sink: Sink): Promise<End> {
  const frames = reply[Symbol.asyncIterator]()
  let finished = false
  try {
    for (;;) {
      const { done, value } = await frames.next()
      if (done) throw new Misuse('ERR_REPLY_TRUNCATED', 'a reply stopped without an end')
      const full = sink(value)
      exchange.signal.throwIfAborted()
      if (full !== undefined) await race(full, exchange.signal)
      if (value.type === 'end') {
        finished = true
        return value
      }
    }
  } catch (error) {
    // Abort first: return() alone would wait for a silent upstream.
    exchange.abort(error)
    throw error
  } finally {
    if (!finished) await frames.return?.()
  }
}
