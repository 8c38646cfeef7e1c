/** `counterfoil prove`: the proof that one entry stands in the ledger, for whoever holds nothing but its key; and its check. */
import { readFile, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { checkProof, proofScript, proveEntry } from '../../evidence/index.ts'
import { Misuse } from '../../lib/errors.ts'
import { counted } from '../../lib/format/words.ts'
import { logKey, witnessKeys } from '../given-keys.ts'
import { sayIfGoesOn } from '../ledgers.ts'
import { colour, output, painted, say } from '../output.ts'
import { count, repeatable } from '../values.ts'

interface Options {
  readonly size?: number
  readonly out?: string
  readonly inside?: boolean
  readonly script?: boolean
  readonly ca?: string
  readonly check?: string
  readonly entry?: string
  readonly key?: string
  readonly witness: readonly string[]
  readonly quorum?: number
  readonly json?: boolean
}

export function prove(program: Command): void {
  program
    .command('prove')
    .description('write the proof of one entry (C2SP tlog-proof); or check one: --check FILE --entry FILE --key VKEY')
    .argument('[ledger]', "the ledger's directory, or the https address where it is published")
    .argument('[entry]', "the entry's number, or its id")
    .option(
      '--size <n>',
      'against the checkpoint of that size (default: the newest over the entry that most witnesses cosigned, by the note key in force)',
      count('--size'),
    )
    .option(
      '--out <file>',
      'where the proof goes, with the entry beside it as FILE.entry (default: the proof, printed)',
    )
    .option('--script', 'beside the proof, as FILE.sh, a script that checks it with coreutils and openssl alone')
    .option('--ca <file>', 'authorities to trust for an https address, in place of those of the system')
    .option('--inside', 'the proof carries the entry itself')
    .option('--check <file>', 'check this proof')
    .option('--entry <file>', "with --check: the entry's file, where the proof does not carry it")
    .option('--key <vkey>', "with --check: the ledger's verifier key, from outside")
    .addOption(repeatable('--witness <vkey>', "with --check: a witness's verifier key, from outside"))
    .option(
      '--quorum <n>',
      'with --check: how many of the witnesses must have cosigned (default: all)',
      count('--quorum'),
    )
    .option('--json', 'print one JSON document')
    .action(async (ledger: string | undefined, entry: string | undefined, options: Options) => {
      if (options.check !== undefined) return check(options.check, options)
      if (ledger === undefined || entry === undefined) {
        throw new Misuse('ERR_OPTION_INVALID', 'prove LEDGER ENTRY writes a proof; prove --check FILE checks one')
      }
      return write(ledger, entry, options)
    })
}

async function write(directory: string, given: string, options: Options): Promise<void> {
  const { size, out: file, inside, script, ca, json } = options
  const out = output(json === true)
  if (script === true && (file === undefined || inside === true)) {
    throw new Misuse('ERR_OPTION_INVALID', '--script needs --out, and the entry in a file of its own: no --inside')
  }
  await sayIfGoesOn(directory)
  const made = await proveEntry({
    directory,
    entry: /^\d+$/.test(given) ? Number(given) : given,
    inside: inside === true,
    ...(ca === undefined ? {} : { ca: await readFile(ca, 'utf8').catch(unreadable('--ca', ca)) }),
    ...(size === undefined ? {} : { size }),
  })
  const { index, checkpoint, hashes, proof, entry, cosigned, formerKey } = made
  if (cosigned === 0)
    say(
      `no witness has cosigned ${size === undefined ? 'a checkpoint over this entry yet' : 'that checkpoint'}: whoever asks for witnesses refuses this proof`,
    )
  if (formerKey !== undefined)
    say(`a former note key signed that checkpoint: whoever checks the proof needs ${formerKey}`)
  const beside = inside || file === undefined ? undefined : `${file}.entry`
  if (file !== undefined) await writeFile(file, proof)
  if (beside !== undefined) await writeFile(beside, entry)
  const checker = script === true ? `${file}.sh` : undefined
  if (checker !== undefined) await writeFile(checker, proofScript, { mode: 0o755 })
  const { origin, size: of, root } = checkpoint
  const tree = { origin, size: of, root: Buffer.from(root).toString('base64') }
  out.result(
    {
      index,
      ...tree,
      hashes,
      formerKey,
      ...(file === undefined ? { proof } : { file }),
      entry: beside,
      script: checker,
    },
    () => {
      if (file === undefined) process.stdout.write(proof)
      else
        out.line(
          `entry ${index} of ${origin} at ${counted(of, 'entry')}, ${counted(hashes, 'hash', 'hashes')}${cosigned ? `, with ${counted(cosigned, 'cosignature')}` : ''}: ${[file, beside, checker].filter(Boolean).join(', ')}`,
        )
      if (checker !== undefined) {
        out.line(`without anything of ours: sh ${checker} ${file} ${beside} "$LOG_KEY"`)
        const whence = formerKey === undefined ? ' --note' : ', the former key'
        out.line(`LOG_KEY, from outside: counterfoil keys show ${directory}${whence}`)
      }
    },
  )
}

async function check(file: string, { key, entry, witness, quorum, json }: Options): Promise<void> {
  const out = output(json === true)
  if (key === undefined) {
    throw new Misuse('ERR_OPTION_INVALID', "--check needs --key: the ledger's verifier key, from outside the proof")
  }
  logKey('--key', key)
  witnessKeys('--witness', witness)
  const checked = checkProof({
    proof: await readFile(file, 'utf8').catch(unreadable('--check', file)),
    key,
    witnesses: witness,
    ...(entry === undefined ? {} : { entry: await readFile(entry).catch(unreadable('--entry', entry)) }),
    ...(quorum === undefined ? {} : { quorum }),
  })
  const { index, checkpoint, cosignatures } = checked
  const { origin, size, root } = checkpoint
  const signed = cosignatures.map(({ name, time }) => ({ name, time: new Date(time * 1000).toISOString() }))
  const summary = { index, origin, size, root: Buffer.from(root).toString('base64'), cosignatures: signed }
  out.result(summary, () => {
    out.line(
      painted`${colour.green('ok')}  entry ${index} is in ${origin} at ${counted(size, 'entry')}, root ${summary.root}`,
    )
    for (const { name, time } of signed) out.line(`    cosigned by ${name} at ${time}, by its clock`)
  })
}

const unreadable = (option: string, file: string) => (error: unknown) => {
  throw new Misuse('ERR_OPTION_INVALID', `${option} ${file}: the file cannot be read`, {}, error)
}
