/** `counterfoil serve`: runs the gateway until it is told to stop; SIGHUP has it read policy and controls again. */
import type { Command } from 'commander'
import { isRemote, loadGuardConfig } from '../../lib/config/config.ts'
import { type Diagnostics, diagnostics, loggable } from '../../lib/diagnostics.ts'
import type { Policy } from '../../lib/policy/policy.ts'
import { start } from '../start.ts'

export function serve(program: Command): void {
  program
    .command('serve')
    .description(
      'run the gateway and its admin address, until SIGINT or SIGTERM; SIGHUP reads policy and controls again',
    )
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .action(async (options: { config: string }) => {
      const log = diagnostics()
      // From before the ledger is opened: a signal that nobody listens to kills, and leaves it unsealed.
      const told = new Promise<string>(resolve => {
        for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve(name))
      })
      const config = await loadGuardConfig(options.config)
      // Who only has the ledger for others has nothing that would keep the process.
      const running = await start(config, log)
      const alive = setInterval(() => undefined, 3_600_000)
      if (!isRemote(config) && config.ledger.witnesses === undefined) {
        log.warn('no witness is configured: whoever operates this ledger could rewrite it undetected')
      }
      let stopping = false
      let reloaded = Promise.resolve()
      // One after another: the files as they were must not come after the files as they are. Listened to until the end, since a
      // signal that nobody listens to kills.
      process.on('SIGHUP', () => {
        if (!stopping) reloaded = reloaded.then(() => reload(running.guard.policy, options.config, log))
      })
      const signal = await told
      stopping = true
      log.info('stopping', { signal })
      await reloaded
      await running.close()
      clearInterval(alive)
      log.info(isRemote(config) ? 'stopped' : 'stopped: the ledger is sealed')
    })
}

async function reload(policy: Policy, file: string, log: Diagnostics): Promise<void> {
  try {
    const before = policy.digest
    await policy.reload((await loadGuardConfig(file)).policy)
    if (policy.digest === before) log.info('policy and controls are as they were')
    else log.info('policy and controls reloaded', { digest: policy.digest, before })
  } catch (error) {
    log.error('not reloaded: the policy that was in force stays', loggable(error))
  }
}
