/** Frames as they come, and a sign where none came for a while: so that what is held back can be let go while the upstream thinks. */
import type { Frame, Reply } from './reply.ts'

/**
 * @param patience asked before each frame: milliseconds after which `undefined` is given once in its place; undefined for no limit
 */
export async function* withPauses(
  reply: Reply,
  patience: () => number | undefined,
): AsyncGenerator<Frame | undefined, void, void> {
  const frames = reply[Symbol.asyncIterator]()
  let finished = false
  try {
    for (;;) {
      const next = frames.next()
      const most = patience()
      if (most !== undefined && (await isLate(next, most))) yield undefined
      const { done, value } = await next
      finished = done === true
      if (finished) return
      yield value
    }
  } catch (error) {
    finished = true
    throw error
  } finally {
    if (!finished) await frames.return?.()
  }
}

async function isLate(next: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<true>(resolve => {
    timer = setTimeout(() => resolve(true), ms)
  })
  try {
    // How it ends is for whoever awaits it; here only whether it has.
    const ended = next.then(
      () => false,
      () => false,
    )
    return await Promise.race([ended, late])
  } finally {
    clearTimeout(timer)
  }
}
