#!/usr/bin/env node
/** The command `counterfoil`: the one place where errors become words and exit statuses. */
import { Command, CommanderError } from 'commander'
import { describe, isOurs } from '../lib/errors.ts'
import { linesOf } from '../lib/problem.ts'
import { exit, exitStatusOf } from './exit.ts'
import { colour, endQuietly, say } from './output.ts'
import { register } from './table.ts'
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

await register(program, process.argv[2])
for (const command of program.commands) command.exitOverride()

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exit.good : exit.usage
  } else {
    process.exitCode = exitStatusOf(error)
    const [first = '', ...more] = isOurs(error) ? linesOf(error) : [describe(error)]
    say([isOurs(error) ? `${error.code}: ${first}` : first, ...more], colour.red)
    if (!isOurs(error) && process.env.COUNTERFOIL_DEBUG !== undefined)
      process.stderr.write(`${(error as Error).stack}\n`)
  }
}
