/** `counterfoil init`: keys, a configuration and two local keys to log in with, so that `serve` works at once. */

import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { Misuse } from '../../lib/errors.ts'
import { initialise } from '../initialise.ts'
import { colour, output, painted } from '../output.ts'

interface InitOptions {
  readonly dir: string
  readonly name: string
  readonly upstream: string
  readonly people: string
  readonly json?: boolean
}

export function init(program: Command): void {
  program
    .command('init')
    .description('write a configuration, its keys, and a key to log in with for each of two people')
    .option('--dir <folder>', 'where; nothing in it is overwritten', '.')
    .option('--name <name>', "the gateway's and the ledger's name", 'crm')
    .addOption(
      new Option('--upstream <where>', 'the PostgreSQL behind it: env:NAME or file:PATH').default('env:DATABASE_URL'),
    )
    .option('--people <list>', 'two: who may use it, and who approves', 'user@example.com,approver@example.com')
    .option('--json', 'print one JSON document')
    .action(async (options: InitOptions) => {
      const out = output(options.json === true)
      const folder = resolve(options.dir)
      const [user, approver, ...others] = options.people.split(',').map(person => person.trim())
      if (approver === undefined || others.length > 0) {
        throw new Misuse(
          'ERR_OPTION_INVALID',
          '--people names two: who uses it, and who approves. More of them: counterfoil credentials issue, and a line each in policy.csv',
        )
      }
      const made = await initialise({
        folder,
        name: options.name,
        upstream: options.upstream,
        user: user ?? '',
        approver,
      })
      out.result(made, () => {
        out.line(`written to ${made.folder}: ${made.files.join(', ')}`)
        if (made.ignore.length > 0) out.line(colour.yellow(`add to your .gitignore: ${made.ignore.join(' ')}`))
        out.line()
        out.line(`Give this fingerprint to your auditor today; the ledger is verified against it:`)
        out.line(painted`  ${colour.bold(made.fingerprint)}`)
        out.line()
        out.line('Keys to log in with, shown this once, good for 90 days:')
        for (const { person, key } of made.keys) {
          out.line(`  ${person}`)
          out.line(`    ${key}`)
        }
        out.line()
        out.line('Next:')
        const [, variable] = /^env:(.+)$/.exec(options.upstream) ?? []
        if (variable !== undefined) out.line(`  export ${variable}=postgres://LOGIN:PASSWORD@HOST:5432/DATABASE`)
        out.line(`  counterfoil check --config ${made.config}`)
        out.line(`  counterfoil serve --config ${made.config}`)
        out.line(`  export PGPASSWORD=KEY   # that of ${user}, elsewhere`)
        out.line(`  psql -h 127.0.0.1 -p 6432 -U ${user} ${made.database}`)
        out.line()
        out.line(colour.yellow('No witness is configured: whoever operates this ledger could rewrite it undetected.'))
        out.line("Keep `counterfoil verify --pin` running where the ledger's operators cannot write.")
      })
    })
}
