/** `counterfoil show`: all that the ledger holds of one exchange, grant, approval, session or entry, verified before it is shown. */
import type { Command } from 'commander'
import { inspectLedger, type LedgerRecord } from '../../evidence/index.ts'
import { type Config, loadConfig } from '../../lib/config/config.ts'
import { LedgerError, Misuse } from '../../lib/errors.ts'
import type { Json } from '../../lib/format/canonical.ts'
import { lastCarried } from '../carried.ts'
import { ledgersOf } from '../ledgers.ts'
import { namesOf } from '../names.ts'
import { colour, type Output, output, painted } from '../output.ts'
import { readingKey } from '../reading-key.ts'
import { resultOf, type SameExchange, sameExchange } from '../same-exchange.ts'

export function show(program: Command): void {
  program
    .command('show')
    .description('what the ledger holds of an exchange, grant, approval, session or entry')
    .argument('<id>', "an entry's number, or an id as a refusal names it")
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option('--json', 'print one JSON document')
    .action(async (id: string, options: { config: string; json?: boolean }) => {
      const out = output(options.json === true)
      const config = await loadConfig(options.config, { evidence: true })
      const { records, found } = await lookedUp(config, id.replace(/^urn:uuid:/, ''))
      const [names, carried] = [namesOf(records), lastCarried(records)]
      // Who asks by an exchange's id has the rest of it among what was found; by that of a grant, its decision alone.
      const same = found.map(record =>
        isNumber(id) || usesIt(record, id) ? sameExchange(record, records, found) : undefined,
      )
      out.result(
        found.map((record, i) => ({
          ...{ index: record.index, entry: record.entry, disclosed: record.opened.values },
          ...(record.opened.erased === undefined ? {} : { erased: record.opened.erased }),
          ...(same[i] === undefined ? {} : { sameExchange: same[i].others }),
        })),
        () => {
          for (const [i, record] of found.entries()) {
            print(out, record, names, carried)
            if (same[i] !== undefined) printSame(out, same[i])
          }
        },
      )
    })
}

/** In the newest ledger of the series that holds any of it. @throws LedgerError ERR_LEDGER_INCONSISTENT; Misuse ERR_OPTION_INVALID */
async function lookedUp(config: Config, id: string) {
  const key = await readingKey(config.ledger.sealKey)
  let looked = 0
  const gone = new Set<string>()
  for (const { ledger } of (await ledgersOf(config)).toReversed()) {
    const { verification, records } = await inspectLedger({
      directory: ledger.directory,
      fingerprint: key.fingerprint,
      certificate: key.certificate,
      wrappingKey: Buffer.from(ledger.vaultKey.reveal(), 'base64url'),
    })
    if (verification.integrity.verdict === 'broken') {
      throw new LedgerError(
        'ERR_LEDGER_INCONSISTENT',
        `nothing is shown of a ledger that is not whole: ${verification.integrity.detail}`,
      )
    }
    const found = records.filter(record => concerns(record, id))
    if (found.length > 0) return { records, found }
    looked += verification.size
    for (const { entry } of records) if (entry.kind === 'disposed') gone.add(entry.of)
  }
  const besides = gone.size === 0 ? '' : `; what was in ${[...gone].join(', ')}, disposed of, nobody can show any more`
  throw new Misuse('ERR_OPTION_INVALID', `nothing under ${JSON.stringify(id)} in ${looked} published entries${besides}`)
}

/** Of a grant or an approval that was asked for: what was done under it. */
const usesIt = ({ entry }: LedgerRecord, id: string) =>
  entry.kind === 'decision' && (entry.grant === id || entry.approval === id)

const isNumber = (id: string) => /^\d+$/.test(id)

/** An entry is concerned where its number, or any id in it, is the one asked for. */
function concerns({ index, entry }: LedgerRecord, id: string): boolean {
  if (isNumber(id)) return index === Number(id)
  return Object.values(entry).some(value => value === id || (Array.isArray(value) && value.includes(id)))
}

const heads = new Set(['v', 'id', 'kind', 'time', 'writer', 'seq', 'sd'])

function print(
  out: Output,
  { index, entry, opened }: LedgerRecord,
  names: ReadonlyMap<string, string>,
  carried: number,
): void {
  out.line(painted`${colour.bold(`#${index}`)}  ${entry.time}  ${colour.bold(entry.kind)}`)
  if (index > 1 && index <= carried)
    out.wrapped('    said again by the rollover: it was said before that, in an earlier ledger', 4)
  for (const [name, value] of Object.entries(entry)) {
    if (!heads.has(name) && value !== undefined) out.line(`    ${name}: ${text(value as Json, names)}`)
  }
  for (const [name, value] of Object.entries(opened.values))
    out.line(painted`    ${colour.cyan(name)} (disclosed): ${text(value, names)}`)
  if (opened.erased !== undefined) {
    const { count, by } = opened.erased
    out.line(painted`    ${colour.yellow(`${count} ${count === 1 ? 'disclosure' : 'disclosures'} erased (by #${by})`)}`)
  }
}

function printSame(out: Output, { exchange, others, open }: SameExchange): void {
  if (others.length === 0 && !open) return
  out.line(painted`  of its exchange (all: ${colour.bold(`counterfoil show ${exchange}`)}):`)
  for (const { index, entry } of others)
    out.wrapped(
      painted`    ${colour.bold(`#${index}`)}  ${entry.time}  ${colour.bold(entry.kind)}: ${resultOf(entry)}`,
      6,
    )
  if (open) out.wrapped('    no outcome is published: it is under way, or was cut off', 6)
}

function text(value: Json, names: ReadonlyMap<string, string>): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  const name = names.get(value)
  return name === undefined ? value : `${value} (${name})`
}
