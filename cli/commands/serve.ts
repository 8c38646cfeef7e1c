/** `counterfoil serve`: runs the gateway until it is told to stop. */
import type { Command } from 'commander'
import { loadConfig } from '../../lib/config/config.ts'
import { diagnostics } from '../../lib/diagnostics.ts'
import { start } from '../start.ts'

export function serve(program: Command): void {
  program
    .command('serve')
    .description('run the gateway and its admin address, until SIGINT or SIGTERM')
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .action(async (options: { config: string }) => {
      const log = diagnostics()
      const running = await start(await loadConfig(options.config), log)
      log.warn('no anchor is configured: whoever operates this ledger could rewrite it undetected')
      const signal = await new Promise<string>(resolve => {
        for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve(name))
      })
      log.info('stopping', { signal })
      await running.close()
      log.info('stopped: the ledger is sealed')
    })
}
