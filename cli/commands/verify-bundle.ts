/** `counterfoil verify-bundle`: whether a bundle is whole, and every result in it follows from what it holds. */
import type { Command } from 'commander'
import { verifyBundle as verifyEvidence } from '../../evidence/index.ts'
import { parseControls } from '../../lib/config/controls.ts'
import { type AnchorChoice, anchorsOf, withAnchors } from '../anchors.ts'
import { bundleConclusion } from '../conclusion.ts'
import { exit } from '../exit.ts'
import { output } from '../output.ts'
import { printFindings, printSteps, printVerdict, trusted, verdictStatus } from '../trust.ts'

interface Options extends AnchorChoice {
  readonly key: string
  readonly pin?: string
  readonly json?: boolean
}

export function verifyBundle(program: Command): void {
  const command = program
    .command('verify-bundle')
    .description('verify a bundle: its files, its signature, its entries, and each result derived again')
    .argument('<bundle>', "the bundle's folder")
    .requiredOption(
      '--key <where>',
      'the OpenPGP fingerprint, or the file of the certificate, as given to you from outside',
    )
    .option('--pin <file>', 'a checkpoint held elsewhere, to compare with; never written')
  withAnchors(command)
    .option('--json', 'print one JSON document')
    .action(async (directory: string, options: Options) => {
      const out = output(options.json === true)
      const result = await verifyEvidence({
        directory,
        ...(await trusted(options.key)),
        ...(options.pin === undefined ? {} : { pin: options.pin }),
        anchors: await anchorsOf(options),
        readControls: parseControls,
      })
      const { verdict, exceptions } = result
      process.exitCode = verdict === 'OK' && exceptions ? exit.exceptions : verdictStatus(verdict)
      out.result(result, () => {
        printSteps(out, result.steps)
        printFindings(out, result.findings)
        out.line()
        out.line(result.undetectable)
        printVerdict(out, verdict, bundleConclusion(result))
      })
    })
}
