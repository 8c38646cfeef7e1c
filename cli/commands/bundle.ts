/** `counterfoil bundle`: the evidence of a period, for an auditor to keep. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { BundleResult, ImportOptions } from '../../evidence/index.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { counted } from '../../lib/format/words.ts'
import { type AnchorChoice, anchorsOf, withAnchors } from '../anchors.ts'
import { bundlesOf } from '../evidence.ts'
import { exit } from '../exit.ts'
import { colour, type Output, output, painted } from '../output.ts'
import { repeatable } from '../values.ts'

interface Options extends AnchorChoice {
  readonly config: string
  readonly from: string
  readonly to: string
  readonly out: string
  readonly organisation?: string
  readonly asOf?: string
  readonly pin?: string
  readonly csvlog: readonly string[]
  readonly user?: string
  readonly pseudonyms?: boolean
  readonly withhold: readonly string[]
  readonly recordings?: boolean
  readonly actions: 'none' | 'approved' | 'all'
  readonly json?: boolean
}

export function bundle(program: Command): void {
  const command = program
    .command('bundle')
    .description('assemble the evidence of a period into a folder that others can verify')
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .requiredOption('--from <date>', 'the first day of the period, or a time: 2026-07-01 (UTC)')
    .requiredOption('--to <date>', 'the day after the last: 2026-10-01 (UTC)')
    .requiredOption('--out <folder>', 'where; must not exist, or be empty')
    .option('--organisation <name>', "whose evidence it is (default: the configuration's name)")
    .option('--as-of <time>', 'RFC 3339: makes the bundle reproducible (default: now)')
    .option('--pin <file>', 'a checkpoint held elsewhere, with which the ledger must agree; never written')
    .addOption(repeatable('--csvlog <target=file>', "reconcile with PostgreSQL's csvlog of that listener's database"))
    .option('--user <name>', 'the database user as whom the gateway connects, for --csvlog')
    .option('--pseudonyms', 'leave the names of people out')
    .addOption(
      repeatable('--withhold <who>', 'a principal, by name or pseudonym, of whom nothing is disclosed in this copy'),
    )
    .option('--actions <which>', 'which exact actions are disclosed: none, approved, all', 'approved')
    .option('--recordings', 'put the recordings in, as they were shown; without it they are listed')
  withAnchors(command)
    .option('--json', 'print one JSON document')
    .action(async (options: Options) => {
      const out = output(options.json === true)
      const asOf = options.asOf === undefined ? undefined : Date.parse(options.asOf)
      if (Number.isNaN(asOf)) throw new Misuse('ERR_OPTION_INVALID', '--as-of is a time: 2026-10-02T09:00:00Z')
      if (!['none', 'approved', 'all'].includes(options.actions)) {
        throw new Misuse('ERR_OPTION_INVALID', '--actions is none, approved or all')
      }
      const results = await bundlesOf(await loadConfig(options.config, { evidence: true }), {
        from: options.from,
        to: options.to,
        out: options.out,
        imports: await imports(options),
        actions: options.actions,
        identities: options.pseudonyms ? 'pseudonyms' : 'identified',
        recordings: options.recordings === true,
        ...(options.withhold.length === 0 ? {} : { withhold: options.withhold }),
        anchors: await anchorsOf(options),
        ...(options.organisation === undefined ? {} : { organisation: options.organisation }),
        ...(options.pin === undefined ? {} : { pin: options.pin }),
        ...(asOf === undefined ? {} : { asOf }),
      })
      process.exitCode = results.some(({ exceptions }) => exceptions) ? exit.exceptions : exit.good
      const summaries = results.map(summaryOf)
      out.result(summaries.length === 1 ? summaries[0] : summaries, () => {
        for (const result of results) printBundle(out, result)
      })
    })
}

function summaryOf({
  directory,
  count,
  results,
  reconciliations,
  exceptions,
  verification,
  manifest,
  begins,
}: BundleResult) {
  return {
    ...{ directory, files: count, results, reconciliations, exceptions },
    ...{ size: verification.size, stamps: manifest.stamps },
    ...(begins === undefined ? {} : { begins }),
  }
}

async function imports({ csvlog, user }: Options): Promise<ImportOptions[]> {
  if (csvlog.length > 0 && user === undefined) {
    throw new Misuse('ERR_OPTION_INVALID', '--csvlog needs --user: the database user as whom the gateway connects')
  }
  return Promise.all(
    csvlog.map(async given => {
      const [, target, file] = /^([a-z][a-z0-9-]*)=(.+)$/.exec(given) ?? []
      if (target === undefined) throw new Misuse('ERR_OPTION_INVALID', '--csvlog is TARGET=FILE: crm=server.csv')
      const text = await readFile(file!, 'utf8').catch((error: unknown) => {
        throw new Misuse('ERR_OPTION_INVALID', `--csvlog: ${file} cannot be read`, {}, error)
      })
      return { name: `${target}-csvlog`, text, target, user: user! }
    }),
  )
}

const meaning = {
  DEMO: 'made by a demonstration with invented data',
  PROVISIONAL: 'the period had not ended, so no population is final',
} as const

export function printBundle(
  out: Output,
  { directory, count, results, reconciliations, manifest, begins }: BundleResult,
): void {
  const paint = (word: string) => (word === 'no-exceptions-noted' ? colour.green(word) : colour.yellow(word))
  const heading = ['  control', 'attribute', 'result', 'exceptions / population']
  const rows = results.map(result => [
    `  ${result.control}`,
    result.test,
    paint(result.word),
    `${result.exceptions} / ${result.population}`,
  ])
  out.table(rows.length === 0 ? [['  no control was tested']] : [heading, ...rows])
  for (const [why, tests] of untested(results)) {
    out.wrapped(painted`  ${colour.yellow('unable to test')} ${some(tests)}: ${why}`, 4)
  }
  for (const { name, word, bypasses } of reconciliations) {
    const came = `${counted(bypasses.length, 'statement')} that came by another way`
    out.wrapped(painted`  reconciled with ${name}: ${paint(word)}, ${came}`, 4)
  }
  for (const stamp of manifest.stamps) out.wrapped(painted`  ${colour.yellow(stamp)}: ${meaning[stamp]}`, 4)
  if (begins !== undefined) out.wrapped(painted`  ${colour.yellow(begins)}`, 4)
  const { principals, entries } = manifest.withheld
  if (principals.length > 0) {
    const numbers = some(entries.map(index => `#${index}`))
    const other = `${counted(entries.length, 'other entry')} (${numbers})`
    const more = entries.length === 0 ? '' : `, and what names them in ${other}`
    out.wrapped(`  withheld: what is disclosed of ${counted(principals.length, 'principal')}${more}`, 4)
  }
  out.line(`${count} files in ${directory}; begin with README.html, verify as VERIFY.txt says`)
}

/** By why, the tests of controls that could not be made: a gap in the log is one reason for many. */
function untested(results: BundleResult['results']): ReadonlyMap<string, readonly string[]> {
  const byWhy = new Map<string, string[]>()
  for (const { word, control, test, why, unable } of results) {
    if (word !== 'unable-to-test') continue
    const [first, ...others] = why === undefined ? unable.map(interval => interval.why) : [why]
    const reason = `${first}${others.length === 0 ? '' : `, and ${others.length} more (results/${control}.json)`}`
    byWhy.set(reason, [...(byWhy.get(reason) ?? []), `${control} ${test}`])
  }
  return byWhy
}

const some = (all: readonly string[]) =>
  all.length <= 4 ? all.join(', ') : `${all.slice(0, 3).join(', ')} and ${all.length - 3} more`
