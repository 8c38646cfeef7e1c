/** `counterfoil witness`: to be one for others' logs (`key`, `serve`), and to have one for this ledger (`add`). */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { serveWitness } from '../../adapters/witness/index.ts'
import { systemClock } from '../../lib/clock.ts'
import { withWitness } from '../../lib/config/add-witness.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { splitAddress } from '../../lib/config/material.ts'
import { diagnostics, loggable } from '../../lib/diagnostics.ts'
import { isOurs, LedgerError, Misuse } from '../../lib/errors.ts'
import { formatCosignerKey, parseCosignerKey } from '../../lib/format/cosignature.ts'
import { formatVerifierKey, isName, type NoteVerifier } from '../../lib/format/note.ts'
import { type Lock, lockDirectory } from '../../lib/ledger/lock.ts'
import { logKey, witnessKeys } from '../given-keys.ts'
import { output } from '../output.ts'
import { repeatable } from '../values.ts'

export function witness(program: Command): void {
  const group = program
    .command('witness')
    .description("cosign others' checkpoints, or have this ledger's cosigned (C2SP tlog-witness)")
    .exitOverride()
  const json = ['--json', 'print one JSON document'] as const

  group
    .command('key')
    .description("make a witness's key, and print what whoever trusts it needs")
    .argument('<name>', "the witness's name, as an address without https://: witness.example/w1")
    .requiredOption('--out <file>', 'where the private key goes; must not exist')
    .option(...json)
    .exitOverride()
    .action(makeKey)

  group
    .command('serve')
    .description('cosign the checkpoints of the logs that are named, until SIGINT or SIGTERM')
    .requiredOption('--name <name>', "the witness's name")
    .requiredOption('--key <file>', 'its private key, as "witness key" wrote it')
    .requiredOption('--state <folder>', 'its memory: what it cosigned last of each log')
    .option('--first', 'it has no memory yet: begin with an empty one')
    .addOption(repeatable('--origin <origin=vkey>', 'a log, and its verifier key'))
    .option('--address <host:port>', 'where it listens', '127.0.0.1:8440')
    .exitOverride()
    .action(serve)

  group
    .command('add')
    .description('have a witness cosign this ledger: writes it into the configuration')
    .requiredOption('--key <vkey>', "the witness's verifier key, from its operator")
    .requiredOption('--url <url>', 'its submission prefix')
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option(...json)
    .exitOverride()
    .action(add)
}

async function makeKey(name: string, options: { out: string; json?: boolean }): Promise<void> {
  const out = output(options.json === true)
  if (!isName(name)) throw new Misuse('ERR_OPTION_INVALID', "a witness's name holds no white space and no plus")
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const pem = String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
  await writeFile(options.out, pem, { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'EEXIST' ? 'there is such a file already' : 'it cannot be written'
    throw new Misuse('ERR_OPTION_INVALID', `--out ${options.out}: ${why}`, {}, error)
  })
  const verifierKey = formatCosignerKey(name, publicKey)
  out.result({ name, verifierKey, file: options.out }, () => {
    out.line(verifierKey)
    process.stderr.write(`the private key is in ${options.out}; give the line above to whoever trusts this witness\n`)
  })
}

interface ServeOptions {
  readonly name: string
  readonly key: string
  readonly state: string
  readonly first?: boolean
  readonly origin: readonly string[]
  readonly address: string
}

async function serve({ name, key, state, first, origin, address }: ServeOptions): Promise<void> {
  const told = new Promise<string>(done => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done(signal))
  })
  const log = diagnostics()
  const logs = logsOf(origin)
  const { host, port } = splitAddress(address)
  if (host === '' || !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new Misuse('ERR_OPTION_INVALID', '--address is HOST:PORT')
  }
  const privateKey = await keyOf(key)
  await takeState(state, first === true)
  const lock = lockOf(state)
  try {
    const server = await serveWitness({
      ...{ name, key: privateKey, state, logs, clock: systemClock, host, port },
      onFault: error => log.error('a submission could not be judged', loggable(error)),
    })
    log.info('witness', { host, port: server.port, origins: [...logs.keys()], key: server.verifierKey })
    const signal = await told
    log.info('stopping', { signal })
    await server.close()
  } finally {
    lock.release()
  }
}

/** @throws Misuse ERR_OPTION_INVALID: a witness that lost its memory must not begin anew by accident */
/** Two that answer from one memory would each cosign what the other does not know of. @throws LedgerError ERR_LEDGER_LOCKED */
function lockOf(state: string): Lock {
  try {
    return lockDirectory(state)
  } catch (error) {
    if (!isOurs(error) || error.code !== 'ERR_LEDGER_LOCKED' || error.data.pid === undefined) throw error
    const { pid } = error.data
    const what = `--state ${state}: process ${String(pid)} serves from it already: stop that first, or name another`
    throw new LedgerError('ERR_LEDGER_LOCKED', what, { pid }, error)
  }
}

async function takeState(state: string, first: boolean): Promise<void> {
  if (existsSync(state) === first) {
    const why = first
      ? 'there is a memory already: --first is said once'
      : 'there is no such folder; the first time, say --first'
    throw new Misuse('ERR_OPTION_INVALID', `--state ${state}: ${why}`)
  }
  if (first) await mkdir(state, { recursive: true, mode: 0o700 })
}

/** @throws Misuse ERR_OPTION_INVALID */
async function keyOf(file: string): Promise<KeyObject> {
  try {
    return createPrivateKey(await readFile(file, 'utf8'))
  } catch (error) {
    throw new Misuse('ERR_OPTION_INVALID', `--key ${file}: not a file with a private key in PEM`, {}, error)
  }
}

/** @throws Misuse ERR_OPTION_INVALID */
function logsOf(given: readonly string[]): Map<string, NoteVerifier[]> {
  const logs = new Map<string, NoteVerifier[]>()
  for (const one of given) {
    const [, origin, vkey] = /^([^=]+)=(.+)$/.exec(one) ?? []
    if (origin === undefined)
      throw new Misuse('ERR_OPTION_INVALID', '--origin is ORIGIN=VKEY, as "witness add" prints it')
    const key = logKey('--origin ORIGIN=VKEY', vkey!)
    logs.set(origin, [...(logs.get(origin) ?? []), key])
  }
  if (logs.size === 0) throw new Misuse('ERR_OPTION_INVALID', 'a witness of no log: name one with --origin ORIGIN=VKEY')
  return logs
}

async function add(options: { key: string; url: string; config: string; json?: boolean }): Promise<void> {
  const out = output(options.json === true)
  witnessKeys('--key', [options.key])
  const path = resolve(options.config)
  const before = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Misuse('ERR_OPTION_INVALID', `${options.config}: the file cannot be read`, {}, error)
  })
  const { name, ledger } = await loadConfig(path, { evidence: true })
  const after = withWitness(before, options)
  await writeFile(`${path}.new`, after, { flag: 'wx' })
  await rename(`${path}.new`, path)
  const origin = `${name}=${formatVerifierKey(name, createPublicKey(ledger.noteKey))}`
  const witness = parseCosignerKey(options.key).name
  out.result({ witness, config: path, origin }, () => {
    out.line(`${witness} is in ${path}; it is asked once "serve" is started again, and counts from then on`)
    out.line('Give its operator this, to be trusted there:')
    out.line(`  counterfoil witness serve ... --origin ${origin}`)
    out.line('Give whoever verifies this, for: counterfoil verify LEDGER --witness')
    out.line(`  ${options.key}`)
  })
}
