/**
 * A ledger as the store writes it, with a copy of it at each step of its growth: what somebody who copied it now and then could put back.
 */
import { generateKeyPairSync } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { type Verification, type VerifyOptions, verifyLedger } from '../../evidence/verify.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { settled } from '../support/directory-ledger.ts'

export interface Step {
  readonly name: string
  readonly directory: string
}

type Trusted = Pick<VerifyOptions, 'fingerprint' | 'certificate' | 'wrappingKey'>

export class Grown {
  readonly steps: readonly Step[]
  /** A checkpoint of the last step, held elsewhere. */
  readonly pin: string
  readonly #folder: string
  readonly #trust: Trusted
  #copies = 0

  private constructor(folder: string, steps: readonly Step[], trust: Trusted) {
    this.#folder = folder
    this.steps = steps
    this.#trust = trust
    this.pin = join(folder, 'pin')
  }

  static async make(): Promise<Grown> {
    const folder = mkdtempSync(join(tmpdir(), 'counterfoil-tamper-'))
    const key = await readPrivateKey((await generateKey({ name: 'seal' })).privateKey)
    const wrappingKey = Buffer.alloc(32, 7)
    const noteKey = generateKeyPairSync('ed25519').privateKey
    const directory = join(folder, 'ledger')
    const steps: Step[] = []
    const keep = (name: string) => {
      const copy = join(folder, `step-${steps.length}`)
      cpSync(directory, copy, { recursive: true })
      steps.push({ name, directory: copy })
    }
    const open = () =>
      openDirectoryLedger({
        directory,
        origin: 'tamper.example',
        writer: 'test',
        noteKey,
        sealer: openpgpSealer(key),
        wrappingKey,
        software: 'test',
        placement: 'embedded',
        publishMs: 1e6,
        create: true,
      })
    const disclosing = () => ({ ...settled(), disclose: { name: 'Customer 0001' }, slot: 'session:1' })
    let ledger = await open()
    keep('opened')
    await ledger.append([disclosing(), disclosing()])
    await ledger.publish()
    keep('published')
    await ledger.seal()
    await ledger.append([disclosing()])
    await ledger.publish()
    keep('sealed, and published again')
    await ledger.close()
    keep('closed')
    ledger = await open()
    await ledger.append(Array.from({ length: 255 }, () => settled()))
    await ledger.close()
    keep('past a full tile')
    const grown = new Grown(folder, steps, { fingerprint: key.fingerprint, certificate: key.certificate, wrappingKey })
    await grown.verify(steps.at(-1)!.directory, { pin: grown.pin, first: true, renew: true })
    return grown
  }

  get last(): string {
    return this.steps.at(-1)!.directory
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** A copy of a step, to be spoiled. */
  copy(of: string = this.last): string {
    this.#copies += 1
    const directory = join(this.#folder, `copy-${this.#copies}`)
    cpSync(of, directory, { recursive: true })
    return directory
  }

  verify(directory: string, more: Partial<VerifyOptions> = {}): Promise<Verification> {
    return verifyLedger({ directory, ...this.#trust, depth: 'all', renew: false, ...more })
  }

  pinned(directory: string): Promise<Verification> {
    return this.verify(directory, { pin: this.pin, renew: false })
  }
}

/** Relative paths of the files of a directory. */
export function filesOf(directory: string): string[] {
  const found = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return found.map(({ parentPath, name }) => relative(directory, join(parentPath, name))).sort()
}

/** Puts a file's bytes somewhere, whatever folders that takes. */
export function put(directory: string, file: string, bytes: Uint8Array | string): void {
  mkdirSync(dirname(join(directory, file)), { recursive: true })
  writeFileSync(join(directory, file), bytes)
}

export const bytesOf = (directory: string, file: string): Buffer => readFileSync(join(directory, file))
