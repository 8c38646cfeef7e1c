/** `counterfoil anchor`: has a timestamping authority (RFC 3161) or a git repository vouch for the published checkpoint. */
import { readFile, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { AnchorPlace } from '../../lib/anchors/kept.ts'
import { acceptTimestamp, type Got, requestFor, stampBy, tagIn } from '../../lib/anchors/obtain.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { isOurs, Misuse } from '../../lib/errors.ts'
import { readAuthorities } from '../../lib/format/timestamp.ts'
import { counted } from '../../lib/format/words.ts'
import { newestOf } from '../ledgers.ts'
import { output } from '../output.ts'

interface StampOptions {
  readonly config: string
  readonly ca?: string
  readonly url?: string
  readonly requestOut?: string
  readonly responseIn?: string
  readonly json?: boolean
}

export function anchor(program: Command): void {
  const group = program
    .command('anchor')
    .description('have others vouch for the published checkpoint; the running gateway records what was obtained')
    .exitOverride()
  const config = ['--config <file>', 'counterfoil.yaml', 'counterfoil.yaml'] as const
  const json = ['--json', 'print one JSON document'] as const

  group
    .command('timestamp')
    .description('a time stamp after RFC 3161: from an authority at --url, or in two steps where there is no network')
    .option('--ca <file>', 'certificates (PEM) of the authority, or of what certifies it')
    .option('--url <url>', 'where the authority answers')
    .option('--request-out <file>', 'the first step: write the request, to be carried to an authority')
    .option('--response-in <file>', 'the second: its answer, which is verified and kept')
    .option(...config)
    .option(...json)
    .exitOverride()
    .action(stamp)

  group
    .command('git')
    .description('an annotated tag with the checkpoint as its message; push it to where nobody here can rewrite it')
    .requiredOption('--repository <folder>', 'a git repository')
    .option(...config)
    .option(...json)
    .exitOverride()
    .action(async (options: { repository: string; config: string; json?: boolean }) => {
      const got = await tagIn(await placeOf(options.config), options.repository)
      show(got, options.json, 'push it:', `git push REMOTE refs/tags/${got.by}`)
    })
}

async function stamp({ config, ca, url, requestOut, responseIn, json }: StampOptions): Promise<void> {
  const ways = [url, requestOut, responseIn].filter(way => way !== undefined)
  if (ways.length !== 1) throw new Misuse('ERR_OPTION_INVALID', 'say one of --url, --request-out and --response-in')
  const place = await placeOf(config)
  if (requestOut !== undefined) {
    const { request, size } = await requestFor(place)
    await writeFile(requestOut, request)
    const out = output(json === true)
    out.result({ file: requestOut, size }, () => {
      out.line(
        `${requestOut}: a request for the checkpoint of ${counted(size, 'entry')}, of type application/timestamp-query`,
      )
      out.line('its answer is taken by:')
      out.line('  counterfoil anchor timestamp --response-in FILE --ca FILE')
    })
    return
  }
  if (ca === undefined)
    throw new Misuse('ERR_OPTION_INVALID', 'an answer is verified with --ca: the certificate of the authority')
  const authorities = authoritiesIn(ca, (await read('--ca', ca)).toString('utf8'))
  const got =
    url === undefined
      ? await acceptTimestamp(place, await read('--response-in', responseIn!), authorities)
      : await stampBy(place, url, authorities)
  show(got, json, 'verified with:', `counterfoil verify LEDGER --tsa ${ca}`)
}

/** @throws Misuse ERR_OPTION_INVALID */
function authoritiesIn(file: string, text: string): ReturnType<typeof readAuthorities> {
  try {
    return readAuthorities(text)
  } catch (error) {
    if (!isOurs(error)) throw error
    throw new Misuse('ERR_OPTION_INVALID', `--ca ${file}: no certificate in PEM is in it`, {}, error)
  }
}

async function placeOf(config: string): Promise<AnchorPlace> {
  const { name: origin, ledger } = await newestOf(await loadConfig(config, { evidence: true }))
  const { directory, noteKey, vaultKey } = ledger
  return { directory, origin, noteKey, wrappingKey: Buffer.from(vaultKey.reveal(), 'base64url') }
}

const read = (option: string, file: string): Promise<Buffer> =>
  readFile(file).catch((error: unknown) => {
    throw new Misuse('ERR_OPTION_INVALID', `${option} ${file}: the file cannot be read`, {}, error)
  })

/** @param command what is done next, on a line of its own: it is copied */
function show({ file, by, size, at }: Got, json: boolean | undefined, next: string, command: string): void {
  const out = output(json === true)
  const time = new Date(at).toISOString()
  out.result({ file, by, size, at: time }, () => {
    out.line(`${counted(size, 'entry')}, ${time}, by ${by}`)
    out.line(`kept as ${file}`)
    out.line("it becomes an entry at the gateway's next round, or when the ledger is next opened")
    out.line(next)
    out.line(`  ${command}`)
  })
}
