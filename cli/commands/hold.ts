/** `counterfoil hold`: legal holds, which nothing is erased under. */
import type { Command } from 'commander'
import { inspectLedger } from '../../evidence/index.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { LedgerError, Misuse } from '../../lib/errors.ts'
import type { EntryOf } from '../../lib/format/entry.ts'
import { configuredSealer } from '../../lib/sealing.ts'
import { readSecret } from '../credentials.ts'
import { withCustody } from '../custody.ts'
import { newestOf } from '../ledgers.ts'
import { output } from '../output.ts'
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
    .option('--principal <name>', 'what is sealed under one name')
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
      out.result({ holds }, () => {
        if (holds.length === 0) return out.line('no hold was ever placed')
        const rows = holds.map(({ hold, on, placed, released }) => [hold, on, placed, released ?? 'stands'])
        out.table([['hold', 'on', 'placed', 'released'], ...rows])
      })
    })
}

interface Listed {
  readonly hold: string
  readonly on: string
  readonly placed: string
  readonly released?: string
}

async function listed(config: string): Promise<Listed[]> {
  const { ledger } = await newestOf(await loadConfig(config, { evidence: true }))
  const { fingerprint, certificate } = await configuredSealer(ledger.sealKey)
  const { verification, records } = await inspectLedger({ directory: ledger.directory, fingerprint, certificate })
  if (verification.integrity.verdict === 'broken') {
    throw new LedgerError('ERR_LEDGER_INCONSISTENT', `the ledger is not whole: ${verification.integrity.detail}`)
  }
  const released = new Map<string, EntryOf<'hold-released'>>()
  for (const { entry } of records) if (entry.kind === 'hold-released') released.set(entry.hold, entry)
  return records.flatMap(({ entry }) => {
    if (entry.kind !== 'hold-placed') return []
    const ended = released.get(entry.hold)?.time
    const on = [entry.scope, entry.of].filter(part => part !== undefined).join(' ')
    return [{ hold: entry.hold, on, placed: entry.time, ...(ended === undefined ? {} : { released: ended }) }]
  })
}
