/**
 * Opens a ledger whose directory is on another host, by the addresses at which its leader may be found: only who leads listens, so they
 * are tried one after another, beginning with the one that was right last.
 */
import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { Clock } from '../../clock.ts'
import { describe, Fault, Refusal } from '../../errors.ts'
import { scalars } from '../../format/shape.ts'
import type { Ledger } from '../ledger.ts'
import { checkHeartbeat, invalid } from '../options.ts'
import { longestHeartbeatMs } from '../story.ts'
import { type TlsSource, tlsOf, tlsOnly, whyNot } from './certificate.ts'
import { Connection } from './connection.ts'
import { readGateway } from './gateway-url.ts'
import { type LeadParts, type Reached, throughLeader } from './reach.ts'
import { SharedLedger } from './shared-ledger.ts'

export interface RemoteOptions {
  /** `tls://HOST:PORT`, or several: of every process that may lead. */
  readonly gateway: string | readonly string[]
  /** Of the ledger, as its leader has it. */
  readonly origin: string
  /** Under which name this process appends: its certificate bears it, as the URI that `writerUri` gives. */
  readonly writer: string
  readonly tls: TlsSource
  /** Name and version, as entries name them: `counterfoil/0.1.0`. */
  readonly software: string
  readonly placement: 'gateway' | 'embedded'
  /** Milliseconds between heartbeat entries. 60,000 unless said otherwise, and at most. */
  readonly heartbeatMs?: number
  readonly clock?: Clock
  /** Milliseconds that an append waits while there is no leader, before it fails. 10,000 unless said otherwise. */
  readonly takeoverMs?: number
  /** Milliseconds without a word after which a leader is given up. 15,000 unless said otherwise. */
  readonly silenceMs?: number
  /** What an operator should know. */
  readonly onEvent?: LeadParts['onEvent']
}

interface Place {
  readonly url: string
  readonly host: string
  readonly port: number
}

const connectMs = 5_000

/**
 * @throws Refusal ERR_UNIDENTIFIED where one side's certificate does not do, or is for another writer
 * @throws LedgerError ERR_LEDGER_LOCKED (another process has that writer), ERR_LEDGER_INCONSISTENT (another ledger)
 * @throws Fault ERR_LEDGER_UNAVAILABLE where no leader is found in time
 * @throws Misuse ERR_OPTION_INVALID
 */
export async function openRemoteLedger(options: RemoteOptions): Promise<Ledger> {
  const { origin, writer, software, placement, heartbeatMs = longestHeartbeatMs } = options
  for (const [option, value] of Object.entries({ origin, writer, software })) {
    if (!scalars.word.test(value)) throw invalid(option, 'a word without white space')
  }
  checkHeartbeat(heartbeatMs)
  const { tls, clock, takeoverMs = 10_000, silenceMs = 15_000, onEvent = () => undefined } = options
  const places = [options.gateway].flat().map(placeOf)
  if (places.length === 0) throw invalid('gateway', 'one address at least')
  let right = 0
  return SharedLedger.open({
    self: { origin, writer, software, placement, heartbeatMs },
    clock,
    takeoverMs,
    onEvent,
    mayErase: false,
    reach: async (self, events, onNext) => {
      let failed: Fault | Refusal | undefined
      for (let i = 0; i < places.length; i += 1) {
        const at = (right + i) % places.length
        try {
          const reached = await throughLeader(() => connectTo(places[at]!, tls, silenceMs), self, events, onNext)
          if (reached === undefined) continue
          right = at
          return kept(reached, silenceMs)
        } catch (error) {
          if (!(error instanceof Fault || error instanceof Refusal)) throw error
          if (!(failed instanceof Refusal)) failed = error
        }
      }
      throw failed ?? new Fault('ERR_LEDGER_UNAVAILABLE', `no leader at ${places.map(({ url }) => url).join(', ')}`)
    },
  })
}

function placeOf(url: string): Place {
  const read = readGateway(url)
  if (read === undefined) throw invalid('gateway', 'as tls://HOST:PORT')
  return { url, ...read }
}

/** @returns undefined where nobody listens. @throws Refusal ERR_UNIDENTIFIED where it is not shown to be the host that was meant */
function connectTo({ url, host, port }: Place, source: TlsSource, silenceMs: number): Promise<TLSSocket | undefined> {
  return new Promise((resolve, reject) => {
    const { key, cert, ca } = readTls(source)
    // RFC 6066, 3: a name, never an address.
    const servername = isIP(host) === 0 ? { servername: host } : {}
    const socket = connect({ host, port, ...servername, key, cert, ca, ...tlsOnly })
    const late = setTimeout(
      () => {
        socket.destroy()
        resolve(undefined)
      },
      Math.min(connectMs, silenceMs),
    )
    socket.once('secureConnect', () => {
      clearTimeout(late)
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(late)
      const why = whyNotServer(error.code ?? '')
      if (why === undefined) resolve(undefined)
      else reject(new Refusal('ERR_UNIDENTIFIED', `${url}: ${why}`))
    })
  })
}

function readTls(source: TlsSource) {
  try {
    return tlsOf(source)
  } catch (error) {
    throw new Fault('ERR_LEDGER_UNAVAILABLE', `the certificate of this process cannot be read: ${describe(error)}`)
  }
}

function whyNotServer(code: string): string | undefined {
  const why = whyNot(code)
  if (why !== undefined) return `the certificate there ${why}`
  return /^(ERR_SSL_|EPROTO)/.test(code) ? `what listens there does not speak TLS 1.3 (${code})` : undefined
}

/** A leader whose host is gone says nothing, not even that: so it is asked, and given up where it does not answer. */
function kept(reached: Reached, silenceMs: number): Reached {
  if (reached.link instanceof Connection) reached.link.keep(silenceMs)
  return reached
}
