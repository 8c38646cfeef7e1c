/** What a slow reader of a gigabyte of rows makes the PostgreSQL gateway hold. */
import { Readable } from 'node:stream'
import pg from 'pg'
import { startPostgres } from '../../../cli/demo/postgres.ts'
import { floodBytes } from './flood.ts'
import { openDoor } from './open.ts'
import { readSlowly } from './slow-reader.ts'

const rowBytes = 65_536

/** @returns bytes that the gateway held more than before, at most */
export async function slowReader(folder: string): Promise<number> {
  const server = await startPostgres({ settings: { log_statement: 'none', log_connections: 'off' } })
  const { port, usage, close } = await openDoor(
    { door: 'postgres', way: 'guarded', postgres: { upstream: server.url() } },
    folder,
  )
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'anyone', password: 'bench', database: 'crm' })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('select 1')
    const base = (await usage()).peak
    const { stream } = (client as unknown as { connection: { stream: import('node:net').Socket } }).connection
    for (const event of ['data', 'end', 'close']) stream.removeAllListeners(event)
    stream.pause()
    const text = Buffer.from(`select repeat('x', ${rowBytes}) from generate_series(1, ${floodBytes / rowBytes})\0`)
    const header = Buffer.alloc(5, 'Q')
    header.writeInt32BE(text.length + 4, 1)
    stream.write(Buffer.concat([header, text]))
    const bytes = await readSlowly(Readable.from(untilReady(stream), { objectMode: false }))
    if (bytes < floodBytes) throw new Error(`postgres sent ${bytes} bytes`)
    return (await usage()).peak - base
  } finally {
    client.end().catch(() => undefined)
    close()
    await server.stop()
  }
}

/** ReadyForQuery, outside a transaction. */
const ready = 'Z\0\0\0\x05I'

async function* untilReady(stream: Readable): AsyncGenerator<Buffer> {
  for await (const part of stream as AsyncIterable<Buffer>) {
    yield part
    if (part.subarray(-ready.length).toString('latin1') === ready) return
  }
}
