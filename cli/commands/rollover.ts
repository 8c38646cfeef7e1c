/** `counterfoil rollover`: concludes the ledger and begins the next of its series, now. */
import type { Command } from 'commander'
import { loadConfig } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { rollOver } from '../../lib/ledger/rollover.ts'
import { memberOf, membersIn } from '../../lib/ledger/series.ts'
import { directoryOptions } from '../../lib/open.ts'
import { output } from '../output.ts'
import { version } from '../version.ts'

export function rollover(program: Command): void {
  program
    .command('rollover')
    .description('conclude the ledger and begin the next of its series, while nothing writes to it')
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option('--json', 'print one JSON document')
    .action(async (options: { config: string; json?: boolean }) => {
      const out = output(options.json === true)
      const config = await loadConfig(options.config, { evidence: true })
      const software = { software: `counterfoil/${version}`, placement: 'gateway', create: false } as const
      const series = await directoryOptions(config, software)
      const number = (await membersIn(series.directory)).at(-1)
      if (number === undefined) throw new Misuse('ERR_OPTION_INVALID', `there is no ledger in ${series.directory} yet`)
      const next = await rollOver(series, number)
      const { origin: concluded } = memberOf(series, number)
      const { directory } = memberOf(series, number + 1)
      out.result({ concluded, next, directory }, () => {
        out.line(`concluded: ${concluded}; it goes on as ${next}, in ${directory}`)
        out.line('verify them together, with the key and the pin that you have:')
        out.line(`  counterfoil verify ${series.directory} --key FILE --pin FILE`)
        if (config.ledger.witnesses === undefined) return
        const { verifierKey } = noteKeyOf(config.ledger.noteKey, next)
        out.line(`tell its witnesses of the new log, or they do not cosign it: ${next}=${verifierKey}`)
      })
    })
}
