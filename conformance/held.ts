/** How much memory something holds: what has passed through it, and is not collected yet, is not counted. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** @returns bytes of buffers that something still refers to */
export function held(): number {
  collect()
  return process.memoryUsage().arrayBuffers
}
