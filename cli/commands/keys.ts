/** `counterfoil keys`: the keys that a ledger is signed with: made, shown, rotated and revoked. */
import { readFile } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { type LedgerKeys, ledgerKeys } from '../../evidence/index.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { type Reason, reasons } from '../../lib/format/key-text.ts'
import { parseVerifierKey } from '../../lib/format/note.ts'
import { counted } from '../../lib/format/words.ts'
import { writeKeys } from '../initialise.ts'
import { newPassphrase } from '../keys/passphrase.ts'
import { prepare } from '../keys/prepared.ts'
import { revokeFormer } from '../keys/revoke-former.ts'
import { type Rotated, type RotateOptions, rotate } from '../keys/rotate.ts'
import { requireLedger, sayIfGoesOn } from '../ledgers.ts'
import { colour, type Output, output, painted } from '../output.ts'
import { trusted } from '../trust.ts'

const config = ['--config <file>', 'counterfoil.yaml', 'counterfoil.yaml'] as const
const json = ['--json', 'print one JSON document'] as const

export function keys(program: Command): void {
  const group = program
    .command('keys')
    .description('the keys that the ledger is signed with (what people log in with: credentials)')
    .exitOverride()

  group
    .command('init')
    .description('make the keys of a ledger, and nothing else; nothing is overwritten')
    .option('--dir <folder>', 'where: in its subfolder keys', '.')
    .option('--name <name>', "the ledger's name", 'crm')
    .option(
      '--passphrase <where>',
      'of the seal key: prompt, env:NAME or file:PATH (default: one is made, and kept beside it)',
    )
    .option(...json)
    .exitOverride()
    .action(init)

  group
    .command('show')
    .description('which keys have signed a ledger, and from when to when')
    .argument('<ledger>', "the ledger's directory")
    .option('--key <where>', 'the OpenPGP fingerprint or certificate from outside, to hold them against')
    .option(
      '--note',
      "print the note key that speaks now, as Go's sumdb/note and others' tools read it, and nothing else",
    )
    .option(...json)
    .exitOverride()
    .action(show)

  const what = ['<key>', 'note, which signs checkpoints, or seal, the OpenPGP key'] as const
  group
    .command('rotate')
    .description('have a new key speak from now on, endorsed by the old one; while the ledger is not open')
    .argument(...what)
    .option(
      '--to <where>',
      'the new key, made beforehand: file:PATH, env:NAME or gpg:FINGERPRINT (default: one is made, in the file of the old one)',
    )
    .option(
      '--passphrase <where>',
      'of the seal key of --to: prompt, env:NAME or file:PATH (default: that of the old one)',
    )
    .option('--lost', 'the old note key is lost: says what to do, since nothing can be rotated without it')
    .option(...config)
    .option(...json)
    .exitOverride()
    .action(async (key: string, options: Rotation) => {
      if (options.lost === true) throw lost(which(key))
      const out = output(options.json === true)
      const { to: at, passphrase } = options
      const loaded = await loadConfig(options.config, { evidence: true })
      const to = at === undefined ? {} : { to: { at, ...(passphrase === undefined ? {} : { passphrase }) } }
      tell(out, await finish({ config: loaded, key: which(key), ...to }), undefined, at)
    })

  group
    .command('prepare')
    .description(
      'make a key to rotate to, for where this command cannot write: the environment, a store of secrets, gpg',
    )
    .argument(...what)
    .requiredOption('--out <file>', 'where; nothing is overwritten')
    .option('--name <name>', "the ledger's name", 'crm')
    .option(
      '--passphrase <where>',
      'of a seal key: prompt, env:NAME or file:PATH (default: one is made, and kept beside it)',
    )
    .option(...json)
    .exitOverride()
    .action(prepareKey)

  group
    .command('revoke')
    .description('rotate, and say that the key that spoke is no longer to be trusted; while the ledger is not open')
    .argument(...what)
    .requiredOption('--reason <why>', reasons.join(', '))
    .option('--at <time>', 'RFC 3339: from when on it was not to be trusted (default: now)')
    .option('--certificate <file>', 'the OpenPGP revocation certificate, where the key is not at hand')
    .option('--former <key>', 'a key that was rotated away already: its fingerprint, or the digits of a note key')
    .option(...config)
    .option(...json)
    .exitOverride()
    .action(revoke)
}

async function init(options: { dir: string; name: string; passphrase?: string; json?: boolean }): Promise<void> {
  const out = output(options.json === true)
  if (!/^[a-z0-9][a-z0-9._/-]{0,62}$/.test(options.name))
    throw new Misuse('ERR_OPTION_INVALID', '--name: lower case letters, digits, . _ / and -')
  const passphrase = options.passphrase === undefined ? undefined : await newPassphrase(options.passphrase)
  const folder = resolve(options.dir)
  const made = await writeKeys(folder, options.name, passphrase)
  const { fingerprint, files } = made
  out.result({ folder, fingerprint, files }, () => {
    out.line(`written to ${folder}/keys: ${files.join(', ')}`)
    out.line()
    out.line('Give this fingerprint, and ledger.pub.asc, to your auditor today, by another way than the ledger:')
    out.line(painted`  ${colour.bold(fingerprint)}`)
    out.line()
    out.line('seal.revocation.asc  take it elsewhere, offline: whoever has it can end the key, and nothing more')
    out.line(
      'vault.key            without it disclosures are lost: a copy belongs in your vault, never beside the ledger',
    )
    out.line('seal.key.asc         seals; note.key signs checkpoints. Both belong to the gateway alone')
    if (passphrase === undefined)
      out.line('seal.passphrase      protects seal.key.asc only where it is kept apart from it')
  })
}

async function show(ledger: string, options: { key?: string; note?: boolean; json?: boolean }): Promise<void> {
  const out = output(options.json === true)
  const pinned = options.key === undefined ? undefined : await trusted(options.key)
  if (!/^https?:/i.test(ledger)) requireLedger(ledger)
  await sayIfGoesOn(ledger)
  const found = await ledgerKeys(ledger, pinned)
  if (options.note === true && !out.json) {
    process.stdout.write(`${found.note}\n`)
    return
  }
  out.result({ ...found, pinned: pinned?.fingerprint ?? null }, () => printKeys(out, found, pinned !== undefined))
}

function printKeys(out: Output, { origin, keys: all }: LedgerKeys, pinned: boolean): void {
  out.line(painted`${colour.bold(origin)}: ${counted(all.length, 'key', 'keys')}`)
  // One below the other: a key of a note alone is about as wide as a terminal.
  for (const { key, id, from, until, since, revoked } of all) {
    out.line(`  ${key}  ${from} - ${until ?? 'now'}  (from size ${since} on)`)
    out.line(`        ${id}`)
    if (revoked !== undefined)
      out.line(painted`        ${colour.red(`revoked: ${revoked.reason}, from ${revoked.at} on`)}`)
  }
  if (pinned) out.line('each held up by the pinned key: it endorsed those after it, and claims those before it')
  else
    out.line(
      colour.yellow(
        'as the ledger says of itself, which proves nothing: --key holds it against a fingerprint from outside',
      ),
    )
}

async function revoke(
  key: string,
  options: { config: string; reason: string; at?: string; certificate?: string; former?: string; json?: boolean },
): Promise<void> {
  const out = output(options.json === true)
  const reason = reasons.find(one => one === options.reason)
  if (reason === undefined) throw new Misuse('ERR_OPTION_INVALID', `--reason is ${reasons.join(', ')}`)
  const at = options.at === undefined ? undefined : Date.parse(options.at)
  if (at !== undefined && !(at <= Date.now()))
    throw new Misuse('ERR_OPTION_INVALID', '--at is a time that was: 2026-10-02T09:00:00Z')
  // An earlier one would take back what the key signed in good faith, its own endorsement among it.
  if (at !== undefined && reason !== 'compromised')
    throw new Misuse('ERR_OPTION_INVALID', '--at is for a key that was compromised')
  const certificate = options.certificate === undefined ? undefined : await text(options.certificate)
  const revocation = {
    reason,
    ...(at === undefined ? {} : { at }),
    ...(certificate === undefined ? {} : { certificate }),
  }
  const loaded = await loadConfig(options.config, { evidence: true })
  if (options.former === undefined)
    return tell(out, await finish({ config: loaded, key: which(key), revocation }), reason)
  const { revoked, published } = await revokeFormer(loaded, which(key), options.former, revocation)
  out.result({ key, revoked, reason, published }, () => {
    out.line(painted`the ${key} key ${revoked} is ${colour.red(`revoked: ${reason}`)}, by the key in force`)
    if (key === 'seal' && !published)
      out.line(
        'its certificate does not say so, since neither the key nor its revocation is at hand: gpg and sqv do not know',
      )
    if (reason === 'compromised')
      out.line('of what it signed, only what others have vouched for before then is counted')
  })
}

interface Rotation {
  readonly to?: string
  readonly passphrase?: string
  readonly lost?: boolean
  readonly config: string
  readonly json?: boolean
}

/** A rotation that the OpenPGP key signs alone would let whoever has that key go on with any ledger of it, past every pin. */
const lost = (key: 'note' | 'seal') =>
  new Misuse(
    'ERR_OPTION_INVALID',
    `without the ${key} key this ledger ends: a rotation is signed by both keys, or whoever gets hold of one could go on with it. Keep the directory ` +
      'as it is, and its last seal elsewhere; begin another in a new directory, with a new key (keys init), and tell your auditor both. See the README, Keys',
  )

async function prepareKey(
  key: string,
  options: { out: string; name: string; passphrase?: string; json?: boolean },
): Promise<void> {
  const out = output(options.json === true)
  const of = which(key)
  const passphrase =
    of === 'note' || options.passphrase === undefined ? undefined : await newPassphrase(options.passphrase)
  const files = await prepare(of, options.name, options.out, passphrase)
  out.result({ key: of, files }, () => {
    out.line(`written: ${files.join(', ')}`)
    out.line('1. put it where it belongs, for example:')
    out.line(
      `     export NEXT_KEY="$(cat ${options.out})"${of === 'seal' ? `    or: gpg --import ${options.out}` : ''}`,
    )
    out.line('2. with the gateway stopped:')
    out.line(
      `     counterfoil keys rotate ${of} --to env:NEXT_KEY${of === 'seal' ? '    or: --to gpg:FINGERPRINT' : ''}`,
    )
    out.line(`3. name that place in counterfoil.yaml (ledger.keys.${of}), destroy the file, and start the gateway`)
  })
}

async function finish(options: RotateOptions): Promise<Rotated> {
  const steps = rotate(options)
  for (let step = await steps.next(); ; step = await steps.next()) if (step.done === true) return step.value
}

function tell(out: Output, rotated: Rotated, reason?: Reason, to?: string): void {
  const { key, old, kept, finished } = rotated
  // Of a series this is the newest ledger's: that is the one that is still cosigned.
  const origin = key === 'note' ? `${parseVerifierKey(rotated.new).name}=${rotated.new}` : undefined
  const told = { ...(origin === undefined ? {} : { origin }), ...(reason === undefined ? {} : { revoked: reason }) }
  out.result({ ...rotated, ...told }, () => {
    if (finished)
      out.line(`an earlier run had recorded this already${to === undefined ? '; the new key is in its place now' : ''}`)
    out.line(
      painted`the ${key} key was  ${old}${reason === undefined ? '' : painted`  ${colour.red(`revoked: ${reason}`)}`}`,
    )
    out.line(painted`and is from now on  ${colour.bold(rotated.new)}`)
    if (kept !== undefined) out.line(`destroy the old key file, or keep it offline: ${kept}`)
    else {
      const value = to?.startsWith('gpg:')
        ? `{ gpg: ${rotated.new} }`
        : key === 'note'
          ? to
          : `{ key: "${to}", passphrase: ... }`
      out.line(`Before the gateway starts, in counterfoil.yaml:  ledger.keys.${key}: ${value}`)
      out.line('Until then it does not open: the old key speaks no more. Then destroy the old one, or keep it offline.')
    }
    out.line()
    if (origin !== undefined) return tellNote(out, origin, rotated)
    out.line(
      `Give the new fingerprint, and its certificate (${fromHere(rotated.certificateFile!)}), to your auditor, by another way than the ledger.`,
    )
    out.line(
      reason === 'compromised'
        ? 'Nobody can follow from the old fingerprint to this one: whoever pinned it must be told.'
        : 'Who pinned the old one is led to the new one: each endorses the other in the ledger.',
    )
  })
}

/** Shorter, where it is in the folder of whoever asks. */
function fromHere(path: string): string {
  const short = relative('', path)
  return short.startsWith('..') ? path : short
}

/** A witness holds what it cosigned last against the keys that it trusts: without the old one it would take that for altered. */
function tellNote(out: Output, origin: string, { new: now }: Rotated): void {
  out.line(
    'Give whoever runs a witness of this ledger the new key, to be trusted beside the old one until it has cosigned again:',
  )
  out.line(`  counterfoil witness serve ... --origin ${origin}`)
  out.line('Give whoever checks single entries the same key, for proofs that are made from now on:')
  out.line(`  counterfoil prove --check FILE --entry FILE --key ${now}`)
  out.line('The fingerprint stays: who verifies ledgers and bundles by it need not be told.')
}

function which(key: string): 'note' | 'seal' {
  if (key === 'note' || key === 'seal') return key
  throw new Misuse('ERR_OPTION_INVALID', 'a key is note or seal; what people log in with: counterfoil credentials')
}

const text = (file: string) =>
  readFile(file, 'utf8').catch((error: unknown) => {
    throw new Misuse('ERR_OPTION_INVALID', `--certificate ${file} cannot be read`, {}, error)
  })
