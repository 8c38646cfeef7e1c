/** Starts everything that a configuration names: the guard, its listeners, the admin address; and stops it in order. */
import { type AdminServer, serveAdmin } from '../adapters/admin/index.ts'
import {
  type Config,
  isRemote,
  type Listener,
  type PostgresListener,
  type RemoteConfig,
  type SshListener,
  type Tls,
} from '../lib/config/config.ts'
import { type Diagnostics, tellingOf } from '../lib/diagnostics.ts'
import { Misuse } from '../lib/errors.ts'
import type { Guard } from '../lib/guard.ts'
import { sshKeys } from '../lib/identity/ssh-keys.ts'
import { openGuard } from '../lib/open.ts'
import { version } from './version.ts'

export interface Running {
  readonly guard: Guard
  readonly listeners: readonly { readonly name: string; readonly host: string; readonly port: number }[]
  readonly admin: { readonly host: string; readonly port: number } | undefined
  close(): Promise<void>
}

/** What every listener's adapter gives. */
interface Gateway {
  listen(port: number, host: string): Promise<{ readonly port: number }>
  /** @returns why its one upstream cannot be used, as a stable word; undefined where it can */
  probe?(): Promise<{ readonly code: string } | undefined>
  close(): Promise<void>
}

export async function start(config: Config | RemoteConfig, log: Diagnostics): Promise<Running> {
  const isReached = config.listen.length > 0 || config.admin !== undefined
  if (!isReached && (isRemote(config) || config.ledger.listen === undefined)) {
    const what = `${config.file}: nothing to listen on (listen, admin, ledger.listen): a guard that is embedded runs in its application`
    throw new Misuse('ERR_OPTION_INVALID', what)
  }
  const guard = await openGuard(config, {
    software: `counterfoil/${version}`,
    placement: 'gateway',
    ...tellingOf(log),
  })
  const gateways: Gateway[] = []
  let admin: AdminServer | undefined
  const close = async () => {
    await Promise.all(gateways.map(gateway => gateway.close()))
    await admin?.close()
    await guard.close()
  }
  try {
    const listeners = []
    for (const listener of config.listen) {
      const gateway = await openListener(guard, listener, config.identity.sshKeys, log)
      gateways.push(gateway)
      const { port } = await gateway.listen(listener.port, listener.host).catch(error => {
        throw unusable(`the listener ${listener.name}`, listener, error)
      })
      listeners.push({ name: listener.name, host: listener.host, port })
      log.info('listening', { listener: listener.name, protocol: listener.protocol, host: listener.host, port })
      const fault = await gateway.probe?.()
      if (fault !== undefined) log.warn(noUpstream, { listener: listener.name, ...fault })
    }
    if (config.admin !== undefined) {
      const { host, port, tls } = config.admin
      const address = { guard, host, port, ...(tls === undefined ? {} : { tls: revealed(tls) }) }
      admin = await serveAdmin(address).catch(error => {
        throw unusable('the admin address', address, error)
      })
      log.info('admin address', { host, port: admin.port })
    }
    const address = config.admin === undefined ? undefined : { host: config.admin.host, port: admin!.port }
    return { guard, listeners, admin: address, close }
  } catch (error) {
    await close()
    throw error
  }
}

const noUpstream = 'the upstream cannot be reached, or does not let the gateway in'

/** @returns an error that says which address cannot be listened on, and why */
function unusable(what: string, { host, port }: { host: string; port: number }, error: NodeJS.ErrnoException): unknown {
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: 'is in use already',
    EACCES: 'may not be listened on by this user',
    EADDRNOTAVAIL: 'is no address of this machine',
    ENOTFOUND: 'is no address that can be found',
  }
  const reason = why[error.code ?? '']
  return reason === undefined
    ? error
    : new Misuse('ERR_OPTION_INVALID', `${what}: ${host}:${port} ${reason}`, {}, error)
}

async function openListener(
  guard: Guard,
  listener: Listener,
  sshKeysFile: string | undefined,
  log: Diagnostics,
): Promise<Gateway> {
  return listener.protocol === 'ssh' ? openSsh(guard, listener, sshKeysFile) : openPostgres(guard, listener, log)
}

// Each adapter is imported where it is needed: whoever listens for nothing of its kind needs none of its packages.

async function openPostgres(
  guard: Guard,
  { name, upstream, tls }: PostgresListener,
  log: Diagnostics,
): Promise<Gateway> {
  const { postgresGateway } = await import('../adapters/pg/index.ts').catch(missing('PostgreSQL', 'pg libpg-query'))
  return postgresGateway({
    gate: guard,
    target: name,
    upstream: upstream.reveal(),
    onUpstreamFault: fault => void log.warn(noUpstream, { listener: name, ...fault }),
    ...(tls === undefined ? {} : { tls: revealed(tls) }),
  })
}

async function openSsh(guard: Guard, listener: SshListener, keys: string | undefined): Promise<Gateway> {
  const { sshGateway } = await import('../adapters/ssh/index.ts').catch(missing('SSH', 'ssh2'))
  const { name, hostKeys, hosts, environment } = listener
  const revealLogins = (logins: SshListener['hosts'][string]['logins']) =>
    Object.entries(logins).map(([of, { key, passphrase }]) => [
      of,
      { key: key.reveal(), ...(passphrase === undefined ? {} : { passphrase: passphrase.reveal() }) },
    ])
  const reached = Object.entries(hosts).map(([of, host]) => [
    of,
    { ...host, logins: Object.fromEntries(revealLogins(host.logins)) },
  ])
  return sshGateway({
    gate: guard,
    target: name,
    hosts: Object.fromEntries(reached),
    hostKeys: hostKeys.map(key => key.reveal()),
    ...(keys === undefined ? {} : { keys: sshKeys({ file: keys }) }),
    ...(environment === undefined ? {} : { environment }),
  })
}

const missing = (what: string, packages: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  const an = what === 'SSH' ? 'an' : 'a'
  throw new Misuse('ERR_PACKAGE_MISSING', `${an} ${what} listener needs: npm install ${packages}`, {}, error)
}

const revealed = ({ key, cert }: Tls) => ({ key: key.reveal(), cert })
