/** `counterfoil rollover`: concludes the ledger and begins the next of its series, now. */
import type { Command } from 'commander'
import { loadConfig } from '../../lib/config/config.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { rollOver } from '../../lib/ledger/rollover.ts'
import { memberOf, newestIn } from '../../lib/ledger/series.ts'
import { directoryOptions } from '../../lib/open.ts'
import { ledgersOf, requireClosed } from '../ledgers.ts'
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
      requireClosed(await ledgersOf(config))
      const number = await newestIn(series.directory)
      const next = await rollOver(series, number)
      const { origin: concluded } = memberOf(series, number)
      const { directory } = memberOf(series, number + 1)
      out.result({ concluded, next, directory }, () => {
        out.line(`concluded: ${concluded}; it goes on as ${next}, in ${directory}`)
        out.line('verify them together, with the key and the pin that you have:')
        out.line(
          `  counterfoil verify ${series.directory} --key ${series.sealer?.fingerprint ?? 'FINGERPRINT'} --pin FILE`,
        )
        if (config.ledger.witnesses === undefined) return
        const { verifierKey } = noteKeyOf(config.ledger.noteKey, next)
        out.line('tell whoever runs a witness of it of the new log, or they do not cosign it:')
        out.line(`  counterfoil witness serve ... --origin ${next}=${verifierKey}`)
      })
    })
}
