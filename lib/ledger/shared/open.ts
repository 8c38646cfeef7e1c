/** Opens a ledger that several processes of one host share, by its directory. */
import { Fault } from '../../errors.ts'
import type { Ledger } from '../ledger.ts'
import { checkHeartbeat, checkOptions, type DirectoryOptions } from '../options.ts'
import { longestHeartbeatMs } from '../story.ts'
import type { GatewaySettings } from './gateway.ts'
import { connectLocally } from './local.ts'
import { asLeader, type LeadParts, lineKey, throughLeader } from './reach.ts'
import { SharedLedger } from './shared-ledger.ts'

export interface SharedOptions extends DirectoryOptions {
  /** Milliseconds that an append waits while there is no leader, before it fails. 10,000 unless said otherwise. */
  readonly takeoverMs?: number
  /** Milliseconds within which a writer whose connection broke must come back, or is given up. 5,000 unless said otherwise. */
  readonly graceMs?: number
  /** Where processes of other hosts may append, as long as this one leads. */
  readonly listen?: GatewaySettings
  /** What an operator should know. */
  readonly onEvent?: LeadParts['onEvent']
}

/**
 * Opens a ledger together with other processes: each has a name of its own as `writer`.
 * @throws as `openDirectoryLedger`; LedgerError ERR_LEDGER_LOCKED where another process has that writer
 */
export async function openSharedLedger(options: SharedOptions): Promise<Ledger> {
  const { takeoverMs = 10_000, graceMs = 5_000, listen, onEvent = () => undefined, ...directory } = options
  checkOptions(directory)
  const { origin, writer, software, placement, heartbeatMs = longestHeartbeatMs, clock } = directory
  checkHeartbeat(heartbeatMs)
  const line = { directory: directory.directory, key: lineKey(directory) }
  return SharedLedger.open({
    self: { origin, writer, software, placement, heartbeatMs },
    clock,
    takeoverMs,
    onEvent,
    mayErase: true,
    reach: async (self, events, onNext) => {
      let isStranger = false
      const connect = () =>
        connectLocally(line, () => {
          isStranger = true
        })
      const through = await throughLeader(connect, self, events, onNext)
      const reached =
        through ?? (await asLeader({ options: directory, self, graceMs, listen, onEvent, events, onNext }))
      if (reached === undefined && isStranger) throw stranger()
      return reached
    },
  })
}

const stranger = () =>
  new Fault(
    'ERR_LEDGER_UNAVAILABLE',
    'what listens as its leader does not show that it has the key of the vault, which all its processes must have: give this one the same vault key (ledger.keys.vault), or see what else listens in its directory',
  )
