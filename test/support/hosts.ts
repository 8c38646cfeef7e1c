/**
 * Hosts that share one ledger: a leader that listens, and writers that come to it, by real TLS on loopback with certificates of openssl.
 */
import { once } from 'node:events'
import { connect as connectPlain, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { type MutualTls, writerUri } from '../../lib/ledger/shared/certificate.ts'
import { openSharedLedger, type SharedOptions } from '../../lib/ledger/shared/open.ts'
import { openRemoteLedger, type RemoteOptions } from '../../lib/ledger/shared/remote.ts'
import { type Authority, authority, type Issued } from './certificates.ts'
import { ledgerOptions, origin } from './directory-ledger.ts'

interface Event {
  readonly what: string
  readonly facts: Readonly<Record<string, unknown>>
}

export class Host {
  readonly options: SharedOptions
  readonly events: Event[] = []
  readonly port: number

  constructor(
    port: number,
    tls: MutualTls,
    options: SharedOptions,
    more: Partial<NonNullable<SharedOptions['listen']>> = {},
  ) {
    this.port = port
    const onEvent = (what: string, facts = {}) => void this.events.push({ what, facts })
    this.options = { graceMs: 5_000, ...options, onEvent, listen: { host: '127.0.0.1', port, tls, ...more } }
  }

  get url(): string {
    return `tls://127.0.0.1:${this.port}`
  }

  async open(): Promise<Ledger> {
    return kept(await openSharedLedger(this.options))
  }

  /** Why it refused who knocked last. */
  refusals(): readonly unknown[] {
    return this.events.filter(({ what }) => /refused|not let in/.test(what)).map(({ facts }) => facts.why ?? facts.what)
  }
}

export class Hosts {
  readonly ours: Authority = authority()
  readonly foreign: Authority = authority()
  /** Of those that lead from now on. */
  server: MutualTls = this.ours.issue({ names: ['IP.1=127.0.0.1', 'DNS.1=localhost'], use: 'serverAuth' })

  writer(name: string, more: Partial<Issued> = {}, by = this.ours): MutualTls {
    const issued = by.issue({ names: [`URI.1=${writerUri(origin, name)}`], use: 'clientAuth', ...more })
    return { ...issued, ca: this.ours.ca }
  }

  at(port: number, options: SharedOptions, more: Partial<NonNullable<SharedOptions['listen']>> = {}): Host {
    return new Host(port, this.server, options, more)
  }

  async leads(
    more: Partial<NonNullable<SharedOptions['listen']>> = {},
    options: Partial<SharedOptions> = {},
  ): Promise<Host & { ledger: Ledger }> {
    const host = this.at(await freePort(), { ...ledgerOptions(), writer: 'leader', ...options }, more)
    return Object.assign(host, { ledger: await host.open() })
  }

  optionsOf(gateway: string | readonly string[], name: string, more: Partial<RemoteOptions> = {}): RemoteOptions {
    return {
      ...{ gateway, origin, writer: name, tls: more.tls ?? this.writer(name), software: 'counterfoil/test' },
      ...{ placement: 'embedded' as const, takeoverMs: 10_000 },
      ...more,
    }
  }

  async remote(gateway: string | readonly string[], name: string, more: Partial<RemoteOptions> = {}): Promise<Ledger> {
    return kept(await openRemoteLedger(this.optionsOf(gateway, name, more)))
  }
}

const kept = (ledger: Ledger): Ledger => {
  onTestFinished(() => ledger.close().catch(() => undefined))
  return ledger
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}

export interface Wire {
  readonly url: string
  /** Nothing passes any more, and nobody is told. */
  cut(): void
  /** Closes every connection; new ones are taken. */
  drop(): void
}

/** A line to a port. */
export async function wire(port: number): Promise<Wire> {
  const sockets: Socket[] = []
  const line = createServer(near => {
    const far = connectPlain(port, '127.0.0.1')
    for (const [a, b] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.push(a)
      a.on('error', () => undefined)
      a.on('data', bytes => void b.write(bytes))
    }
  }).listen(0, '127.0.0.1')
  await once(line, 'listening')
  const url = `tls://127.0.0.1:${(line.address() as { port: number }).port}`
  const drop = () => {
    for (const socket of sockets.splice(0)) socket.destroy()
  }
  onTestFinished(() => {
    line.close()
    drop()
  })
  return {
    url,
    drop,
    cut: () => {
      line.close()
      for (const socket of sockets) socket.removeAllListeners('data').pause()
    },
  }
}
