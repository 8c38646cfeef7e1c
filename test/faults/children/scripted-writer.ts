/**
 * Writes ledgers by a fixed script, and says on its standard output what came of each step. Where a step fails it must fail with a typed
 * error, and the ledger must refuse from then on; it is opened again, as a supervisor would, and the script goes on. Each line begins with
 * the place of its ledger among the settings' and ends with a semicolon: one that was cut off by a kill was not said.
 *
 *   ready                     everything is loaded; the script begins when a byte arrives on standard input
 *   N + INDEX ID ...          acknowledged
 *   N = BASE64                a checkpoint that was signed
 *   N ! STEP: CODE            a step failed with a typed error
 *   N ? STEP: TEXT            it failed as it never should
 *   done                      the script is at its end
 */
import { createPrivateKey } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOurs } from '../../../lib/errors.ts'
import { formatCheckpoint, type SignedCheckpoint } from '../../../lib/format/checkpoint.ts'
import { uuidv7 } from '../../../lib/format/entry.ts'
import { openDirectoryLedger } from '../../../lib/ledger/directory.ts'
import type { AppendOptions, Draft, Ledger } from '../../../lib/ledger/ledger.ts'
import { openpgpSealer } from '../../../lib/ledger/sealer.ts'
import { readPrivateKey } from '../../../lib/openpgp.ts'
import type { WriterSettings } from '../settings.ts'

const settings = JSON.parse(process.argv[2]!) as WriterSettings
const sealer = openpgpSealer(await readPrivateKey(settings.sealKey))
const noteKey = createPrivateKey(settings.noteKey)

const settled = (more: object = {}): Draft => ({ kind: 'settled', exchanges: [], result: 'committed', ...more })
const disclosing = (length: number, slot: string) => settled({ disclose: { name: 'x'.repeat(length) }, slot })
const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i))

// Table: the script. Erasures and other writers' work belong here too, as further rows.
// biome-ignore format: a table
const script: readonly [name: string, step: (w: ScriptedWriter, l: Ledger) => Promise<unknown>][] = [
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
/** An attachment that could not be written stops what was to be recorded, and not the ledger. */
const mayGoOn = (step: string) => step.includes('attach')

class ScriptedWriter {
  readonly #directory: string
  readonly #say: (line: string) => void

  constructor(directory: string, say: (line: string) => void) {
    this.#directory = directory
    this.#say = say
  }

  async perform(): Promise<void> {
    await this.#steps(script)
    await this.#steps(script.slice(0, 4))
  }

  readonly signed = (checkpoint: SignedCheckpoint): void => {
    this.#say(`= ${Buffer.from(formatCheckpoint(checkpoint)).toString('base64')}`)
  }

  async append(ledger: Ledger, drafts: readonly Draft[], level: AppendOptions['level'] = 'durable'): Promise<void> {
    const stored = await ledger.append(drafts, { level })
    this.#say(`+ ${stored.map(({ index, entry }) => `${index} ${entry.id}`).join(' ')}`)
  }

  async attach(ledger: Ledger, bytes: number): Promise<void> {
    const writer = await ledger.attach({ slot: 'session:1' })
    await writer.write(Buffer.alloc(bytes, 'recorded'))
    const { id, salt, ...closed } = await writer.close()
    const of = {
      attachment: id,
      exchange: uuidv7(Date.now()),
      part: 'response',
      type: 'text/plain',
      ...closed,
    } as const
    await this.append(ledger, [{ kind: 'attachment', ...of, disclose: { contentSalt: salt }, slot: 'session:1' }])
  }

  /** What was refused with a type, or otherwise. */
  failed(step: string, error: unknown): void {
    if (isOurs(error)) this.#say(`! ${step}: ${error.code}`)
    else {
      const told = String(error instanceof Error ? error.stack : error)
      this.#say(`? ${step}: ${told.split('\n').slice(0, 4).join(' ')}`)
    }
  }

  async #steps(steps: typeof script): Promise<void> {
    let ledger = await this.#open()
    for (const [name, step] of steps) {
      if (ledger === undefined) return
      try {
        await step(this, ledger)
      } catch (error) {
        this.failed(name, error)
        if (!mayGoOn(name)) await this.#requireRefusal(ledger, name)
        await this.#close(ledger)
        ledger = await this.#open()
      }
    }
    if (ledger !== undefined) await this.#close(ledger)
  }

  /** A fault may meet the opening as well: it is tried again, and after a while given up, which loses nothing. */
  async #open(): Promise<Ledger | undefined> {
    for (let tries = 0; tries < 12; tries += 1) {
      try {
        const ledger = await openDirectoryLedger({
          directory: this.#directory,
          origin: 'crm.example/faults',
          writer: 'crm-gateway',
          noteKey,
          sealer,
          wrappingKey: Buffer.alloc(32, 7),
          software: 'counterfoil/faults',
          placement: 'gateway',
          publishMs: 40,
          segmentBytes: 24_000,
          create: true,
        })
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
    const path = join(this.#directory, 'checkpoint')
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
}

/** Written at once, and again where the fault was meant for the ledger and met our own words. */
function say(line: string): void {
  const bytes = Buffer.from(`${line};\n`)
  for (let at = 0, tries = 0; at < bytes.length && tries < 20; tries += 1) {
    try {
      at += writeSync(1, bytes, at)
    } catch {
      // Said at the next attempt.
    }
  }
}

const writers = settings.directories.map((directory, i) => new ScriptedWriter(directory, line => say(`${i} ${line}`)))
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, error => {
    writers[0]!.failed(event, error)
    process.exit(1)
  })
}

// Once for nobody, so that every module is loaded and every function has run: the faults are for the ledger alone.
const scratch = mkdtempSync(join(tmpdir(), 'counterfoil-warm-'))
if (!settings.forever) await new ScriptedWriter(scratch, () => undefined).perform()
rmSync(scratch, { recursive: true, force: true })

say('ready')
await new Promise(resolve => process.stdin.once('data', resolve))
process.stdin.destroy()
do {
  await Promise.all(writers.map(writer => writer.perform()))
} while (settings.forever)
say('done')
process.exit(0)
