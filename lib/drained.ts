/** Back-pressure of whatever writes as node's streams do. */

interface Writes {
  on(event: 'drain' | 'close', listener: () => void): unknown
  off(event: 'drain' | 'close', listener: () => void): unknown
}

/** One wait for all of a stream's, however many: each of their own would be a leak of listeners by node's count. */
const waits = new WeakMap<Writes, Promise<void>>()

/** Resolves when it can take more, or has closed and will never. */
export function drained(stream: Writes): Promise<void> {
  const wait = waits.get(stream) ?? drain(stream)
  waits.set(stream, wait)
  return wait
}

function drain(stream: Writes): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      stream.off('drain', done)
      stream.off('close', done)
      waits.delete(stream)
      resolve()
    }
    stream.on('drain', done)
    stream.on('close', done)
  })
}
