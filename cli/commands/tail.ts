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
import { newestAt, sayIfGoesOn } from '../ledgers.ts'
import { colour, say } from '../output.ts'
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
    .addHelpText(
      'after',
      `\nShows what stands in the log, maybe before it is durable; ${notified}.\nEach line has its entry's number, for show: counterfoil show 14. What a terminal is too narrow for, ids of exchanges\nand sessions too, is left out or cut where there is an ellipsis: a pipe has it all, and so has --json.`,
    )
    .action(async (ledger: string | undefined, options: Options) => {
      const { directory, series, wrapping } = await whichLedger(ledger, options)
      const telling: Telling = {
        json: options.json === true,
        filter: filterOf(options, wrapping),
        wrapping,
        layout: () => ({ columns: process.stdout.columns ?? Number.POSITIVE_INFINITY, paint }),
      }
      const over = ending()
      try {
        await follow(directory, telling, options, over, series)
      } catch (error) {
        if (!over.aborted) throw error
      }
    })
}

/** @param series the directory of its first ledger: where a rollover has begun another, that is followed */
async function follow(
  directory: string,
  telling: Telling,
  options: Options,
  over: AbortSignal,
  series: string,
): Promise<void> {
  const begun = await begin(directory, telling, options)
  if (begun === undefined && !options.follow)
    throw new LedgerError('ERR_LEDGER_MISSING', `there is no ledger in ${directory}`)
  let { follower, teller, lines = [] } = begun ?? (await waitFor(directory, telling, over))
  await print(lines)
  let [told, doubted] = [false, false]
  let [at, idle] = [directory, 0]
  while (!over.aborted) {
    const batch = await follower.poll()
    if (follower.behind && !told) {
      told = true
      say(
        'the write-ahead log may not be read by this user: what happens shows once it is published, about a second later',
      )
    }
    if (follower.unproven && !doubted) {
      doubted = true
      say('what is not published yet was not made with this key of the vault: it may be forged, or the key is another')
    }
    if (batch.length > 0) await print((await teller.lines(batch)).filter(({ time }) => time >= (begun?.since ?? '')))
    else if (!options.follow) return
    else if (idle++ % 5 === 4 && (await newestAt(series)) !== at) {
      at = await newestAt(series)
      say(`the ledger was concluded, and goes on in ${at}`)
      const next = (await beginAt(at, telling)) ?? (await waitFor(at, telling, over))
      follower = next.follower
      teller = next.teller
    } else await sleep(interval, undefined, { signal: over })
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
    const follower = await Follower.open(directory, telling.wrapping)
    if (follower === undefined) return undefined
    follower.next = await firstSince(follower, since)
    return { follower, teller: new Teller(follower, telling), since }
  }
  let teller: Teller | undefined
  const found = await lastOf(directory, countOf(options.lines), telling.wrapping, async (follower, entries) => {
    teller = new Teller(follower, telling)
    return teller.lines(entries)
  })
  return found === undefined ? undefined : { follower: found.follower, teller: teller!, lines: found.last }
}

/** All of a ledger that begins later is new. */
async function waitFor(directory: string, telling: Telling, over: AbortSignal): Promise<Begun> {
  say(`there is no ledger in ${directory} yet: waiting for one, until Ctrl-C`)
  for (;;) {
    await sleep(interval, undefined, { signal: over })
    const begun = await beginAt(directory, telling)
    if (begun !== undefined) return begun
  }
}

async function beginAt(directory: string, telling: Telling): Promise<Begun | undefined> {
  const follower = await Follower.open(directory, telling.wrapping)
  return follower && { follower, teller: new Teller(follower, telling) }
}

/** @throws Misuse ERR_OPTION_INVALID */
async function whichLedger(ledger: string | undefined, { config, vault, follow }: Options) {
  if (ledger !== undefined) {
    const series = resolve(ledger)
    const directory = follow ? await newestAt(series) : series
    if (directory !== series) say(`this ledger was concluded: what is shown is of the newest after it, in ${directory}`)
    else await sayIfGoesOn(series)
    return { directory, series, wrapping: vault === undefined ? undefined : await vaultKey(vault) }
  }
  if (vault !== undefined)
    throw new Misuse('ERR_OPTION_INVALID', '--vault goes with a directory: a configuration names its own key')
  const first = await loadConfig(config, { evidence: true })
  const wrapping = Buffer.from(first.ledger.vaultKey.reveal(), 'base64url')
  return { directory: await newestAt(first.ledger.directory), series: first.ledger.directory, wrapping }
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

const paint: Paint = (text, tone) => {
  const paints = { good: colour.green, bad: colour.red, warn: colour.yellow }
  return tone === 'plain' ? text : paints[tone](text).text
}
