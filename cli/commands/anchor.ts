/** `counterfoil anchor`: has a timestamping authority (RFC 3161) or a git repository vouch for the published checkpoint. */
import { readFile, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { acceptTimestamp, type Got, requestFor, stampBy, tagIn } from '../../lib/anchors/obtain.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { readAuthorities } from '../../lib/format/timestamp.ts'
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
      const got = await tagIn(await ledgerOf(options.config), options.repository)
      show(got, options.json, `push it: git push REMOTE refs/tags/${got.by}`)
    })
}

async function stamp({ config, ca, url, requestOut, responseIn, json }: StampOptions): Promise<void> {
  const ways = [url, requestOut, responseIn].filter(way => way !== undefined)
  if (ways.length !== 1) throw new Misuse('ERR_OPTION_INVALID', 'say one of --url, --request-out and --response-in')
  const directory = await ledgerOf(config)
  if (requestOut !== undefined) {
    const { request, size } = await requestFor(directory)
    await writeFile(requestOut, request)
    const out = output(json === true)
    out.result({ file: requestOut, size }, () => {
      out.line(`${requestOut}: a request for the checkpoint of ${size} entries, of type application/timestamp-query`)
      out.line('its answer: counterfoil anchor timestamp --response-in FILE --ca FILE')
    })
    return
  }
  if (ca === undefined)
    throw new Misuse('ERR_OPTION_INVALID', 'an answer is verified with --ca: the certificate of the authority')
  const authorities = readAuthorities((await read('--ca', ca)).toString('utf8'))
  const got =
    url === undefined
      ? await acceptTimestamp(directory, await read('--response-in', responseIn!), authorities)
      : await stampBy(directory, url, authorities)
  show(got, json, `verified with: counterfoil verify LEDGER --tsa ${ca}`)
}

const ledgerOf = async (config: string): Promise<string> =>
  (await newestOf(await loadConfig(config, { evidence: true }))).ledger.directory

const read = (option: string, file: string): Promise<Buffer> =>
  readFile(file).catch((error: unknown) => {
    throw new Misuse('ERR_OPTION_INVALID', `${option} ${file}: the file cannot be read`, {}, error)
  })

function show({ file, by, size, at }: Got, json: boolean | undefined, next: string): void {
  const out = output(json === true)
  const time = new Date(at).toISOString()
  out.result({ file, by, size, at: time }, () => {
    out.line(`${size} entries, ${time}, by ${by}`)
    out.line(`kept as ${file}; it becomes an entry at the gateway's next round, or when the ledger is next opened`)
    out.line(next)
  })
}
