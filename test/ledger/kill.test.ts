import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Checkpoint, parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { encodeEntry } from '../../lib/format/entry.ts'
import { Frontier, leafHash } from '../../lib/format/merkle.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { compiledScript } from '../support/compiled.ts'
import { allEntries, ledgerOptions } from '../support/directory-ledger.ts'

const script = compiledScript(new URL('children/append-forever.ts', import.meta.url))

interface Said {
  readonly acknowledged: Map<number, string>
  readonly checkpoints: Checkpoint[]
}

/** What a writer says before the moment of its end is drawn: that it is ready, or that it has published. */
type Mark = 'ready' | '='

/** Runs a writer, kills it at a random moment after it has said that, and adds what it acknowledged. */
async function killed(options: DirectoryOptions, level: 'durable' | 'written', after: Mark, said: Said): Promise<void> {
  const key = options.noteKey.export({ type: 'pkcs8', format: 'pem' })
  const settings = JSON.stringify({ directory: options.directory, key, level })
  const child = spawn(process.execPath, [script, settings], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  let isDrawn = false
  const read = (async () => {
    for await (const line of lines) {
      const [first, second] = line.split(' ')
      if (first === after && !isDrawn) {
        isDrawn = true
        void setTimeout(50 + Math.random() * 250).then(() => child.kill('SIGKILL'))
      }
      if (first === '=') said.checkpoints.push(parseCheckpoint(Buffer.from(second!, 'base64')))
      else if (first !== 'ready') said.acknowledged.set(Number(first), second!)
    }
  })()
  const [, signal] = await once(child, 'exit')
  expect(signal).toBe('SIGKILL')
  await read
}

describe('a writer that is killed again and again', () => {
  for (const level of ['durable', 'written'] as const) {
    it(`loses nothing that it acknowledged as ${level}, and every checkpoint that it signed still holds`, async () => {
      const options = ledgerOptions()
      const said: Said = { acknowledged: new Map(), checkpoints: [] }
      const marks = ['ready', '=', 'ready', '='] as const
      for (const mark of marks) await killed(options, level, mark, said)
      const ledger = await openDirectoryLedger(options)
      const entries = await allEntries(ledger)
      await ledger.close()
      for (const [index, id] of said.acknowledged) expect(entries[index]?.entry.id, `entry ${index}`).toBe(id)
      expect(entries.map(({ entry }) => entry.seq)).toEqual(entries.map((_, i) => i + 1))
      expect(entries.filter(({ entry }) => entry.kind === 'recovered')).toHaveLength(marks.length)
      const roots = new Map<number, string>()
      const tree = new Frontier()
      for (const { entry } of entries) {
        tree.append(leafHash(encodeEntry(entry)))
        roots.set(tree.size, Buffer.from(tree.root()).toString('hex'))
      }
      for (const { size, root } of said.checkpoints) expect(Buffer.from(root).toString('hex')).toBe(roots.get(size))
      expect(said.acknowledged.size).toBeGreaterThan(20)
      expect(said.checkpoints.length).toBeGreaterThan(0)
    })
  }
})
