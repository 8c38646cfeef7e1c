/** From a configuration to a guard: opens the ledger, loads the policy, asks the identity providers. */
import { Anchoring, type AnchorNews } from './anchors/anchoring.ts'
import type { AnchorPlace } from './anchors/kept.ts'
import { type Config, isRemote, loadGuardConfig, type RemoteConfig } from './config/config.ts'
import type { Diagnostics } from './diagnostics.ts'
import { Misuse } from './errors.ts'
import { buildGuard, type Guard, type GuardParts } from './guard.ts'
import { configuredIdentity } from './identity/identify.ts'
import { type DirectoryOptions, openDirectoryLedger } from './ledger/directory.ts'
import { Earlier } from './ledger/earlier.ts'
import type { Ledger } from './ledger/ledger.ts'
import { type Bounds, isDue, openNewest } from './ledger/rollover.ts'
import { openSharedLedger, type SharedOptions } from './ledger/shared/open.ts'
import { openRemoteLedger, type RemoteOptions } from './ledger/shared/remote.ts'
import { expiresSoon } from './openpgp.ts'
import { casbinPolicy } from './policy/policy.ts'
import { configuredSealer, readersOf } from './sealing.ts'

export interface OpenOptions {
  /** Name and version, as entries name them: `counterfoil/0.1.0`. */
  readonly software: string
  readonly placement: 'gateway' | 'embedded'
  /** What an operator should know of the ledger. */
  readonly onEvent?: SharedOptions['onEvent']
  /** Whether a ledger is made where there is none. Default: true. */
  readonly create?: boolean
  /** What becomes of the checkpoints that are given to witnesses. */
  readonly onAnchor?: (news: AnchorNews) => void
}

const embedded = { software: 'counterfoil', placement: 'embedded' } as const

export interface ConfiguredGuard {
  /** The configuration's file. */
  readonly config: string
  /**
   * Where the operator is told that a witness did not cosign, that the disk fills up, that another process leads: a winston logger of the
   * application's own. Default: warnings and errors, as JSON lines on standard error.
   */
  readonly log?: Diagnostics
}

/**
 * A guard, from a configuration file or with every part given in code.
 * @throws Misuse ERR_OPTION_INVALID, with every problem of the configuration by file, line and column
 * @throws LedgerError ERR_LEDGER_LOCKED, ERR_LEDGER_CORRUPT, ERR_CHECKPOINT_ROLLBACK: nothing is overwritten
 */
export async function guard(given: GivenParts | ConfiguredGuard): Promise<Guard> {
  if (!('config' in given)) return guardOf(given)
  const config = await loadGuardConfig(given.config)
  if (config.admin !== undefined) {
    throw new Misuse(
      'ERR_OPTION_INVALID',
      `${given.config}: an admin address is opened by counterfoil serve; in an application, leave it out and call serveAdmin of counterfoil/admin`,
    )
  }
  const { diagnostics, tellingOf } = await import('./diagnostics.ts')
  return openGuard(config, {
    ...embedded,
    ...tellingOf(given.log ?? diagnostics('warn')),
  })
}

/** As parts are given in code: the ledger itself, or where it is. */
export interface GivenParts extends Omit<GuardParts, 'ledger'> {
  readonly ledger: Ledger | Omit<RemoteOptions, 'origin' | 'software' | 'placement'>
}

async function guardOf({ ledger, ...parts }: GivenParts): Promise<Guard> {
  if (!('gateway' in ledger)) return buildGuard({ ...parts, ledger })
  const { clock } = parts
  const opened = await openRemoteLedger({
    ...(clock === undefined ? {} : { clock }),
    ...ledger,
    ...{ origin: parts.name, ...embedded },
  })
  try {
    return await buildGuard({ ...parts, ledger: opened })
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** A ledger of a series, open; and where it lies. */
interface Opened {
  readonly ledger: Ledger
  readonly place: AnchorPlace
  readonly earlier: Earlier
}

/** As the ledger of a configuration is opened: its directory and name are those of the series. */
export async function directoryOptions(config: Config, options: OpenOptions): Promise<DirectoryOptions> {
  const { software, placement, create = true, onEvent } = options
  return {
    directory: config.ledger.directory,
    origin: config.name,
    writer: config.ledger.writer,
    noteKey: config.ledger.noteKey,
    sealer: await configuredSealer(config.ledger.sealKey),
    wrappingKey: Buffer.from(config.ledger.vaultKey.reveal(), 'base64url'),
    ...(config.ledger.readers === undefined ? {} : { readers: await readersOf(config.ledger.readers) }),
    heartbeatMs: config.ledger.heartbeatMs,
    sealMs: config.ledger.sealMs,
    disk: config.ledger.disk,
    ...(onEvent === undefined ? {} : { onDisk: onEvent }),
    ...{ software, placement, create },
  }
}

/** The newest ledger of the series alone, after beginning it where it is time for that. */
async function openOwn(config: Config, options: OpenOptions, onSeal: () => void): Promise<Opened> {
  const { rollover, shared, listen } = config.ledger
  const { onEvent } = options
  // Who makes no ledger where there is none begins no other either.
  const bounds = options.create === false ? {} : rollover
  const series = await directoryOptions(config, options)
  const soon = series.sealer && (await expiresSoon(series.sealer.certificate))
  if (soon !== undefined) onEvent?.(soon)
  let place: AnchorPlace = series
  const open = (newest: DirectoryOptions) => {
    place = newest
    const all = { ...newest, onSeal: tellingWhenDue(newest, rollover, onSeal, onEvent) }
    if (!shared) return openDirectoryLedger(all)
    return openSharedLedger({
      ...all,
      ...(listen === undefined ? {} : { listen }),
      ...(onEvent === undefined ? {} : { onEvent }),
    })
  }
  const ledger = await openNewest(series, bounds, open, ({ message: why }) =>
    onEvent?.('the ledger is past its bounds and could not be followed by another: it goes on', { why }),
  )
  return { ledger, place, earlier: new Earlier(series) }
}

/** A ledger that is open goes on past its bounds: whoever operates it is told once that it is time to start anew. */
function tellingWhenDue(
  newest: DirectoryOptions,
  bounds: Bounds,
  onSeal: () => void,
  onEvent: OpenOptions['onEvent'],
): () => void {
  let told = onEvent === undefined
  return () => {
    onSeal()
    if (told) return
    void isDue(newest, bounds).then(due => {
      if (!due || told) return
      told = true
      onEvent?.('the ledger is past its bounds: the next of its series begins when this process starts anew', {
        ledger: newest.origin,
      })
    })
  }
}

function openGatewayOf({ name, gateway }: RemoteConfig, options: OpenOptions): Promise<Ledger> {
  const { software, placement, onEvent } = options
  const { urls, writer, heartbeatMs, tls } = gateway
  return openRemoteLedger({
    ...{ gateway: urls, origin: name, writer, heartbeatMs, tls, software, placement },
    ...(onEvent === undefined ? {} : { onEvent }),
  })
}

export async function openGuard(config: Config | RemoteConfig, options: OpenOptions): Promise<Guard> {
  const policy = await casbinPolicy(config.policy)
  // Known once there is a guard; what is sealed before that is asked about when it is.
  let anchoring: Anchoring | undefined
  const onSeal = () => void anchoring?.round()
  const own = isRemote(config) ? undefined : await openOwn(config, options, onSeal)
  const ledger = own?.ledger ?? (await openGatewayOf(config as RemoteConfig, options))
  try {
    await own?.earlier.finish(ledger)
    const guard = await buildGuard({
      name: config.name,
      ledger,
      ...(own === undefined ? {} : { earlier: own.earlier }),
      policy,
      identify: configuredIdentity(config.identity),
      masking: maskTools(config),
    })
    // What is vouched for is the directory: whoever has it sees to that.
    if (own === undefined || isRemote(config)) return guard
    anchoring = anchoringOf(guard.ledger, own.place, config, options.onAnchor)
    return anchored(guard, anchoring)
  } catch (error) {
    await ledger.close()
    throw error
  }
}

/** The task beside a ledger. Without witnesses it records what other processes obtained. */
function anchoringOf(
  ledger: Ledger,
  place: AnchorPlace,
  { ledger: { witnesses } }: Config,
  tell: OpenOptions['onAnchor'],
): Anchoring {
  const { list, quorum, everyMs } = witnesses ?? { list: [], quorum: 0, everyMs: 60_000 }
  const told = tell === undefined ? {} : { tell }
  return new Anchoring({ place, ledger, witnesses: list, quorum, everyMs, ...told }).start()
}

/** The guard with that task, which ends with it. */
function anchored(guard: Guard, anchoring: Anchoring): Guard {
  void anchoring.round()
  const close = async () => {
    await anchoring.stop()
    await guard.close()
    await anchoring.last()
  }
  let closing: Promise<void> | undefined
  return Object.assign(Object.create(guard) as Guard, {
    close: () => {
      closing ??= close()
      return closing
    },
  })
}

const maskTools = ({ masking }: Pick<Config, 'masking'>) =>
  masking?.key === undefined ? {} : { key: Buffer.from(masking.key.reveal(), 'base64url') }
