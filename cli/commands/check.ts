/** `counterfoil check`: reads the whole configuration strictly, and says all that is wrong with it. */
import type { Command } from 'commander'
import { isRemote, loadGuardConfig } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { keysThatDoNotFit, keyThatExpiresSoon } from '../fitting-keys.ts'
import { colour, output } from '../output.ts'

export function check(program: Command): void {
  program
    .command('check')
    .description('read the configuration, and report every problem with file, line and column')
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option('--json', 'print one JSON document')
    .action(async (options: { config: string; json?: boolean }) => {
      const out = output(options.json === true)
      const config = await loadGuardConfig(options.config)
      const misfits = isRemote(config) ? [] : await keysThatDoNotFit(config)
      if (misfits.length > 0)
        throw new Misuse('ERR_OPTION_INVALID', misfits.map(misfit => `${config.file}: ${misfit}`).join('; '))
      const controls = config.policy.controls.map(({ id, title, mode }) => ({
        id,
        title,
        mode: mode === 'enforce' ? 'enforce' : 'observe',
      }))
      const isAnchored = isRemote(config) || config.ledger.witnesses !== undefined
      const warnings = isAnchored
        ? []
        : ['No witness is configured: whoever operates this ledger could rewrite it undetected.']
      const soon = isRemote(config) ? undefined : await keyThatExpiresSoon(config)
      if (soon !== undefined) warnings.push(`${soon}.`)
      for (const { id, mode } of controls)
        if (mode === 'observe') warnings.push(`${id} is only observed: it refuses nothing yet.`)
      out.result(
        {
          name: config.name,
          ledger: isRemote(config) ? config.gateway.urls.join(', ') : config.ledger.directory,
          controls,
          listeners: config.listen.map(l => l.name),
          warnings,
        },
        () => {
          out.line(`${config.name}: the configuration is sound`)
          if (isRemote(config))
            out.line(`appends as ${config.gateway.writer} through ${config.gateway.urls.join(', ')}`)
          out.table(controls.map(({ id, title, mode }) => [`  ${id}`, mode, title]))
          for (const warning of warnings) out.line(colour.yellow(warning))
        },
      )
    })
}
