/**
 * The commands in the order of the help, and where each is: what nobody asked for is not loaded,
 * since all of them take a second of processor time.
 */
import type { Command } from 'commander'

type Register = (program: Command) => void

/** What a file of `commands/` registers, and how it is loaded. */
export const table: readonly (readonly [names: readonly string[], load: () => Promise<Register>])[] = [
  [['demo'], async () => (await import('./commands/demo.ts')).demo],
  [['init'], async () => (await import('./commands/init.ts')).init],
  [['check'], async () => (await import('./commands/check.ts')).check],
  [['serve'], async () => (await import('./commands/serve.ts')).serve],
  [['keys'], async () => (await import('./commands/keys.ts')).keys],
  [['credentials'], async () => (await import('./commands/credentials.ts')).credentials],
  [['login'], async () => (await import('./commands/login.ts')).login],
  [['request', 'pending', 'approve', 'deny', 'revoke'], async () => (await import('./commands/desk.ts')).desk],
  [['tail'], async () => (await import('./commands/tail.ts')).tail],
  [['show'], async () => (await import('./commands/show.ts')).show],
  [['replay'], async () => (await import('./commands/replay.ts')).replay],
  [['verify'], async () => (await import('./commands/verify.ts')).verify],
  [['bundle'], async () => (await import('./commands/bundle.ts')).bundle],
  [['verify-bundle'], async () => (await import('./commands/verify-bundle.ts')).verifyBundle],
  [['hold'], async () => (await import('./commands/hold.ts')).hold],
  [['erase'], async () => (await import('./commands/erase.ts')).erase],
  [['rollover'], async () => (await import('./commands/rollover.ts')).rollover],
  [['dispose'], async () => (await import('./commands/dispose.ts')).dispose],
  [['vault'], async () => (await import('./commands/vault.ts')).vault],
  [['prove'], async () => (await import('./commands/prove.ts')).prove],
  [['witness'], async () => (await import('./commands/witness.ts')).witness],
  [['anchor'], async () => (await import('./commands/anchor.ts')).anchor],
]

/** Registers the command that was asked for; all of them where it is none of these, or is help. */
export async function register(program: Command, asked: string | undefined): Promise<void> {
  const named = table.filter(([names]) => names.some(name => name === asked))
  for (const [, load] of named.length > 0 ? named : table) (await load())(program)
}
