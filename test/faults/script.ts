/** What is done to a ledger while faults are in its way: fixed scripts, and who performs them and says what came of each step. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isOurs } from '../../lib/errors.ts'
import { formatCheckpoint, type SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import { uuidv7 } from '../../lib/format/entry.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { AppendOptions, Draft, Ledger } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import type { Limit } from './settings.ts'

const settled = (more: object = {}): Draft => ({ kind: 'settled', exchanges: [], result: 'committed', ...more })
const disclosing = (length: number, slot: string) => settled({ disclose: { name: 'x'.repeat(length) }, slot })
const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i))

const [customer, officer, counsel] = ['customer', 'officer', 'counsel'].map(name => name.padEnd(22, '-')) as [
  string,
  string,
  string,
]
const session = '0190b0a0-0000-7000-8000-00000000aaaa'

export type Step = readonly [name: string, step: (w: ScriptedWriter, l: Ledger) => Promise<unknown>]

/** Table: every kind of step, several groups under way at once, across a segment and a full tile. */
// biome-ignore format: a table
export const long: readonly Step[] = [
  ['append one',            (w, l) => w.append(l, [settled()])],
  ['append three',          (w, l) => w.append(l, times(3, i => disclosing(10, `principal:${i}`)))],
  ['append at both levels', (w, l) => Promise.all(times(9, i => w.append(l, [disclosing(20, 'session:1')], i % 3 === 0 ? 'durable' : 'written')))],
  ['publish',               (w, l) => l.publish().then(w.signed)],
  ['attach',                (w, l) => w.attach(l, 70_000)],
  ['many slots at once',    (w, l) => w.append(l, times(100, i => disclosing(5, `principal:${l.size}:${i}`)))],
  ['seal',                  (w, l) => l.seal().then(w.signed)],
  ['rotate',                (w, l) => Promise.all(times(4, i => w.append(l, times(3, () => disclosing(6000, `session:${i}`)))))],
  ['rotate, written',       (w, l) => Promise.all(times(6, i => w.append(l, [disclosing(9000, `session:${i}`)], 'written')))],
  ['past a full tile',      (w, l) => w.append(l, times(160, () => settled()))],
  ['publish again',         (w, l) => l.publish().then(w.signed)],
  ['append and seal',       (w, l) => Promise.all([w.append(l, [settled()]), l.seal().then(w.signed), w.append(l, [settled()], 'written')])],
  ['publish and attach',    (w, l) => Promise.all([l.publish().then(w.signed), w.append(l, times(5, () => settled())), w.attach(l, 10)])],
]

/** Table: what the brief scripts begin from, a little below a full tile. */
// biome-ignore format: a table
export const before: readonly Step[] = [
  ['people',                (w, l) => w.append(l, [customer, officer, counsel].map(person))],
  ['a session',             (w, l) => w.append(l, [{ kind: 'session-opened', session, subject: customer, protocol: 'postgres', target: 'crm', method: 'key', tls: false, disclose: { address: '192.0.2.1' }, slot: `session:${session}` }])],
  ['what was shown in it',  (w, l) => w.attach(l, 300, session)],
  ['nearly a full tile',    (w, l) => w.append(l, times(236, () => settled()))],
  ['publish',               (w, l) => l.publish().then(w.signed)],
  ['append and no more',    (w, l) => w.append(l, times(2, () => disclosing(10, 'session:1')))],
]

/** Table: as little as has a log of every kind of frame, before and behind its checkpoint. */
// biome-ignore format: a table
export const small: readonly Step[] = [
  ['people',                (w, l) => w.append(l, [customer].map(person))],
  ['publish',               (w, l) => l.publish().then(w.signed)],
  ['attach',                (w, l) => w.attach(l, 10)],
  ['three at once',         (w, l) => w.append(l, times(3, () => settled()))],
  ['append and no more',    (w, l) => w.append(l, [disclosing(10, 'session:1')])],
]

/** Table: each kind of step once, one call after the other, so that the n-th of a run is the same one in the next. */
// biome-ignore format: a table
export const brief: readonly Step[] = [
  ['append',                (w, l) => w.append(l, [disclosing(10, 'session:2')])],
  ['append, written',       (w, l) => w.append(l, [settled()], 'written')],
  ['attach',                (w, l) => w.attach(l, 10)],
  ['past a full tile',      (w, l) => w.append(l, times(8, () => settled()))],
  ['publish',               (w, l) => l.publish().then(w.signed)],
  ['many slots at once',    (w, l) => w.append(l, times(70, i => disclosing(300, `principal:${i}`)))],
  ['seal',                  (w, l) => l.seal().then(w.signed)],
  ['erase',                 (w, l) => w.erase(l)],
  ['append after it',       (w, l) => w.append(l, [settled()])],
]

/** Table: a new ledger. */
// biome-ignore format: a table
export const first: readonly Step[] = [
  ['append',                (w, l) => w.append(l, [disclosing(10, 'session:2')])],
  ['publish',               (w, l) => l.publish().then(w.signed)],
]

/** An attachment that could not be written stops what was to be recorded, an erasure that could not be begun itself; not the ledger. */
const mayGoOn = (step: string) => step.includes('attach') || step === 'erase'

const person = (subject: string): Draft => ({
  ...{ kind: 'principal', subject, type: 'person' },
  ...{ disclose: { name: `${subject.replaceAll('-', '')}@crm.example` }, slot: `principal:${subject}` },
})

export class ScriptedWriter {
  readonly #options: DirectoryOptions
  readonly #say: (line: string) => void
  readonly #limit: Limit | undefined

  /** @param limit on the size of files, during one step */
  constructor(options: DirectoryOptions, say: (line: string) => void, limit?: Limit) {
    this.#options = options
    this.#say = say
    this.#limit = limit
  }

  /** Opens the ledger, takes the steps, opening it again after each that failed, and closes it. */
  async perform(steps: readonly Step[]): Promise<void> {
    let ledger = await this.#limited('open', () => this.open())
    for (const [name, step] of steps) {
      if (ledger === undefined) return
      const open = ledger
      try {
        await this.#limited(name, () => step(this, open))
      } catch (error) {
        this.failed(name, error)
        if (!mayGoOn(name)) await this.#requireRefusal(ledger, name)
        await this.#close(ledger)
        ledger = await this.open()
      }
    }
    const last = ledger
    if (last !== undefined) await this.#limited('close', () => this.#close(last))
  }

  readonly signed = (checkpoint: SignedCheckpoint): void => {
    this.#say(`= ${Buffer.from(formatCheckpoint(checkpoint)).toString('base64')}`)
  }

  async append(ledger: Ledger, drafts: readonly Draft[], level: AppendOptions['level'] = 'durable'): Promise<void> {
    const stored = await ledger.append(drafts, { level })
    this.#say(`+ ${stored.map(({ index, entry }) => `${index} ${entry.id}`).join(' ')}`)
  }

  /** @param of a session that can be erased */
  async attach(ledger: Ledger, bytes: number, of?: string): Promise<void> {
    const slot = `session:${of ?? '1'}`
    const writer = await ledger.attach({ slot })
    await writer.write(Buffer.alloc(bytes, 'recorded'))
    const { id, salt, ...closed } = await writer.close()
    const about = {
      attachment: id,
      exchange: uuidv7(Date.now()),
      ...(of === undefined ? {} : { session: of }),
      part: 'response',
      type: 'text/plain',
      ...closed,
    } as const
    await this.append(ledger, [{ kind: 'attachment', ...about, disclose: { contentSalt: salt }, slot }])
  }

  async erase(ledger: Ledger): Promise<void> {
    const asked = { ground: 'art-17', by: officer, approvers: [counsel], basis: 'asked in writing' } as const
    const stored = await ledger.erase!({ scope: 'session', of: session, ...asked })
    this.#say(`+ ${stored.map(({ index, entry }) => `${index} ${entry.id}`).join(' ')}`)
  }

  /** What was refused with a type, or otherwise. */
  failed(step: string, error: unknown): void {
    if (isOurs(error)) this.#say(`! ${step}: ${error.code}`)
    else {
      const told = String(error instanceof Error ? error.stack : error)
      this.#say(`? ${step}: ${told.split('\n').slice(0, 4).join(' ')}`)
    }
  }

  /** A fault may meet the opening as well: it is tried again, and after a while given up, which loses nothing. */
  async open(): Promise<Ledger | undefined> {
    for (let tries = 0; tries < 12; tries += 1) {
      try {
        const ledger = await openDirectoryLedger(this.#options)
        this.#sayPublished()
        return ledger
      } catch (error) {
        this.failed('open', error)
      }
    }
    return undefined
  }

  async #close(ledger: Ledger): Promise<void> {
    await ledger.close().catch(error => this.failed('close', error))
    this.#sayPublished()
  }

  /** Openings and closings sign too, and tell nobody but the disk. */
  #sayPublished(): void {
    const path = join(this.#options.directory, 'checkpoint')
    try {
      this.#say(`= ${readFileSync(path).toString('base64')}`)
    } catch {
      // A fault met us, and not the ledger: the next one says it.
    }
  }

  /** A ledger that failed to write accepts nothing more. */
  async #requireRefusal(ledger: Ledger, step: string): Promise<void> {
    try {
      await this.append(ledger, [settled()])
      this.failed(step, 'failed, and the ledger went on')
    } catch (error) {
      this.failed(`${step}, then append`, error)
    }
  }

  async #limited<T>(step: string, take: () => Promise<T>): Promise<T> {
    if (this.#limit?.step !== step) return take()
    const { prlimit, bytes } = this.#limit
    const atMost = (most: number | string) => {
      const { status } = spawnSync(prlimit, ['--pid', String(process.pid), `--fsize=${most}:`])
      if (status !== 0) throw new Error(`prlimit: ${status}`)
    }
    atMost(bytes)
    try {
      return await take()
    } finally {
      atMost('unlimited')
    }
  }
}
