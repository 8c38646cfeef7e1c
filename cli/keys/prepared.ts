/**
 * Keys that are made before they are rotated to, for where this command cannot write: the
 * environment, a store of secrets, gpg. Made first, put where they belong, then rotated to by naming
 * the place; the configuration names it afterwards.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { Config } from '../../lib/config/config.ts'
import { resolveSecret, Secret } from '../../lib/config/secrets.ts'
import { Misuse } from '../../lib/errors.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { gpgSealer } from '../../lib/ledger/gpg-sealer.ts'
import type { BothKeys } from '../../lib/ledger/rotation.ts'
import { openpgpSealer, type Sealer } from '../../lib/ledger/sealer.ts'
import { generateKey, parseFingerprint, readPrivateKey } from '../../lib/openpgp.ts'
import { notePrivateKey } from './key-files.ts'
import { withPassphrase } from './passphrase.ts'

/** Where the key lies that is rotated to. */
export interface Place {
  /** `file:PATH`, `env:NAME`, or `gpg:FINGERPRINT`. */
  readonly at: string
  /** Of an OpenPGP key: `prompt`, `env:NAME` or `file:PATH`. Default: the passphrase of the key before it. */
  readonly passphrase?: string
}

/** @throws Misuse ERR_OPTION_INVALID; Fault ERR_LEDGER_UNAVAILABLE where gpg does not give it */
export async function keysAt(config: Config, key: 'note' | 'seal', place: Place, before: BothKeys): Promise<BothKeys> {
  if (key === 'note') {
    if (place.at.startsWith('gpg:'))
      throw new Misuse('ERR_OPTION_INVALID', 'gpg holds seal keys: a note key is no OpenPGP key')
    return { ...before, noteKey: noteKeyOf(notePrivateKey(secretAt(place.at), place.at), config.name) }
  }
  return { ...before, sealer: await sealerAt(config, place) }
}

async function sealerAt({ ledger: { sealKey } }: Config, { at, passphrase }: Place): Promise<Sealer> {
  if (at.startsWith('gpg:')) {
    const { home, program } = 'gpg' in sealKey ? sealKey.gpg : {}
    const given = { ...(home === undefined ? {} : { home }), ...(program === undefined ? {} : { program }) }
    return gpgSealer({ fingerprint: parseFingerprint(at.slice('gpg:'.length)), ...given })
  }
  const armored = secretAt(at)
  if (passphrase !== undefined)
    return openpgpSealer(await withPassphrase(passphrase, given => readPrivateKey(armored, given)))
  return openpgpSealer(await readPrivateKey(armored, 'gpg' in sealKey ? undefined : sealKey.passphrase?.reveal()))
}

function secretAt(reference: string): string {
  if (!/^(env|file):./.test(reference))
    throw new Misuse('ERR_OPTION_INVALID', '--to is file:PATH, env:NAME or gpg:FINGERPRINT')
  const found = resolveSecret(reference, { folder: process.cwd(), env: process.env })
  if (found instanceof Secret) return found.reveal()
  throw new Misuse('ERR_OPTION_INVALID', `--to: ${found.missing}`)
}

/** Makes a key in a file, owner only, and uses it for nothing. @returns the files, the key's own first */
export async function prepare(key: 'note' | 'seal', name: string, out: string, passphrase?: string): Promise<string[]> {
  if (key === 'note') {
    const { privateKey } = generateKeyPairSync('ed25519')
    return write([[out, String(privateKey.export({ format: 'pem', type: 'pkcs8' }))]])
  }
  const secret = passphrase ?? randomBytes(24).toString('base64url')
  const made = await generateKey({ name: `counterfoil ${name}`, passphrase: secret })
  return write([
    [out, made.privateKey],
    [`${out}.pub.asc`, made.certificate],
    [`${out}.revocation.asc`, made.revocation],
    ...(passphrase === undefined ? ([[`${out}.passphrase`, `${secret}\n`]] as const) : []),
  ])
}

async function write(files: readonly (readonly [path: string, text: string])[]): Promise<string[]> {
  for (const [path, text] of files) {
    await writeFile(path, text, { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
      throw new Misuse('ERR_OPTION_INVALID', `${path} cannot be written, or is there already`, {}, error)
    })
  }
  return files.map(([path]) => path)
}
