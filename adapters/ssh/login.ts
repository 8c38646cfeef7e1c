/**
 * From a handshake to a subject: by a registered public key whose private half is proved, or by a token or local key as password or
 * keyboard-interactive. Everything else is refused; what fails is recorded, and tries are counted.
 */
import type { AuthContext, Connection, KeyboardAuthContext, PublicKeyAuthContext } from 'ssh2'
import ssh2 from 'ssh2'
import { Refusal } from '../../lib/errors.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import { signatures } from './algorithms.ts'

export interface Door {
  readonly gate: Gate
  readonly target: string
  readonly address: string
  /** By a public key that was proved; undefined where none are registered. */
  readonly identifyKey: ((blob: Uint8Array) => Promise<Subject>) | undefined
}

export interface Arrival {
  readonly subject: Subject
  /** As the client named itself: which login at which host. */
  readonly user: string
}

type Method = 'publickey' | 'password' | 'keyboard-interactive'

/** As sshd's MaxAuthTries. */
const mostTries = 6

/** @param arrived called once, before the client is told. What never arrives is closed by whoever waits for it. */
export function authenticate(connection: Connection, door: Door, arrived: (arrival: Arrival) => void): void {
  const methods: Method[] = [
    ...(door.identifyKey === undefined ? [] : (['publickey'] as const)),
    'password',
    'keyboard-interactive',
  ]
  let tries = 0
  /** A key that nobody has registered: recorded where the client has no better one. */
  let offered: unknown
  let known = false

  const fail = async (context: AuthContext, error: unknown) => {
    offered = undefined
    await record(door, error)
    refuse(context)
  }
  const refuse = (context: AuthContext) => {
    tries += 1
    if (tries >= mostTries) connection.end()
    else context.reject(methods)
  }
  const enter = (context: AuthContext, subject: Subject) => {
    // Two requests sent at once are both answered; one of them counts.
    if (known) return
    known = true
    arrived({ subject, user: context.username })
    context.accept()
  }

  const decide = async (context: AuthContext): Promise<void> => {
    if (context.method === 'none') return context.reject(methods)
    if (context.method === 'publickey' && door.identifyKey !== undefined) {
      try {
        const subject = await byKey(context, door.identifyKey)
        // Only asked whether the key would do: PK_OK, and the proof comes next.
        if (context.signature === undefined) return context.accept()
        enter(context, subject)
      } catch (error) {
        if (context.signature !== undefined) return fail(context, error)
        offered = error
        refuse(context)
      }
      return
    }
    if (context.method !== 'password' && context.method !== 'keyboard-interactive') return refuse(context)
    const secret = context.method === 'password' ? context.password : await ask(context)
    if (secret === undefined) return
    try {
      // A request to change a password comes as an object.
      if (typeof secret !== 'string') throw new Refusal('ERR_UNIDENTIFIED', 'passwords are not changed here')
      enter(context, await door.gate.identify({ kind: 'bearer', secret }))
    } catch (error) {
      await fail(context, error)
    }
  }
  connection.on('authentication', context => void decide(context).catch(() => connection.end()))
  connection.once('close', () => {
    if (!known && offered !== undefined) void record(door, offered)
  })
}

/** @throws Refusal ERR_UNIDENTIFIED */
async function byKey(
  { key, blob, signature, hashAlgo }: PublicKeyAuthContext,
  identifyKey: (blob: Uint8Array) => Promise<Subject>,
): Promise<Subject> {
  const algorithm = hashAlgo === undefined ? key.algo : hashAlgo === 'sha256' ? 'rsa-sha2-256' : 'rsa-sha2-512'
  if (!(signatures as readonly string[]).includes(algorithm))
    throw new Refusal('ERR_UNIDENTIFIED', 'a key or signature of this kind is not taken here')
  const subject = await identifyKey(key.data)
  if (signature !== undefined && !holds(key.data, blob, signature, hashAlgo))
    throw new Refusal('ERR_UNIDENTIFIED', 'the signature is not by this key')
  return subject
}

function holds(data: Buffer, blob: Buffer | undefined, signature: Buffer, hashAlgo: string | undefined): boolean {
  const parsed = ssh2.utils.parseKey(data)
  const key = Array.isArray(parsed) ? parsed[0] : parsed
  if (key === undefined || key instanceof Error || blob === undefined) return false
  return (key.verify as (...of: unknown[]) => unknown)(blob, signature, hashAlgo) === true
}

/** @returns undefined where the client has asked for something else meanwhile */
function ask(context: KeyboardAuthContext): Promise<string | undefined> {
  return new Promise(resolve => {
    context.prompt([{ prompt: 'Token or key: ', echo: false }], answers => {
      // ssh2 gives an Error where another request came in between.
      resolve(Array.isArray(answers) ? (answers[0] ?? '') : undefined)
    })
  })
}

async function record({ gate, target, address }: Door, error: unknown): Promise<void> {
  // Whoever fails is refused all the same where it cannot be recorded.
  await gate.recordFailedLogin({ protocol: 'ssh', target, address, error }).catch(() => undefined)
}
