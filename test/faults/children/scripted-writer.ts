/**
 * Writes ledgers by a fixed script, and says on its standard output what came of each step. Where a step fails it must
 * fail with a typed error, and the ledger must refuse from then on; it is opened again, as a supervisor would, and the
 * script goes on. Each line begins with the place of its ledger among the settings' and ends with a semicolon: one that
 * was cut off by a kill was not said.
 *
 *   ready                     everything is loaded; the script begins when a byte arrives on standard input, or a line that asks
 *   N + INDEX ID ...          acknowledged
 *   N = BASE64                a checkpoint that was signed
 *   N ! STEP: CODE            a step failed with a typed error
 *   N ? STEP: TEXT            it failed as it never should
 *   done                      the script is at its end
 */
import { createPrivateKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { DirectoryOptions } from '../../../lib/ledger/options.ts'
import { openpgpSealer } from '../../../lib/ledger/sealer.ts'
import { readPrivateKey } from '../../../lib/openpgp.ts'
import { before, brief, first, long, ScriptedWriter } from '../script.ts'
import type { Asked, WriterSettings } from '../settings.ts'

const settings = JSON.parse(process.argv[2]!) as WriterSettings
const sealer = openpgpSealer(await readPrivateKey(settings.sealKey))
const noteKey = createPrivateKey(settings.noteKey)

const optionsOf = (directory: string): DirectoryOptions => ({
  directory,
  origin: 'crm.example/faults',
  writer: 'crm-gateway',
  noteKey,
  sealer,
  wrappingKey: Buffer.alloc(32, 7),
  software: 'counterfoil/faults',
  placement: 'gateway',
  // Where the n-th call is meant, none is made by a timer.
  publishMs: settings.mode === 'asked' ? 1e8 : 40,
  // As the campaign that goes on with it has it: see there.
  heartbeatMs: 86_400_000,
  segmentBytes: 24_000,
  create: true,
})

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

async function performLong(writer: ScriptedWriter): Promise<void> {
  await writer.perform(long)
  await writer.perform(long.slice(0, 4))
}

for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, error => {
    say(
      `0 ? ${event}: ${String(error instanceof Error ? error.stack : error)
        .split('\n')
        .slice(0, 4)
        .join(' ')}`,
    )
    process.exit(1)
  })
}

// Once for nobody, so that every module is loaded and every function has run: the faults are for the ledger alone.
const scratch = mkdtempSync(join(tmpdir(), 'counterfoil-warm-'))
const warm = new ScriptedWriter(optionsOf(scratch), () => undefined)
if (settings.mode === 'once') await performLong(warm)
if (settings.mode === 'asked') {
  await warm.perform(before)
  await warm.perform(brief)
}
rmSync(scratch, { recursive: true, force: true })

say('ready')
if (settings.mode === 'asked') {
  for await (const line of createInterface({ input: process.stdin })) {
    const { directory, script, limit } = JSON.parse(line) as Asked
    await new ScriptedWriter(optionsOf(directory), told => say(`0 ${told}`), limit).perform(
      script === 'first' ? first : brief,
    )
    say('done')
  }
} else {
  await new Promise(resolve => process.stdin.once('data', resolve))
  process.stdin.destroy()
  const writers = settings.directories.map(
    (directory, i) => new ScriptedWriter(optionsOf(directory), line => say(`${i} ${line}`)),
  )
  do {
    await Promise.all(writers.map(performLong))
  } while (settings.mode === 'forever')
  say('done')
}
process.exit(0)
