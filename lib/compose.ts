/** The onion: stages around an origin. A gate returns `next()`; a tap is an async generator around it. */
import { Misuse } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { Reply } from './reply.ts'

export type Next = () => Promise<Reply>
export type Stage = (exchange: Exchange, next: Next) => Reply | Promise<Reply>
/** The innermost: asks the upstream. Lazy: nothing is sent before the first frame is pulled. */
export type Origin = (exchange: Exchange) => Reply | Promise<Reply>

/** @returns a function that runs an exchange through all stages, outermost first, to the origin. */
export function compose(stages: readonly Stage[]): (exchange: Exchange, origin: Origin) => Promise<Reply> {
  return (exchange, origin) => {
    const enter = async (depth: number): Promise<Reply> => {
      const stage = stages[depth]
      if (stage === undefined) return origin(exchange)
      let entered = false
      return stage(exchange, () => {
        if (entered) throw new Misuse('ERR_NEXT_REPEATED', 'a stage called next() twice')
        entered = true
        return enter(depth + 1)
      })
    }
    return enter(0)
  }
}
