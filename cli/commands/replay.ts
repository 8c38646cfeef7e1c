/**
 * `counterfoil replay`: shows again what a reply showed, or a session's, in order: a terminal in its own time, results
 * as psql would, HTTP as head and body.
 */
import { open, readFile, rm, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import {
  type RecordedAttachment,
  recordings,
  type SessionRecord,
  sayErased,
  type VerifyOptions,
} from '../../evidence/index.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { LedgerError, Misuse } from '../../lib/errors.ts'
import { decodeEvents, timelineType } from '../../lib/format/timeline.ts'
import { earlierIn, memberOf, newestIn } from '../../lib/ledger/series.ts'
import { decryptWith, readPrivateKey } from '../../lib/openpgp.ts'
import { asciicastType } from '../../lib/recording/recorder.ts'
import { readSecret } from '../credentials.ts'
import { exit } from '../exit.ts'
import { ledgersOf, requireLedger } from '../ledgers.ts'
import { colour, output, painted } from '../output.ts'
import { readingKey } from '../reading-key.ts'
import { keys } from '../replay/keys.ts'
import { parseCast, play, search } from '../replay/player.ts'
import { endOf, promptOf, statementOf, storyOf, whatIsGone, withoutRecording } from '../replay/session.ts'
import { showTimeline } from '../replay/timeline.ts'
import { trusted } from '../trust.ts'

interface Options {
  readonly config: string
  readonly key?: string
  readonly passphrase?: string
  readonly ledger?: string
  readonly fingerprint?: string
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
      'show again what was recorded of an exchange, or of a session in order; space pauses, + and - change the speed, q ends',
    )
    .argument('<id>', "an exchange's, session's or attachment's id")
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option('--key <file>', 'your OpenPGP private key, where recordings are encrypted to you')
    .option('--passphrase <where>', "that key's: env:NAME or file:PATH")
    .option('--ledger <directory>', 'a copy of a ledger, in place of a configuration; with --fingerprint')
    .option('--fingerprint <key>', "the ledger's: a fingerprint, or the file of a certificate, from outside")
    .option('--speed <times>', 'of a terminal: how many times as fast; 0 for all at once', '1')
    .option('--idle <seconds>', 'of a terminal: longer silences are cut to this', '2')
    .option('--from <seconds>', 'of a terminal: where to begin', '0')
    .option('--search <text>', 'of a terminal: say where this was shown or typed')
    .option('--out <file>', 'write the recording itself, decrypted: asciicast for a terminal')
    .option('--json', 'print one JSON document: what is recorded under the id')
    .action(async (id: string, options: Options) => {
      const out = output(options.json === true)
      const { attachments: found, session } = await lookedUp(id, options)
      if (options.json)
        return out.result(
          (session ?? found).map(({ index, entry, erased }) => ({ index, entry, ...(erased && { erased }) })),
          () => undefined,
        )
      if (options.out !== undefined) {
        if (found.length !== 1)
          throw new Misuse('ERR_OPTION_INVALID', `${found.length} recordings: name one, by its attachment`)
        return writeOut(options.out, found[0]!)
      }
      if (session !== undefined) return showSession(session, found, options)
      for (const recording of found) {
        const { part, exchange, time, bytes } = recording.entry
        write(painted`${colour.bold(`${part} of ${exchange}`)}  ${time}  ${bytes} bytes\n`.text)
        await show(recording, options)
      }
    })
}

/** In the newest ledger of the series that holds anything under it. @throws Misuse ERR_OPTION_INVALID */
async function lookedUp(id: string, options: Options) {
  const reader = await readerOf(options)
  for (const ledger of await ledgersToLookIn(options)) {
    const found = await recordings(ledger, id.replace(/^urn:uuid:/, ''), reader)
    if (found.attachments.length > 0 || found.session !== undefined) return found
    if (found.exchange) {
      const why = 'no control has its reply recorded (record: { response: masked }), or nothing was shown'
      throw new Misuse('ERR_OPTION_INVALID', `that exchange is there, and nothing of it is recorded: ${why}`)
    }
  }
  throw new Misuse(
    'ERR_OPTION_INVALID',
    `there is no exchange, session or attachment ${JSON.stringify(id)} in what is published`,
  )
}

/** The newest first. */
async function ledgersToLookIn({ config, ledger: copy, fingerprint }: Options): Promise<readonly VerifyOptions[]> {
  if ((copy === undefined) !== (fingerprint === undefined))
    throw new Misuse('ERR_OPTION_INVALID', '--ledger and --fingerprint go together')
  if (copy !== undefined) {
    requireLedger(copy)
    const key = await trusted(fingerprint!, '--fingerprint')
    const members = [...(await earlierIn(copy)), await newestIn(copy)].toReversed()
    return members.map(number => ({ directory: memberOf({ directory: copy, origin: '' }, number).directory, ...key }))
  }
  const loaded = await loadConfig(config, { evidence: true })
  const own = await readingKey(loaded.ledger.sealKey)
  const wrappingKey = Buffer.from(loaded.ledger.vaultKey.reveal(), 'base64url')
  const key = { ...own, wrappingKey }
  return (await ledgersOf(loaded)).toReversed().map(({ ledger }) => ({ directory: ledger.directory, ...key }))
}

/** Who can open what is encrypted to them; undefined where no key was given. */
async function readerOf({ key, passphrase }: Options) {
  if (key === undefined) return undefined
  const armored = await readFile(key, 'utf8').catch((error: unknown) => {
    throw new Misuse('ERR_OPTION_INVALID', `--key ${key}: cannot be read`, {}, error)
  })
  const secret = passphrase === undefined ? undefined : await readSecret(passphrase, 'passphrase')
  const reader = await readPrivateKey(armored, secret)
  return (message: Uint8Array) => decryptWith(reader, message)
}

/** All of it, or nothing: what it is held against may be known only at its end. */
async function writeOut(path: string, { content }: RecordedAttachment): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await writeFile(file, content())
  } catch (error) {
    await rm(path)
    throw error
  } finally {
    await file.close()
  }
}

const write = (text: string) => void process.stdout.write(text)
/** What we say of it, told from what was shown. */
const remark = (text: string) => output(false).wrapped(colour.dim(`-- ${text}`), '-- '.length)

async function showSession(
  records: readonly SessionRecord[],
  attachments: readonly RecordedAttachment[],
  options: Options,
): Promise<void> {
  const { opened, closed, asked } = storyOf(records, attachments)
  if (opened === undefined) remark('the ledger does not say when this session was opened')
  else remark(`${opened.time}  ${opened.protocol} ${opened.target}, by ${opened.method}, session ${opened.session}`)
  for (const one of asked) {
    write('\n')
    remark(one.decision.time)
    for (const line of promptOf(one).split('\n')) write(`${colour.bold(line).text}\n`)
    const gone = whatIsGone(one)
    if (gone !== undefined) remark(gone)
    const instead = withoutRecording(one)
    if (instead !== undefined) remark(instead)
    for (const recording of one.attachments) await showOrSay(recording, options, statementOf(one))
    const end = endOf(one)
    if (end !== '') remark(end)
  }
  write('\n')
  remark(
    closed === undefined
      ? 'the ledger does not say that this session was closed'
      : `${closed.time}  closed: ${closed.reason}`,
  )
}

/** One recording that is gone does not hide the others. */
async function showOrSay(recording: RecordedAttachment, options: Options, statement?: string): Promise<void> {
  try {
    await show(recording, options, statement)
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error
    remark(`its recording, attachment ${recording.entry.attachment}, cannot be shown: ${error.message}`)
    process.exitCode = exit.incomplete
  }
}

async function show(recording: RecordedAttachment, options: Options, statement?: string): Promise<void> {
  const { cut, erased } = recording
  if (erased !== undefined) throw new LedgerError('ERR_LEDGER_MISSING', sayErased(erased))
  await showContent(recording, options, statement)
  if (cut === undefined) return
  const left = cut.chunks === 0 ? 'nothing of it is left' : `it is complete to chunk ${cut.chunks}`
  const by =
    cut.recovered === undefined ? 'its end was never written' : `cut by a crash at entry #${cut.recovered} (recovered)`
  remark(`this recording has no end: ${left}, ${by}`)
}

async function showContent({ entry, content, cut }: RecordedAttachment, options: Options, statement?: string) {
  if (cut?.chunks === 0) return
  if (entry.type === timelineType) return showTimeline(decodeEvents(content(), cut === undefined), write, statement)
  if (entry.type !== asciicastType)
    throw new Misuse('ERR_OPTION_INVALID', `a recording of type ${entry.type}: write it out with --out`)
  const parts: Uint8Array[] = []
  for await (const part of content()) parts.push(part)
  const text = Buffer.concat(parts).toString()
  // Cut, it may end within a line.
  const cast = parseCast(cut === undefined ? text : text.slice(0, text.lastIndexOf('\n') + 1))
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
