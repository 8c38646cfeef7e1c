/** `counterfoil tail`: what stands in a ledger's log, as it comes, an event a line; read only, and not verified. */
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { Follower } from '../../evidence/index.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { duration } from '../../lib/duration.ts'
import { LedgerError, Misuse } from '../../lib/errors.ts'
import { timestamp } from '../../lib/format/entry.ts'
import { exit } from '../exit.ts'
import { newestOf } from '../ledgers.ts'
import { colour } from '../output.ts'
import type { Paint } from '../tail/line.ts'
import { firstSince, lastOf } from '../tail/start.ts'
import { type Line, Teller, type Telling } from '../tail/teller.ts'
import { vaultKey } from './verify.ts'

interface Options {
  readonly config: string
  readonly vault?: string
  readonly since?: string
  readonly lines?: string
  readonly subject?: string
  readonly resource?: string
  readonly denied?: boolean
  readonly all?: boolean
  readonly follow: boolean
  readonly json?: boolean
}

/** Milliseconds between two looks: cheap ones, a small file and the end of another. */
const interval = 200
const notified = 'that is not verified: counterfoil verify does that'

export function tail(program: Command): void {
  program
    .command('tail')
    .description('what happens, a line an event, as the ledger is written: read only, and not verified')
    .argument('[ledger]', "the ledger's directory; else as the configuration says")
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option('--vault <file>', "with a directory: the vault's key (keys/vault.key), to show names")
    .option('-n, --lines <count>', 'begin with the last so many events (10)')
    .option('--since <duration>', 'begin with what happened since: 15m, 8h, 2d')
    .option('--subject <name>', 'only what somebody did, asked for, or is accountable for')
    .option('--resource <glob>', 'only what concerns these resources: crm/**')
    .option('--denied', 'only what was refused')
    .option('--all', 'heartbeats, recordings and new pseudonyms too')
    .option('--no-follow', 'end when all that there is was shown')
    .option('--json', 'print one JSON object a line, an entry each')
    .addHelpText('after', `\nShows what stands in the log, maybe before it is durable; ${notified}.`)
    .action(async (ledger: string | undefined, options: Options) => {
      const { directory, wrapping } = await whichLedger(ledger, options)
      const telling: Telling = {
        json: options.json === true,
        filter: filterOf(options, wrapping),
        wrapping,
        layout: () => ({ columns: process.stdout.columns ?? Number.POSITIVE_INFINITY, paint }),
      }
      const over = ending()
      try {
        await follow(directory, telling, options, over)
      } catch (error) {
        if (!over.aborted) throw error
      }
    })
}

async function follow(directory: string, telling: Telling, options: Options, over: AbortSignal): Promise<void> {
  const begun = await begin(directory, telling, options)
  if (begun === undefined && !options.follow)
    throw new LedgerError('ERR_LEDGER_MISSING', 'there is no ledger in this directory')
  const { follower, teller, lines = [] } = begun ?? (await waitFor(directory, telling, over))
  await print(lines)
  let told = false
  while (!over.aborted) {
    const batch = await follower.poll()
    if (follower.behind && !told) {
      told = true
      say(
        'the write-ahead log may not be read by this user: what happens shows once it is published, about a second later',
      )
    }
    if (batch.length > 0) await print((await teller.lines(batch)).filter(({ time }) => time >= (begun?.since ?? '')))
    else if (options.follow) await sleep(interval, undefined, { signal: over })
    else return
  }
}

interface Begun {
  readonly follower: Follower
  readonly teller: Teller
  readonly lines?: readonly Line[]
  /** What the follower still comes by before this is not asked for. */
  readonly since?: string
}

/** @returns undefined where there is no ledger yet */
async function begin(directory: string, telling: Telling, options: Options): Promise<Begun | undefined> {
  if (options.since !== undefined) {
    const since = timestamp(Date.now() - duration(options.since))
    const follower = await Follower.open(directory)
    if (follower === undefined) return undefined
    follower.next = await firstSince(follower, since)
    return { follower, teller: new Teller(follower, telling), since }
  }
  let teller: Teller | undefined
  const found = await lastOf(directory, countOf(options.lines), async (follower, entries) => {
    teller = new Teller(follower, telling)
    return teller.lines(entries)
  })
  return found === undefined ? undefined : { follower: found.follower, teller: teller!, lines: found.last }
}

/** All of a ledger that begins later is new. */
async function waitFor(directory: string, telling: Telling, over: AbortSignal): Promise<Begun> {
  say(`there is no ledger in ${directory} yet: waiting for one`)
  for (;;) {
    await sleep(interval, undefined, { signal: over })
    const follower = await Follower.open(directory)
    if (follower !== undefined) return { follower, teller: new Teller(follower, telling) }
  }
}

/** @throws Misuse ERR_OPTION_INVALID */
async function whichLedger(ledger: string | undefined, { config, vault }: Options) {
  if (ledger !== undefined)
    return { directory: resolve(ledger), wrapping: vault === undefined ? undefined : await vaultKey(vault) }
  if (vault !== undefined)
    throw new Misuse('ERR_OPTION_INVALID', '--vault goes with a directory: a configuration names its own key')
  const loaded = await newestOf(await loadConfig(config, { evidence: true }))
  const wrapping = Buffer.from(loaded.ledger.vaultKey.reveal(), 'base64url')
  return { directory: loaded.ledger.directory, wrapping }
}

/** @throws Misuse ERR_OPTION_INVALID */
function filterOf({ subject, resource, denied, all, since, lines }: Options, wrapping: Uint8Array | undefined) {
  if (since !== undefined && lines !== undefined)
    throw new Misuse('ERR_OPTION_INVALID', '--since and --lines: one of them says where to begin')
  if (subject !== undefined && wrapping === undefined && !/^[A-Za-z0-9_-]{22}$/.test(subject))
    throw new Misuse('ERR_OPTION_INVALID', "--subject takes a pseudonym where the vault's key is not given (--vault)")
  return {
    ...(subject === undefined ? {} : { subject }),
    ...(resource === undefined ? {} : { resource }),
    denied: denied === true,
    all: all === true,
  }
}

/** @throws Misuse ERR_OPTION_INVALID */
function countOf(text = '10'): number {
  if (!/^\d{1,5}$/.test(text)) throw new Misuse('ERR_OPTION_INVALID', '--lines takes a whole number, up to 99999')
  return Number(text)
}

/** Aborts on Ctrl-C, on SIGTERM, and where whoever reads has seen enough. All three are good ends. */
function ending(): AbortSignal {
  const over = new AbortController()
  const end = () => {
    process.exitCode = exit.good
    over.abort()
  }
  process.once('SIGINT', end)
  process.once('SIGTERM', end)
  process.stdout.on('error', end)
  return over.signal
}

/** A reader that is slow is waited for. */
async function print(lines: readonly Line[]): Promise<void> {
  if (lines.length === 0) return
  const text = `${lines.map(line => line.text).join('\n')}\n`
  await new Promise<void>(done => process.stdout.write(text, () => done()))
}

const say = (text: string) => void process.stderr.write(`${colour.yellow('counterfoil:')} ${text}\n`)

const paint: Paint = (text, tone) => {
  const paints = { good: colour.green, bad: colour.red, warn: colour.yellow, plain: (same: string) => same }
  return paints[tone](text)
}
