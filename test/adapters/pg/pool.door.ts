/** A guarded pool in front of a real server, asked as an application asks it for its jobs: `pool.as(subject)`. */
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { type GuardedPool, guardedPool, refusal } from '../../../adapters/pg/pool/index.ts'
import type { Gate } from '../../../lib/gate.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import { type Answer, type Call, credentialOf, type Door, type OpenDoor, type Work } from '../conformance.ts'
import { type Asked, Asking, statements, upstream } from './works.ts'

async function open(gate: Gate, { url, ...asked }: Asked): Promise<OpenDoor> {
  const pool = guardedPool(gate, new pg.Pool({ connectionString: url }))
  pool.on('error', () => undefined)
  return {
    call: (work, as, stall = false) => call(gate, pool, work, as, stall),
    ...asked,
    silentClient: async () => {
      const client = await pool.connect()
      // Asked for once another has been answered: until then it is taken, and says nothing.
      return {
        get closed() {
          client.release(true)
          return new Promise<void>(resolve => client.once('end', resolve))
        },
      }
    },
    close: () => pool.end(),
  }
}

/** The application verifies who asks; whom it cannot verify it does not name, and nobody is refused. */
const verified = (gate: Gate, as: Subject) =>
  gate.identify({ kind: 'bearer', secret: credentialOf(as) }).catch(() => undefined)

function call(gate: Gate, pool: GuardedPool, work: Work, as: Subject, stall: boolean): Call {
  const gone = new AbortController()
  const asking = new Asking()
  let stream: Duplex | undefined
  const run = async (): Promise<Answer> => {
    const subject = await verified(gate, as)
    const asker = subject === undefined ? pool : pool.as(subject, { address: '127.0.0.1', signal: gone.signal })
    const client = (await asker.connect())!
    const notice = ({ message }: { message?: string | undefined }) => void asking.told.push(message ?? '')
    client.on('notice', notice)
    try {
      stream = (client as unknown as { connection: { stream: Duplex } }).connection.stream
      if (stall) stream.pause()
      // What is asked under a grant is one query: nothing binds the next one to it.
      const texts = work === 'silent change' ? [statements[work].join('; ')] : statements[work]
      await asking.ask(client, texts, work !== 'flood')
      return asking.whole
    } catch (error) {
      return asking.failed(error, refusal(error)?.code)
    } finally {
      // The server counts what a connection has read once it is closed.
      client.release(true)
    }
  }
  return {
    answer: run(),
    hangUp: () => gone.abort(new Error('the job is over')),
    resume: () => void stream?.resume(),
  }
}

/** Registers a server for the file that it is called in. */
export function poolDoor(): Door {
  const server = upstream()
  return {
    name: 'a guarded pool',
    open: async gate => open(gate, await server()),
    personal: 'crm/public.customers',
    words: { change: 'update', destroy: 'drop' },
    changed: 'crm/public.orders',
    inProcess: true,
  }
}
