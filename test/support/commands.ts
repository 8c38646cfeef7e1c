/** Commands of ours, run in this process: what each prints, and a place of two people to run them in. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { onTestFinished, vi } from 'vitest'
import { anchor } from '../../cli/commands/anchor.ts'
import { bundle } from '../../cli/commands/bundle.ts'
import { check } from '../../cli/commands/check.ts'
import { dispose } from '../../cli/commands/dispose.ts'
import { erase } from '../../cli/commands/erase.ts'
import { hold } from '../../cli/commands/hold.ts'
import { keys } from '../../cli/commands/keys.ts'
import { prove } from '../../cli/commands/prove.ts'
import { replay } from '../../cli/commands/replay.ts'
import { rollover } from '../../cli/commands/rollover.ts'
import { show } from '../../cli/commands/show.ts'
import { tail } from '../../cli/commands/tail.ts'
import { vault } from '../../cli/commands/vault.ts'
import { verify } from '../../cli/commands/verify.ts'
import { verifyBundle } from '../../cli/commands/verify-bundle.ts'
import { witness } from '../../cli/commands/witness.ts'
import { initialise } from '../../cli/initialise.ts'
import { temporaryDirectory } from './directory-ledger.ts'

/** What commands said on standard error. */
export const aside: string[] = []
/** What they printed, one that still runs too. */
export const printed: string[] = []

const all = [
  ...[anchor, bundle, check, dispose, erase, hold, keys, prove, replay, rollover, show, tail, vault, verify],
  ...[verifyBundle, witness],
]

/** @returns what it printed; its exit status is the process's */
export async function run(...args: string[]): Promise<string> {
  const program = new Command().exitOverride()
  for (const register of all) register(program)
  const lines: string[] = []
  const take =
    (...into: string[][]) =>
    (text: string | Uint8Array, ...rest: unknown[]) => {
      for (const one of into) one.push(String(text))
      const done = rest.at(-1)
      if (typeof done === 'function') done()
      return true
    }
  const print = vi.spyOn(process.stdout, 'write').mockImplementation(take(lines, printed))
  const say = vi.spyOn(process.stderr, 'write').mockImplementation(take(aside))
  try {
    await program.parseAsync(args, { from: 'user' })
  } finally {
    print.mockRestore()
    say.mockRestore()
  }
  return lines.join('')
}

/** As `init` makes it, for two people who may do all that custody needs; their keys are in the environment, as A and B. */
export async function placeOfTwo() {
  const folder = temporaryDirectory()
  const at = (name: string) => join(folder, name)
  onTestFinished(() => {
    process.exitCode = undefined
    vi.unstubAllEnvs()
  })
  const people = { user: 'alice@crm.example', approver: 'bob@crm.example' }
  const made = await initialise({ folder, name: 'crm', upstream: 'env:DATABASE_URL', ...people })
  for (const { person, key } of made.keys) vi.stubEnv(person === people.user ? 'A' : 'B', key)
  const rights = ['erase', 'dispose', 'approve', 'hold', 'release'].map(
    action => `p, role:custody, ledger/vault, ${action}, allow`,
  )
  const members = Object.values(people).map(person => `g, ${person}, role:custody`)
  appendFileSync(at('policy.csv'), `${[...rights, ...members].join('\n')}\n`)
  const edit = (from: string, to: string) =>
    writeFileSync(made.config, readFileSync(made.config, 'utf8').replace(from, to))
  return { at, made, people, edit, config: ['--config', made.config] as const }
}
