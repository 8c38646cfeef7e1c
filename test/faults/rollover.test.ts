/** A kill within a rollover: the next opening finishes it, and the series is whole. `COUNTERFOIL_FAULTS=all` goes through every call. */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { verifySeries } from '../../evidence/index.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openNewest } from '../../lib/ledger/rollover.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { compiledScript } from '../support/compiled.ts'
import { ledgerOptions, settled, temporaryDirectory } from '../support/directory-ledger.ts'
import { interop } from '../support/interop.ts'
import { inject } from './strace.ts'

const { privateKey: sealKey } = await generateKey({ name: 'seal' })
const key = await readPrivateKey(sealKey)
const child = compiledScript(new URL('children/rolling.ts', import.meta.url))
const alice = 'A'.repeat(22)

let folder: string
let options: DirectoryOptions

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counterfoil-rolling-'))
  options = ledgerOptions({ directory: folder, sealer: openpgpSealer(key) })
  const ledger = await openDirectoryLedger(options)
  await ledger.append([{ kind: 'principal', subject: alice, type: 'person', disclose: { name: 'alice' } }, settled()])
  await ledger.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** @returns whether the call that was meant was reached, and the process killed in front of it */
async function killedAt(strace: string, directory: string, call: string, when: number): Promise<boolean> {
  const { noteKey, wrappingKey, sealer: _, ...rest } = options
  const settings = {
    ...rest,
    ...{ directory, sealKey, noteKey: noteKey.export({ format: 'pem', type: 'pkcs8' }) },
    wrappingKey: Buffer.from(wrappingKey).toString('base64url'),
  }
  const rolling = spawn(process.execPath, [child, JSON.stringify(settings)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // One thread makes all calls on files: the n-th is the same each time.
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
  })
  rolling.stdin.on('error', () => undefined)
  const lines = createInterface({ input: rolling.stdout })[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('ready')
  const tracer = await inject(strace, rolling.pid!, { call, fault: 'KILL', when }, directory)
  rolling.stdin.write('\n')
  const done = (await lines.next()).value === 'done'
  if (rolling.exitCode === null && rolling.signalCode === null) await new Promise(over => rolling.once('exit', over))
  tracer.kill('SIGINT')
  return !done
}

async function isWholeAfter(directory: string): Promise<void> {
  const at = { ...options, directory }
  const ledger = await openNewest(at, { entries: 1 }, openDirectoryLedger)
  expect(await ledger.disclosures(2)).toEqual({ name: 'alice' })
  await ledger.append([settled()])
  await ledger.close()
  expect(ledger.origin).toBe(`${options.origin}/2`)
  const wrappingKey = Buffer.from(options.wrappingKey)
  const verified = await verifySeries({ directory, fingerprint: key.fingerprint, wrappingKey })
  expect(verified.map(({ verification: { verdict, findings } }) => [verdict, findings])).toEqual([
    ['OK', []],
    ['OK', []],
  ])
}

const sample: readonly (readonly [call: string, calls: readonly number[]])[] = [
  ['rename', [9, 17]],
  ['fsync', [24]],
  ['mkdir', [6]],
]
const every = ['openat', 'write', 'fsync', 'fdatasync', 'rename', 'mkdir', 'unlink'].map(
  call => [call, Array.from({ length: 400 }, (_, i) => i + 1)] as const,
)

describe('a ledger that is killed while it is rolled over', () => {
  for (const [call, calls] of process.env.COUNTERFOIL_FAULTS === 'all' ? every : sample) {
    interop(
      'strace',
      `is followed by a whole one, after a kill before ${call}`,
      async strace => {
        let kills = 0
        for (const when of calls) {
          const directory = temporaryDirectory()
          cpSync(folder, directory, { recursive: true })
          if (!(await killedAt(strace, directory, call, when))) break
          kills += 1
          await isWholeAfter(directory)
        }
        expect(kills).toBeGreaterThan(0)
      },
      7_200_000,
    )
  }
})
