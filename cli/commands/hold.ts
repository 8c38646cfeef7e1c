/** `counterfoil hold`: legal holds, which nothing is erased under. */
import type { Command } from 'commander'
import { familyOf, inspectLedger, type LedgerRecord } from '../../evidence/index.ts'
import { type Config, loadConfig } from '../../lib/config/config.ts'
import { LedgerError, Misuse } from '../../lib/errors.ts'
import { lastCarried } from '../carried.ts'
import { readSecret } from '../credentials.ts'
import { withCustody } from '../custody.ts'
import { ledgersOf } from '../ledgers.ts'
import { namesOf } from '../names.ts'
import { colour, type Output, output, painted } from '../output.ts'
import { readingKey } from '../reading-key.ts'
import type { Trusted } from '../trust.ts'
import { targetOf } from './erase.ts'

interface Options {
  readonly principal?: string
  readonly session?: string
  readonly everything?: boolean
  readonly reason: string
  readonly key?: string
  readonly config: string
  readonly json?: boolean
}

export function hold(program: Command): void {
  const group = program.command('hold').description('legal holds: what one covers is not erased').exitOverride()
  const reason = ['--reason <text>', 'why; disclosed to who has the key of the vault'] as const
  const key = ['--key <where>', 'your key: env:NAME or file:PATH; else it is typed, or piped in'] as const
  const config = ['--config <file>', 'counterfoil.yaml', 'counterfoil.yaml'] as const
  const json = ['--json', 'print one JSON document'] as const

  group
    .command('place')
    .description('from now on nothing of this is erased')
    .option('--principal <name>', 'what is sealed under one name, in their sessions, and of their agents')
    .option('--session <id>', 'what is sealed of one session')
    .option('--everything', 'the whole ledger')
    .requiredOption(...reason)
    .option(...key)
    .option(...config)
    .option(...json)
    .exitOverride()
    .action(async (options: Options) => {
      const out = output(options.json === true)
      const named = options.principal !== undefined || options.session !== undefined
      if (!named && !options.everything)
        throw new Misuse('ERR_OPTION_INVALID', 'say which: --principal NAME, --session ID or --everything')
      if (options.everything && named) throw new Misuse('ERR_OPTION_INVALID', '--everything is all there is')
      const target = options.everything ? { scope: 'ledger' as const } : targetOf(options)
      await withCustody(options.config, [await readSecret(options.key, 'key')], {}, async (custodian, [by]) => {
        const id = await custodian.place(by!, target, options.reason)
        out.result({ hold: id, by: by!.id }, () =>
          out.line(`held: ${id}; release it with: counterfoil hold release ${id}`),
        )
      })
    })

  group
    .command('release')
    .description('end a hold; whoever does it cannot ask for the erasure of what it covered')
    .argument('<hold>', 'its id')
    .requiredOption(...reason)
    .option(...key)
    .option(...config)
    .option(...json)
    .exitOverride()
    .action(async (id: string, options: Options) => {
      const out = output(options.json === true)
      await withCustody(options.config, [await readSecret(options.key, 'key')], {}, async (custodian, [by]) => {
        await custodian.release(by!, id, options.reason)
        out.result({ hold: id, done: 'released', by: by!.id }, () => out.line(`released: ${id}`))
      })
    })

  group
    .command('list')
    .description('the holds there are, of a ledger that is verified first')
    .option(...config)
    .option(...json)
    .exitOverride()
    .action(async (options: Options) => {
      const out = output(options.json === true)
      const holds = await listed(options.config)
      out.result({ holds: holds.map(plain) }, () => {
        if (holds.length === 0) return out.line('no hold was ever placed')
        for (const one of holds) print(out, one)
      })
    })
}

interface Said {
  /** RFC 3339: in the first ledger of the series, or of what is left of it, that says so. */
  readonly at: string
  /** That this was in a ledger that was disposed of, before that time: the next one says it again. */
  readonly carried?: true
  /** A pseudonym. */
  readonly by: string
  /** Of who said it, where it can be opened. */
  readonly name?: string
  readonly reason?: string
}

interface Listed {
  readonly hold: string
  /** A session by its id, a principal by its pseudonym. */
  readonly on: string
  /** Of that principal, where it can be opened. */
  readonly name?: string
  readonly said: Said
  released?: Said
}

/** For programs. */
const plain = ({ said: { at, by, name, reason, carried }, released, ...hold }: Listed) => ({
  ...hold,
  ...{ placed: at, ...(carried === undefined ? {} : { carried }), by: name ?? by, reason },
  ...(released === undefined
    ? {}
    : {
        released: released.at,
        ...(released.carried === undefined ? {} : { releasedCarried: true }),
        ...{ releasedBy: released.name ?? released.by, releasedReason: released.reason },
      }),
})

function print(out: Output, { hold, on, name, said, released }: Listed): void {
  const words = (verb: string, { at, carried, by, name: who = by, reason }: Said) =>
    out.wrapped(
      `  ${verb} ${carried === true ? 'before ' : ''}${at} by ${who}${reason === undefined ? '' : `: ${reason}`}`,
      4,
    )
  const what = name === undefined ? on : `principal ${name}`
  out.wrapped(painted`${colour.bold(hold)}  ${what}  ${released === undefined ? 'stands' : 'released'}`, 2)
  words('placed', said)
  if (released !== undefined) words('released', released)
}

/** Of all ledgers of the series, the oldest first: a hold is said again in each. */
async function listed(config: string): Promise<Listed[]> {
  const holds = new Map<string, Listed>()
  const ledgers = await ledgersOf(await loadConfig(config, { evidence: true }))
  const key = await readingKey(ledgers.at(-1)!.ledger.sealKey)
  for (const { ledger } of ledgers) {
    const records = await recordsOf(ledger, key)
    const names = namesOf(records)
    const carriedTo = lastCarried(records)
    const saidIn = ({ index, entry, opened }: LedgerRecord, by: string): Said => {
      const { reason } = opened.values
      const name = names.get(by)
      const told = { ...(name === undefined ? {} : { name }), ...(typeof reason === 'string' ? { reason } : {}) }
      return { at: entry.time, ...(index <= carriedTo ? { carried: true } : {}), by, ...told }
    }
    for (const record of records) {
      const { entry } = record
      const known = 'hold' in entry && entry.hold !== undefined ? holds.get(entry.hold) : undefined
      if (entry.kind === 'hold-released' && known !== undefined) known.released ??= saidIn(record, entry.by)
      if (entry.kind !== 'hold-placed' || known !== undefined) continue
      const name = entry.scope === 'principal' ? names.get(entry.of!) : undefined
      holds.set(entry.hold, {
        hold: entry.hold,
        on: [entry.scope, entry.of].filter(part => part !== undefined).join(' '),
        ...(name === undefined ? {} : { name }),
        said: saidIn(record, entry.by),
      })
    }
  }
  return [...holds.values()]
}

/** @throws LedgerError ERR_LEDGER_INCONSISTENT, ERR_LEDGER_MISSING: none is shown where some may be hidden */
async function recordsOf({ directory, vaultKey }: Config['ledger'], key: Trusted): Promise<readonly LedgerRecord[]> {
  const wrappingKey = Buffer.from(vaultKey.reveal(), 'base64url')
  const { verification, records } = await inspectLedger({ directory, ...key, wrappingKey })
  const { verdict, detail } = verification.integrity
  if (verdict === 'broken') throw new LedgerError('ERR_LEDGER_INCONSISTENT', `the ledger is not whole: ${detail}`)
  if (verdict === 'whole') return records
  // That a key is one's own, its configuration says, expired as it may be.
  const untold = verification.findings.find(({ code }) => familyOf(code) === 'untold' && code !== 'KEY_EXPIRED')
  if (untold === undefined && verification.sealKey !== undefined) return records
  throw new LedgerError('ERR_LEDGER_MISSING', `which holds there are cannot be told: ${untold?.what ?? detail}`)
}
