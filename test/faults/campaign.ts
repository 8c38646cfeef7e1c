/** Rounds of faults: a scripted writer, a fault or a kill, and a witness who says what of its ledgers does not hold. */
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as after } from 'node:timers/promises'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey, type SigningKey } from '../../lib/openpgp.ts'
import { compiledScript } from '../support/compiled.ts'
import type { WriterSettings } from './settings.ts'
import { type Injection, inject } from './strace.ts'
import { Witness } from './witness.ts'

export interface Round {
  /** What does not hold; empty in a good round. */
  readonly wrong: readonly string[]
  readonly acknowledged: number
  readonly checkpoints: number
  /** Steps that failed with a typed error. */
  readonly refusals: number
  /** How the writer ended: `died` of a fault that its runtime does not survive. */
  readonly end: 'done' | 'killed' | 'died'
}

/** A machine that has much else to do may take long from one life to the next: that is no silence of the writer's. */
const longestBetweenMs = 86_400_000

/** A script that takes longer hangs. */
const longestMs = 300_000

/** Keys, a compiled writer, and a folder for its ledgers: what all rounds share. */
export class Campaign {
  readonly #script = compiledScript(new URL('children/scripted-writer.ts', import.meta.url))
  readonly #folder = mkdtempSync(join(tmpdir(), 'counterfoil-faults-'))
  readonly #noteKey = generateKeyPairSync('ed25519').privateKey
  readonly #sealKey: SigningKey
  readonly #armored: string
  #made = 0

  private constructor(armored: string, sealKey: SigningKey) {
    this.#armored = armored
    this.#sealKey = sealKey
  }

  static async begin(): Promise<Campaign> {
    const { privateKey } = await generateKey({ name: 'Faults' })
    return new Campaign(privateKey, await readPrivateKey(privateKey))
  }

  end(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The script once, a fault in its way. */
  fault(strace: string, injection: Injection): Promise<Round> {
    return this.#withLedgers(1, ledgers =>
      this.#live(ledgers, { begun: pid => inject(strace, pid, injection, ledgers[0]!.directory) }),
    )
  }

  /** The script, with no file allowed to grow beyond so many bytes: writes are cut short there, and then refused. */
  limit(prlimit: string, bytes: number): Promise<Round> {
    const command = [prlimit, `--fsize=${bytes}:${bytes}`]
    return this.#withLedgers(1, ledgers => this.#live(ledgers, { command }))
  }

  /** Writers of several ledgers in one process, killed at some moment of each life, and opened again. */
  kill(count: number, lives: readonly Moment[]): Promise<readonly Round[]> {
    return this.#withLedgers(count, async ledgers => {
      const rounds: Round[] = []
      for (const killed of lives) rounds.push(await this.#live(ledgers, { forever: true, killed }))
      return rounds
    })
  }

  async #withLedgers<T>(count: number, use: (ledgers: readonly Witness[]) => Promise<T>): Promise<T> {
    const folder = this.newFolder()
    const ledgers = Array.from({ length: count }, (_, i) => {
      const directory = join(folder, `ledger-${i}`)
      mkdirSync(directory)
      return this.witness(directory)
    })
    const result = await use(ledgers)
    rmSync(folder, { recursive: true, force: true })
    return result
  }

  get fingerprint(): string {
    return this.#sealKey.fingerprint
  }

  /** A witness of a ledger that is to be in that folder, and of nothing said before. */
  witness(directory: string): Witness {
    return new Witness(this.options(directory), this.fingerprint, `${directory}.pin`)
  }

  /** @returns the program, its arguments and its surroundings. @param command what it is run under */
  writer(
    directories: readonly string[],
    mode: WriterSettings['mode'],
    command: readonly string[] = [],
  ): { readonly program: string; readonly args: readonly string[]; readonly env: NodeJS.ProcessEnv } {
    const settings: WriterSettings = {
      directories,
      noteKey: this.#noteKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      sealKey: this.#armored,
      mode,
    }
    const [program, ...args] = [...command, process.execPath, this.#script, JSON.stringify(settings)]
    // One thread for files, so that the calls of a run come in the same order every time.
    return { program: program!, args, env: { ...process.env, UV_THREADPOOL_SIZE: '1' } }
  }

  /** A new folder, that is removed with all others at the end. */
  newFolder(): string {
    this.#made += 1
    const folder = join(this.#folder, String(this.#made))
    mkdirSync(folder)
    return folder
  }

  options(directory: string): DirectoryOptions {
    return {
      directory,
      origin: 'crm.example/faults',
      writer: 'crm-gateway',
      noteKey: this.#noteKey,
      sealer: openpgpSealer(this.#sealKey),
      wrappingKey: Buffer.alloc(32, 7),
      software: 'counterfoil/faults',
      placement: 'gateway',
      heartbeatMs: longestBetweenMs,
      create: true,
    }
  }

  async #live(ledgers: readonly Witness[], { command = [], forever = false, begun, killed }: Life): Promise<Round> {
    const directories = ledgers.map(({ directory }) => directory)
    const { program, args, env } = this.writer(directories, forever ? 'forever' : 'once', command)
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env })
    const wrong: string[] = []
    const [heard, said] = await Promise.all([
      listen(child, ledgers, wrong, { begun, killed }),
      text(child),
      ended(child, wrong),
    ])
    if (heard.end === 'died' && said.includes('Error')) wrong.push(`the writer failed: ${said.slice(0, 2000)}`)
    for (const ledger of ledgers) wrong.push(...(await ledger.examine({ again: !forever })))
    const sum = (of: (ledger: Witness) => number) => ledgers.reduce((all, ledger) => all + of(ledger), 0)
    return {
      wrong,
      acknowledged: sum(({ acknowledged }) => acknowledged.size),
      checkpoints: sum(({ checkpoints }) => checkpoints),
      refusals: heard.refusals,
      end: heard.end,
    }
  }
}

/** So many milliseconds after the writer said so many lines. */
export interface Moment {
  readonly lines: number
  readonly milliseconds: number
}

interface Life {
  /** What the writer is run under. */
  readonly command?: readonly string[]
  readonly forever?: boolean
  /** Called when the script is about to begin. */
  readonly begun?: ((pid: number) => Promise<unknown>) | undefined
  readonly killed?: Moment | undefined
}

/** Gives each line to the witness of its ledger. */
async function listen(
  child: ChildProcess,
  ledgers: readonly Witness[],
  wrong: string[],
  { begun, killed }: Life,
): Promise<{ end: Round['end']; refusals: number }> {
  let refusals = 0
  let done = false
  let lines = 0
  for await (const said of createInterface({ input: child.stdout! })) {
    if (!said.endsWith(';')) continue
    const line = said.slice(0, -1)
    if (killed?.lines === lines) void after(killed.milliseconds).then(() => child.kill('SIGKILL'))
    lines += 1
    if (line === 'ready') {
      await begun?.(child.pid!)
      child.stdin!.on('error', () => undefined)
      child.stdin!.write('x')
    } else if (line === 'done') done = true
    else {
      const space = line.indexOf(' ')
      const never = ledgers[Number(line.slice(0, space))]?.hear(line.slice(space + 1))
      if (never !== undefined) wrong.push(never)
      if (line.startsWith('!', space + 1)) refusals += 1
    }
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return { end: done ? 'done' : child.signalCode === 'SIGKILL' ? 'killed' : 'died', refusals }
}

async function text(child: ChildProcess): Promise<string> {
  let said = ''
  for await (const chunk of child.stderr!) said += chunk
  return said
}

async function ended(child: ChildProcess, wrong: string[]): Promise<void> {
  const timer = setTimeout(() => {
    wrong.push(`HUNG: the writer did not end within ${longestMs} ms`)
    child.kill('SIGKILL')
  }, longestMs)
  await once(child, 'close')
  clearTimeout(timer)
}
