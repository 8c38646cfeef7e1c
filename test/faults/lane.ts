/**
 * One writer that is asked for one ledger after the other, and is started again only where a fault ended it: rounds for a second each.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Campaign } from './campaign.ts'
import type { Asked } from './settings.ts'

export interface Heard {
  readonly lines: readonly string[]
  readonly end: 'done' | 'killed' | 'died'
  /** What a writer that died said on its standard error. */
  readonly last: string
}

/** A script that takes longer hangs. */
const longestMs = 120_000

export class Lane {
  readonly #campaign: Campaign
  #child: ChildProcess | undefined
  #lines: string[] = []
  #last = ''
  #told: () => void = () => undefined

  constructor(campaign: Campaign) {
    this.#campaign = campaign
  }

  /** @param attach called with the process, when it waits; what it returns is called when the script is at its end, or the process */
  async perform(asked: Asked, attach: (pid: number) => Promise<() => Promise<void>>): Promise<Heard> {
    const child = await this.#writer()
    const detach = await attach(child.pid!)
    this.#lines = []
    child.stdin!.write(`${JSON.stringify(asked)}\n`)
    const done = await this.#until('done')
    await detach()
    const lines = this.#lines.filter(line => line !== 'done')
    if (done) return { lines, end: 'done', last: '' }
    this.#child = undefined
    return { lines, end: child.signalCode === 'SIGKILL' ? 'killed' : 'died', last: this.#last }
  }

  async end(): Promise<void> {
    if (this.#child === undefined) return
    this.#child.stdin!.end()
    await once(this.#child, 'close')
  }

  async #writer(): Promise<ChildProcess> {
    if (this.#child !== undefined) return this.#child
    const { program, args, env } = this.#campaign.writer([], 'asked')
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env })
    this.#lines = []
    this.#last = ''
    child.stdin.on('error', () => undefined)
    child.stderr.on('data', chunk => {
      this.#last += chunk
    })
    createInterface({ input: child.stdout }).on('line', line => {
      if (line.endsWith(';')) this.#lines.push(line.slice(0, -1))
      this.#told()
    })
    child.once('close', () => this.#told())
    this.#child = child
    if (!(await this.#until('ready'))) throw new Error(`the writer did not start: ${this.#last}`)
    return child
  }

  /** @returns whether it was said, and not the process at its end before */
  async #until(word: string): Promise<boolean> {
    const child = this.#child!
    const timer = setTimeout(() => {
      this.#last += `HUNG: nothing was done within ${longestMs} ms`
      child.kill('SIGABRT')
    }, longestMs)
    try {
      while (this.#lines.at(-1) !== word) {
        if (child.exitCode !== null || child.signalCode !== null) {
          if (!child.stdout!.closed) await once(child.stdout!, 'close')
          return this.#lines.at(-1) === word
        }
        await new Promise<void>(resolve => {
          this.#told = resolve
        })
      }
      return true
    } finally {
      clearTimeout(timer)
    }
  }
}
