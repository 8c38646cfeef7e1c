/** `counterfoil replay`: shows again what a reply showed: a terminal in its own time, rows as psql would, an HTTP reply as head and body. */
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { type RecordedAttachment, recordings } from '../../evidence/index.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { decodeEvents, timelineType } from '../../lib/format/timeline.ts'
import { readPrivateKey } from '../../lib/openpgp.ts'
import { asciicastType } from '../../lib/recording/recorder.ts'
import { colour, output } from '../output.ts'
import { keys } from '../replay/keys.ts'
import { parseCast, play, search } from '../replay/player.ts'
import { showTimeline } from '../replay/timeline.ts'

interface Options {
  readonly config: string
  readonly speed: string
  readonly idle: string
  readonly from: string
  readonly search?: string
  readonly out?: string
  readonly json?: boolean
}

export function replay(program: Command): void {
  program
    .command('replay')
    .description(
      'show again what was recorded of an exchange or a session; space pauses, + and - change the speed, q ends',
    )
    .argument('<id>', "an exchange's, session's or attachment's id")
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option('--speed <times>', 'of a terminal: how many times as fast; 0 for all at once', '1')
    .option('--idle <seconds>', 'of a terminal: longer silences are cut to this', '2')
    .option('--from <seconds>', 'of a terminal: where to begin', '0')
    .option('--search <text>', 'of a terminal: say where this was shown or typed')
    .option('--out <file>', 'write the recording itself, decrypted: asciicast for a terminal')
    .option('--json', 'print one JSON document: what is recorded under the id')
    .action(async (id: string, options: Options) => {
      const out = output(options.json === true)
      const { ledger } = await loadConfig(options.config, { evidence: true })
      const key = await readPrivateKey(ledger.sealKey.armored.reveal(), ledger.sealKey.passphrase?.reveal())
      const found = await recordings(
        {
          directory: ledger.directory,
          fingerprint: key.fingerprint,
          certificate: key.certificate,
          wrappingKey: Buffer.from(ledger.vaultKey.reveal(), 'base64url'),
        },
        id.replace(/^urn:uuid:/, ''),
      )
      if (found.length === 0) throw new Misuse('ERR_OPTION_INVALID', `nothing is recorded under ${JSON.stringify(id)}`)
      if (options.json)
        return out.result(
          found.map(({ index, entry }) => ({ index, entry })),
          () => undefined,
        )
      if (options.out !== undefined) {
        if (found.length > 1)
          throw new Misuse('ERR_OPTION_INVALID', `${found.length} recordings: name one, by its attachment`)
        await writeFile(options.out, found[0]!.content(), { flag: 'wx', mode: 0o600 })
        return
      }
      for (const recording of found) await show(recording, options)
    })
}

async function show({ entry, content }: RecordedAttachment, options: Options): Promise<void> {
  const write = (text: string) => void process.stdout.write(text)
  write(`${colour.bold(`${entry.part} of ${entry.exchange}`)}  ${entry.time}  ${entry.bytes} bytes\n`)
  if (entry.type === timelineType) return showTimeline(decodeEvents(content()), write)
  if (entry.type !== asciicastType)
    throw new Misuse('ERR_OPTION_INVALID', `a recording of type ${entry.type}: write it out with --out`)
  const parts: Uint8Array[] = []
  for await (const part of content()) parts.push(part)
  const cast = parseCast(Buffer.concat(parts).toString())
  if (options.search !== undefined) {
    for (const { at, line } of search(cast, options.search))
      output(false).line(`${at.toFixed(3).padStart(10)}  ${line}`)
    return
  }
  const speed = numberIn('--speed', options.speed)
  const control = keys(speed)
  try {
    const bounds = { idle: numberIn('--idle', options.idle), from: numberIn('--from', options.from) }
    await play(cast, { ...bounds, speed, wait: control.wait, write })
    write('\n')
  } finally {
    control.close()
  }
}

function numberIn(option: string, text: string): number {
  const value = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || !Number.isFinite(value))
    throw new Misuse('ERR_OPTION_INVALID', `${option} takes a number, 0 or more`)
  return value
}
