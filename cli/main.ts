#!/usr/bin/env node
/** The command `counterfoil`: a table of commands, and one place where errors become words and exit statuses. */
import { Command, CommanderError } from 'commander'
import { describe, isOurs } from '../lib/errors.ts'
import { anchor } from './commands/anchor.ts'
import { bundle } from './commands/bundle.ts'
import { check } from './commands/check.ts'
import { credentials } from './commands/credentials.ts'
import { demo } from './commands/demo.ts'
import { desk } from './commands/desk.ts'
import { dispose } from './commands/dispose.ts'
import { erase } from './commands/erase.ts'
import { hold } from './commands/hold.ts'
import { init } from './commands/init.ts'
import { keys } from './commands/keys.ts'
import { login } from './commands/login.ts'
import { prove } from './commands/prove.ts'
import { replay } from './commands/replay.ts'
import { rollover } from './commands/rollover.ts'
import { serve } from './commands/serve.ts'
import { show } from './commands/show.ts'
import { tail } from './commands/tail.ts'
import { vault } from './commands/vault.ts'
import { verify } from './commands/verify.ts'
import { verifyBundle } from './commands/verify-bundle.ts'
import { witness } from './commands/witness.ts'
import { exit, exitStatusOf } from './exit.ts'
import { colour, endQuietly, visible } from './output.ts'
import { version } from './version.ts'

endQuietly()

const program = new Command('counterfoil')
  .description('controls in the data path, sealed into evidence that strangers can verify')
  .version(version)
  .exitOverride()
  .configureHelp({ sortSubcommands: false })
  .addHelpText(
    'after',
    '\nexit status: 0 good, 1 exceptions noted or refused, 2 usage or configuration, 3 integrity broken, 4 could not tell',
  )

for (const register of [
  demo,
  init,
  check,
  serve,
  keys,
  credentials,
  login,
  desk,
  tail,
  show,
  replay,
  verify,
  bundle,
  verifyBundle,
  hold,
  erase,
  rollover,
  dispose,
  vault,
  prove,
  witness,
  anchor,
])
  register(program)
for (const command of program.commands) command.exitOverride()

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exit.good : exit.usage
  } else {
    process.exitCode = exitStatusOf(error)
    const text = isOurs(error) ? `${error.code}: ${error.message}` : describe(error)
    process.stderr.write(`${colour.red('counterfoil:')} ${visible(text)}\n`)
    if (!isOurs(error) && process.env.COUNTERFOIL_DEBUG !== undefined)
      process.stderr.write(`${(error as Error).stack}\n`)
  }
}
