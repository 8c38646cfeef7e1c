/** `counterfoil verify-bundle`: whether a bundle is whole, and every result in it follows from what it holds. */
import type { Command } from 'commander'
import { type BundlesVerification, type BundleVerification, type Step, verifyBundles } from '../../evidence/index.ts'
import { parseControls } from '../../lib/config/controls.ts'
import { type AnchorChoice, anchorsOf, withAnchors } from '../anchors.ts'
import { annotations } from '../annotations.ts'
import { bundleConclusion, bundlesConclusion } from '../conclusion.ts'
import { exit } from '../exit.ts'
import { bundleSuite, junit, type Suite, writeReport } from '../junit.ts'
import { type Output, output } from '../output.ts'
import { printFindings, printSteps, printVerdict, trusted, verdictStatus } from '../trust.ts'

interface Options extends AnchorChoice {
  readonly key?: string
  readonly pin?: string
  readonly junit?: string
  readonly json?: boolean
}

export function verifyBundle(program: Command): void {
  const command = program
    .command('verify-bundle')
    .description('verify a bundle: its files, its signature, its entries, and each result derived again')
    .argument('<bundle>', "the bundle's folder; or the one with a bundle for each ledger of a series in it")
    .option('--key <where>', 'the OpenPGP fingerprint, or the file of the certificate, as given to you from outside')
    .option('--pin <file>', 'a checkpoint held elsewhere, to compare with; never written')
  withAnchors(command)
    .option('--junit <file>', 'also write what was found as JUnit XML')
    .option('--json', 'print one JSON document')
    .action(async (directory: string, options: Options) => {
      const out = output(options.json === true)
      const all = await verifyBundles({
        directory,
        ...(await trusted(options.key)),
        ...(options.pin === undefined ? {} : { pin: options.pin }),
        anchors: await anchorsOf(options),
        readControls: parseControls,
      })
      const { verdict, exceptions, bundles } = all
      process.exitCode = verdict === 'OK' && exceptions ? exit.exceptions : verdictStatus(verdict)
      const suites = suitesOf(directory, all)
      if (options.junit !== undefined) await writeReport(options.junit, junit(suites, 'verify-bundle'))
      if (!out.json && process.env.GITHUB_ACTIONS === 'true') for (const line of annotations(suites)) out.line(line)
      const [first] = bundles
      if (isOne(directory, all)) return out.result(first!.verification, () => print(out, first!.verification))
      const results = bundles.map(({ bundle, verification }) => ({ bundle, ...verification }))
      out.result({ verdict, exceptions, findings: all.findings, bundles: results }, () => {
        for (const { bundle, verification } of bundles) {
          out.line(headOf(bundle, verification))
          print(out, verification)
          out.line()
        }
        printFindings(out, all.findings)
        printVerdict(out, verdict, bundlesConclusion(all))
      })
    })
}

/** The folder itself, and not those within it. */
const isOne = (directory: string, { bundles: [first] }: BundlesVerification) => first?.bundle === directory

function suitesOf(directory: string, all: BundlesVerification): Suite[] {
  const suites = all.bundles.map(one => bundleSuite(one, bundleConclusion(one.verification)))
  if (isOne(directory, all)) return suites
  const text = bundlesConclusion(all)
  const verdict = all.findings.length === 0 ? 'OK' : all.verdict
  const step: Step = { name: 'one after another', status: verdict === 'OK' ? 'ok' : 'failed', detail: text }
  return [
    ...suites,
    {
      ...{ name: directory, verdict, steps: [step], detail: text, text },
      ...{ findings: all.findings, undetectable: '' },
    },
  ]
}

/** Which ledger and which period it is of, as it says itself: what is missing between them is seen. */
function headOf(bundle: string, { manifest }: BundleVerification): string {
  if (manifest === undefined) return bundle
  const { ledger, period } = manifest
  return `${bundle}: ${ledger.origin}, from ${period.from} to ${period.to}`
}

function print(out: Output, result: BundleVerification): void {
  printSteps(out, result.steps)
  printFindings(out, result.findings)
  out.line()
  out.wrapped(result.undetectable, 0)
  printVerdict(out, result.verdict, bundleConclusion(result))
}
