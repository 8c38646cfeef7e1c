/**
 * What writers said of a ledger, and whether it still holds: every acknowledged entry in its
 * place, every checkpoint that was ever signed a prefix of what is there now, nothing that cannot
 * be opened, and a verifier that finds it whole.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Verification, verifyLedger } from '../../evidence/verify.ts'
import { type Checkpoint, parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { encodeEntry } from '../../lib/format/entry.ts'
import { Frontier, leafHash } from '../../lib/format/merkle.ts'
import { Scopes, scopeName } from '../../lib/format/scope.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Ledger, Stored } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'

const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex')

export class Witness {
  readonly acknowledged = new Map<number, string>()
  readonly #checkpoints: Checkpoint[] = []
  readonly #options: DirectoryOptions
  readonly #fingerprint: string
  readonly #pin: string

  /** @param pin a file that is not there yet, outside the ledger */
  constructor(options: DirectoryOptions, fingerprint: string, pin: string) {
    this.#options = options
    this.#fingerprint = fingerprint
    this.#pin = pin
  }

  get directory(): string {
    return this.#options.directory
  }

  get checkpoints(): number {
    return this.#checkpoints.length
  }

  /** One line of a scripted writer. @returns what must never be said */
  hear(line: string): string | undefined {
    const [sign, ...words] = line.split(' ')
    if (sign === '+') {
      for (let i = 0; i + 1 < words.length; i += 2) {
        const [index, id] = [Number(words[i]), words[i + 1]!]
        const before = this.acknowledged.get(index)
        if (before !== undefined && before !== id) return `entry ${index} was acknowledged twice`
        this.acknowledged.set(index, id)
      }
    } else if (sign === '=') this.#checkpoints.push(parseCheckpoint(Buffer.from(words[0]!, 'base64')))
    else if (sign === '?') return line
    // Nothing here was tampered with: to say that it was would be as wrong as to lose it.
    else if (sign === '!' && words.at(-1) !== 'ERR_LEDGER_UNAVAILABLE') return line
    return undefined
  }

  /** What a writer left: judged as it lies, opened, read, closed, and judged `again`. @returns what does not hold */
  async examine({ again }: { again: boolean }): Promise<string[]> {
    this.#seeDisk()
    const wrong = this.#judge('as it was left', await this.#verify('envelopes'))
    let ledger: Ledger
    try {
      ledger = await openDirectoryLedger(this.#options)
    } catch (error) {
      return [...wrong, `it does not open: ${error}`]
    }
    try {
      wrong.push(...(await this.#read(ledger)))
      await ledger.close()
    } catch (error) {
      wrong.push(`it cannot be read: ${error}`)
    }
    this.#seeDisk()
    if (!again) return wrong
    return [...wrong, ...this.#judge('closed', await this.#verify('all'))]
  }

  /** The checkpoint and the seals that lie there were signed as well, whoever said so. */
  #seeDisk(): void {
    const { directory } = this.#options
    const seals = () => readdirSync(join(directory, 'checkpoint.d')).filter(name => /^\d+$/.test(name))
    for (const list of [() => ['checkpoint'], () => seals().map(name => `checkpoint.d/${name}`)]) {
      try {
        for (const file of list()) this.#checkpoints.push(parseCheckpoint(readFileSync(join(directory, file))))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
  }

  async #read(ledger: Ledger): Promise<string[]> {
    const wrong: string[] = []
    const entries: Stored[] = []
    const roots = ['']
    const tree = new Frontier()
    for await (const stored of ledger.entries()) {
      const { entry, index } = stored
      entries.push(stored)
      tree.append(leafHash(encodeEntry(entry)))
      roots.push(hex(tree.root()))
      if (entry.seq !== index + 1) wrong.push(`entry ${index} has the number ${entry.seq}`)
    }
    // An erasure that an entry tells of is done by the time that the ledger is open: whatever was of it opens no more.
    const scopes = new Scopes()
    for (const { entry } of entries) scopes.learn(entry)
    const erased = new Map<string, number>()
    for (const { entry, index } of entries) if (entry.kind === 'erasure') erased.set(scopeName(entry), index)
    for (const { entry, index } of entries) {
      const gone = index < (erased.get(scopes.of(entry) ?? '') ?? 0)
      const opened = Object.keys(await ledger.disclosures(index)).length
      const disclosed = gone ? 0 : (entry.sd?.length ?? 0)
      if (opened !== disclosed) wrong.push(`entry ${index} opens ${opened} of its ${disclosed} disclosures`)
      if (entry.kind !== 'attachment' || gone) continue
      let bytes = 0
      for await (const part of ledger.attachment(entry.attachment)) bytes += part.length
      if (bytes !== entry.bytes) wrong.push(`the attachment of entry ${index} has ${bytes} bytes of ${entry.bytes}`)
    }
    for (const [index, id] of this.acknowledged) {
      if (entries[index]?.entry.id !== id) wrong.push(`LOST: entry ${index} was acknowledged as ${id}`)
    }
    for (const { size, root } of this.#checkpoints) {
      if (roots[size] !== hex(root)) wrong.push(`FORK: a checkpoint of ${size} entries was signed that is no prefix`)
    }
    return wrong
  }

  #first = true
  async #verify(depth: 'envelopes' | 'all'): Promise<Verification> {
    const { directory, wrappingKey, origin } = this.#options
    const given = { directory, wrappingKey, origin, depth, fingerprint: this.#fingerprint, pin: this.#pin }
    const verification = await verifyLedger({ ...given, first: this.#first })
    this.#first &&= verification.verdict !== 'OK'
    return verification
  }

  #judge(when: string, { verdict, findings }: Verification): string[] {
    // A writer that was killed before its first publication signed nothing.
    if (verdict === 'OK' || (this.#checkpoints.length === 0 && findings[0]?.code === 'LEDGER_MISSING')) return []
    const told = findings.slice(0, 3).map(({ code, what, file }) => `${code} ${what} ${file ?? ''}`)
    return [`${when} it verifies as ${verdict}: ${told.join('; ')}`]
  }
}
