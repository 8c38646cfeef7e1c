/** Processes that share a ledger, the leading one killed again and again. `TAKEOVER_ROUNDS=200` for a long campaign. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { verifyLedger } from '../../evidence/verify.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { compiledScript } from '../support/compiled.ts'
import { allEntries, ledgerOptions } from '../support/directory-ledger.ts'

const script = compiledScript(new URL('children/share.ts', import.meta.url))
const rounds = Number(process.env.TAKEOVER_ROUNDS ?? 6)
const writers = ['one', 'two', 'three', 'four']

interface Running {
  readonly writer: string
  readonly child: ChildProcess
  readonly read: Promise<void>
}

class Processes {
  readonly acknowledged = new Map<number, string>()
  readonly running = new Map<string, Running>()
  readonly #options: DirectoryOptions
  readonly #seal: string

  constructor(options: DirectoryOptions, seal: string) {
    this.#options = options
    this.#seal = seal
  }

  start(writer: string): void {
    const key = this.#options.noteKey.export({ type: 'pkcs8', format: 'pem' })
    const settings = JSON.stringify({ directory: this.#options.directory, key, seal: this.#seal, writer })
    const child = spawn(process.execPath, [script, settings], { stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const read = (async () => {
      for await (const line of createInterface({ input: child.stdout })) {
        const [index, id] = line.split(' ')
        if (id !== undefined) this.acknowledged.set(Number(index), id)
      }
    })()
    this.running.set(writer, { writer, child, read })
  }

  /** Resolves when more has been acknowledged. */
  async progress(): Promise<void> {
    const before = this.acknowledged.size
    while (this.acknowledged.size < before + 40) await setTimeout(5)
  }

  /** Kills who holds the lock. @returns its writer */
  async killLeader(): Promise<string> {
    for (;;) {
      const pid = Number(readFileSync(join(this.#options.directory, 'LOCK'), 'utf8'))
      const leader = [...this.running.values()].find(({ child }) => child.pid === pid)
      if (leader !== undefined) {
        leader.child.kill('SIGKILL')
        await once(leader.child, 'exit')
        await leader.read
        return leader.writer
      }
      await setTimeout(5)
    }
  }

  async stop(): Promise<void> {
    for (const { child } of this.running.values()) child.stdin!.end()
    await Promise.all([...this.running.values()].map(({ child }) => child.exitCode ?? once(child, 'exit')))
    await Promise.all([...this.running.values()].map(({ read }) => read))
  }
}

describe('processes that share a ledger', () => {
  it('lose nothing and double nothing, however often their leader is killed', {
    timeout: 60_000 * rounds,
  }, async () => {
    const { privateKey, fingerprint } = await generateKey({ name: 'Test ledger' })
    const options = { ...ledgerOptions(), sealer: openpgpSealer(await readPrivateKey(privateKey)) }
    const processes = new Processes(options, privateKey)
    for (const writer of writers) processes.start(writer)
    for (let round = 0; round < rounds; round += 1) {
      await processes.progress()
      processes.start(await processes.killLeader())
    }
    await processes.progress()
    await processes.stop()

    const verified = await verifyLedger({ directory: options.directory, fingerprint })
    expect(verified.findings).toEqual([])
    const ledger = await openDirectoryLedger(options)
    const entries = await allEntries(ledger)
    await ledger.close()
    for (const [index, id] of processes.acknowledged) expect(entries[index]?.entry.id, `entry ${index}`).toBe(id)
    expect(new Set(entries.map(({ entry }) => entry.id)).size).toBe(entries.length)
    for (const writer of writers) {
      const own = entries.filter(({ entry }) => entry.writer === writer)
      expect(own.map(({ entry }) => entry.seq)).toEqual(own.map((_, i) => i + 1))
    }
    const decided = entries.flatMap(({ entry }) => (entry.kind === 'decision' ? [entry.exchange] : []))
    const ended = entries.flatMap(({ entry }) => (entry.kind === 'outcome' ? [entry.exchange] : []))
    expect(new Set(decided).size).toBe(decided.length)
    expect(ended.toSorted()).toEqual(decided.toSorted())
    expect(entries.filter(({ entry }) => entry.kind === 'recovered').length).toBeGreaterThanOrEqual(rounds)
  })
})
