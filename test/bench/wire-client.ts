/**
 * A process of its own that asks one statement over and over and throws its bytes away as they come, so that a client's decoding is no
 * part of the figure. Told by messages: `{ url, sql }`; answers `{ seconds, bytes }` for each.
 */
import pg from 'pg'

interface Asked {
  readonly url: string
  readonly sql: string
}

/** ReadyForQuery, outside a transaction. */
const over = Buffer.from('Z\0\0\0\x05I', 'latin1')

interface Stream {
  readonly connection: { readonly stream: import('node:net').Socket }
}

process.on('message', ({ url, sql }: Asked) => {
  read(url, sql).then(
    figure => process.send!(figure),
    error => process.send!({ error: String(error) }),
  )
})

async function read(url: string, sql: string): Promise<{ readonly seconds: number; readonly bytes: number }> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  const { stream } = (client as unknown as Stream).connection
  for (const event of ['data', 'end', 'close', 'error']) stream.removeAllListeners(event)
  const text = Buffer.from(`${sql}\0`)
  const header = Buffer.alloc(5, 'Q')
  header.writeInt32BE(text.length + 4, 1)
  const start = performance.now()
  const bytes = await new Promise<number>((resolve, reject) => {
    let count = 0
    let tail: Buffer = Buffer.alloc(0)
    stream.on('data', (chunk: Buffer) => {
      count += chunk.length
      tail = chunk.length >= over.length ? chunk.subarray(-over.length) : Buffer.concat([tail, chunk]).subarray(-6)
      if (tail.equals(over)) resolve(count)
    })
    stream.on('close', () => reject(new Error('the connection was closed before the answer was whole')))
    stream.write(Buffer.concat([header, text]))
  })
  const seconds = (performance.now() - start) / 1000
  stream.destroy()
  return { seconds, bytes }
}
