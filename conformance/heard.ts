/** What a process says while it works: kept, for a look at what it should not have said. */
import { format } from 'node:util'

export interface Heard {
  text(): string
  /** Ends it. */
  stop(): void
}

const methods = ['log', 'info', 'warn', 'error', 'debug'] as const

/** Everything goes on to where it was going. */
export function hear(): Heard {
  const said: string[] = []
  const ends = [process.stdout, process.stderr].map(stream => {
    const write = stream.write
    stream.write = ((...given: Parameters<typeof write>) => {
      said.push(typeof given[0] === 'string' ? given[0] : Buffer.from(given[0]).toString())
      return write.apply(stream, given)
    }) as typeof write
    return () => {
      stream.write = write
    }
  })
  // Runners put consoles of their own in the place of node's: what goes through those reaches no stream.
  const { console: spoken } = globalThis
  for (const method of methods) {
    const original = spoken[method]
    spoken[method] = (...given: unknown[]) => {
      said.push(format(...given))
      original.apply(spoken, given)
    }
    ends.push(() => {
      spoken[method] = original
    })
  }
  return {
    text: () => said.join('\n'),
    stop: () => {
      for (const end of ends) end()
    },
  }
}
