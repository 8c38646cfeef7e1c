/** The PostgreSQL gateway in front of a real server, asked by pg. */
import { connect, type Socket } from 'node:net'
import pg from 'pg'
import { type PostgresGateway, postgresGateway } from '../../../adapters/pg/index.ts'
import type { Gate } from '../../../lib/gate.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import { type Answer, type Call, credentialOf, type Door, type OpenDoor, type Work } from '../conformance.ts'
import { type Asked, Asking, statements, upstream } from './works.ts'

async function open(gate: Gate, { url, ...asked }: Asked): Promise<OpenDoor> {
  const made: PostgresGateway = await postgresGateway({ gate, target: 'crm', upstream: url, handshakeMs: 800 })
  const { port } = await made.listen(0, '127.0.0.1')
  return {
    call: (work, as, stall = false) => call(port, work, as, stall),
    ...asked,
    silentClient: () =>
      new Promise(resolve => {
        const socket = connect(port, '127.0.0.1', () => {
          // The first half of a startup packet's length.
          socket.write(Buffer.from([0, 0]))
          socket.resume()
          resolve({ closed: new Promise<void>(done => socket.once('close', () => done())) })
        })
        socket.on('error', () => undefined)
      }),
    close: () => made.close(),
  }
}

function call(port: number, work: Work, as: Subject, stall: boolean): Call {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port, user: 'anyone', database: 'crm', password: credentialOf(as) },
  })
  client.on('error', () => undefined)
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
  const asking = new Asking()
  client.on('notice', ({ message }) => asking.told.push(message ?? ''))
  const run = async (): Promise<Answer> => {
    try {
      await client.connect()
      // Paused after the login, so that the reply is what waits.
      if (stall) stream.pause()
      await asking.ask(client, statements[work], work !== 'flood')
      return asking.whole
    } catch (error) {
      return asking.failed(error, (error as pg.DatabaseError).routine)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  return { answer: run(), hangUp: () => stream.destroy(), resume: () => stream.resume() }
}

/** Registers a server for the file that it is called in. */
export function postgresDoor(): Door {
  const server = upstream()
  return {
    name: 'the PostgreSQL gateway',
    open: async gate => open(gate, await server()),
    personal: 'crm/public.customers',
    words: { change: 'update', destroy: 'drop' },
    changed: 'crm/public.orders',
  }
}
