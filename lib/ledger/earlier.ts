/**
 * The ledgers of a series before the one that is appended to. What is erased is erased there too, and an entry of
 * theirs says so, so that each is verified by itself; and each is disposed of as a whole, but for its last checkpoint.
 */
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import { isOurs, LedgerError, Refusal } from '../errors.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../format/checkpoint.ts'
import type { EntryOf } from '../format/entry.ts'
import { checkpointFile, seriesFolder } from '../format/layout.ts'
import { type ScopeName, scopeName } from '../format/scope.ts'
import { requireAsCited } from './cited.ts'
import { type Looked, lookInto, openForKeys } from './directory.ts'
import type { DirectoryLedger } from './directory-ledger.ts'
import { namesIn, readIfThere, syncFolder } from './files.ts'
import type { DraftOf, Erasure, Ledger, Stored } from './ledger.ts'
import type { DirectoryOptions } from './options.ts'
import { earlierIn, memberOf, newestIn } from './series.ts'

/** Somebody who has something done, as the ledger knows them. */
export type Known = Pick<EntryOf<'principal'>, 'subject' | 'type' | 'owner'> & { readonly name: string }

export interface ErasedEarlier {
  readonly origin: string
  readonly stored: readonly Stored[]
}

/** One that may be disposed of, or was. */
export interface Former {
  readonly number: number
  readonly origin: string
  readonly checkpoint: SignedCheckpoint
  /** Unix milliseconds. */
  readonly concluded: number
}

/** What is left of a ledger that was disposed of. */
const left: ReadonlySet<string> = new Set([checkpointFile, 'checkpoint.d', 'keys', seriesFolder])

export class Earlier {
  readonly #series: DirectoryOptions

  /** @param series its directory, and as `origin` its name */
  constructor(series: DirectoryOptions) {
    this.#series = series
  }

  /** Of all of them, the oldest first. */
  async *entries(): AsyncGenerator<Stored> {
    for (const number of await earlierIn(this.#series.directory)) {
      yield* (await this.#look(number)).entries()
    }
  }

  /** Pseudonyms that were erased in any of them: those of whoever lives by now the newest knows. */
  async erased(): Promise<ReadonlySet<string>> {
    const found = new Set<string>()
    for (const number of await earlierIn(this.#series.directory)) {
      for (const { entry } of (await this.#look(number)).living.entries()) {
        if (entry.kind === 'erasure' && entry.scope === 'principal') found.add(entry.of)
      }
    }
    return found
  }

  /** Whether a ledger speaks of any of these principals and sessions. */
  async speaksOf(number: number, names: ReadonlySet<ScopeName>): Promise<boolean> {
    if (names.size === 0) return false
    for await (const { entry } of (await this.#look(number)).entries()) {
      if (entry.kind === 'principal' && names.has(`principal:${entry.subject}`)) return true
      const isOf = entry.kind === 'session-opened' || entry.kind === 'decision'
      if (isOf && entry.session !== undefined && names.has(`session:${entry.session}`)) return true
    }
    return false
  }

  /**
   * @param people who asks for it and approves it: named where a ledger does not know them
   * @param isHeld whether it may not be gone on with: asked before each ledger is come to, and again before anything is done there
   * @returns what was done by then. @throws as Ledger.erase
   */
  async erase(
    erasure: Erasure,
    people: readonly Known[],
    isHeld: () => Promise<boolean>,
  ): Promise<readonly ErasedEarlier[]> {
    const erased: ErasedEarlier[] = []
    for (const number of await earlierIn(this.#series.directory)) {
      if (await isHeld()) break
      const options = memberOf(this.#series, number)
      if (!(await this.speaksOf(number, new Set([scopeName(erasure)])))) continue
      const stored = await eraseIn(options, erasure, people, isHeld)
      if (stored.length > 0) erased.push({ origin: options.origin, stored })
    }
    return erased
  }

  /** The oldest that is still there; undefined where there is none but the one that is appended to. */
  async oldest(): Promise<Former | undefined> {
    const [number] = await earlierIn(this.#series.directory)
    if (number === undefined) return undefined
    const { checkpoint, living } = await this.#look(number)
    const { origin } = memberOf(this.#series, number)
    if (living.concluded === undefined || checkpoint === undefined) {
      throw new LedgerError('ERR_LEDGER_INCONSISTENT', `${origin} was never concluded`)
    }
    return { number, origin, checkpoint, concluded: Date.parse(living.concluded.time) }
  }

  /** Removes what the entries of the newest say was disposed of, and a kill left. */
  async finish(newest: Ledger): Promise<void> {
    if ((await earlierIn(this.#series.directory)).length === 0) return
    for await (const { entry } of newest.state()) if (entry.kind === 'disposed') await this.remove(entry)
  }

  /** Removes all but its last checkpoint and its keys; nothing where that is another than was disposed of, or a link leads elsewhere. */
  async remove({ of, size, root }: Pick<EntryOf<'disposed'>, 'of' | 'size' | 'root'>): Promise<void> {
    for (const number of await earlierIn(this.#series.directory)) {
      const { origin, directory } = memberOf(this.#series, number)
      if (origin !== of || (number > 1 && !(await fs.lstat(directory)).isDirectory())) continue
      const left = parseCheckpoint((await readIfThere(join(directory, checkpointFile)))!)
      const isThat = left.origin === of && left.size === size && Buffer.from(left.root).toString('base64url') === root
      if (isThat) await remove(directory)
    }
  }

  async #look(number: number): Promise<Looked> {
    await requireAsCited(this.#series, number)
    return lookInto(memberOf(this.#series, number))
  }
}

/**
 * Opens every ledger of a series that is there, the oldest first, for what concerns keys and the vault; nobody else may have one open.
 * @param series its directory, and as `origin` its name
 * @throws as openDirectoryLedger, requireAsCited
 */
export async function forEachMember(
  series: DirectoryOptions,
  work: (ledger: DirectoryLedger, options: DirectoryOptions) => Promise<void>,
): Promise<void> {
  const newest = await newestIn(series.directory)
  for (const number of [...(await earlierIn(series.directory)), newest]) {
    if (number < newest) await requireAsCited(series, number)
    const options = memberOf(series, number)
    const ledger = await openForKeys(options)
    try {
      await work(ledger, options)
    } finally {
      await ledger.close()
    }
  }
}

/** @returns none where all of it was erased before */
async function eraseIn(
  options: DirectoryOptions,
  erasure: Erasure,
  people: readonly Known[],
  isHeld: () => Promise<boolean>,
): Promise<readonly Stored[]> {
  const { judgedAt: _, ...judged } = erasure
  const ledger = await openForKeys(options)
  try {
    const known = new Set<string>()
    for await (const { entry } of ledger.state()) if (entry.kind === 'principal') known.add(entry.subject)
    await ledger.append(people.filter(({ subject }) => !known.has(subject)).map(introduced))
    return await ledger.erase(judged, isHeld).catch(noneDone)
  } finally {
    await ledger.close()
  }
}

/** Nothing of it was there, or a hold came between: that is told where it stands. @throws what else there was */
function noneDone(error: unknown): readonly Stored[] {
  if (error instanceof Refusal && error.code === 'ERR_OBLIGATION_UNMET') return []
  return noneThere(error)
}

/** @throws what else there was */
export function noneThere(error: unknown): readonly Stored[] {
  if (isOurs(error) && error.code === 'ERR_LEDGER_MISSING') return []
  throw error
}

const introduced = ({ subject, type, owner, name }: Known): DraftOf<'principal'> => ({
  ...{ kind: 'principal', subject, type, owner, disclose: { name }, slot: `principal:${subject}` },
})

/** What opens anything first; the tiles last, by which it is known that all else is gone. */
async function remove(directory: string): Promise<void> {
  const names = (await namesIn(directory)).filter(name => !left.has(name))
  for (const name of ['vault', ...names.filter(name => name !== 'vault' && name !== 'tile'), 'tile']) {
    await fs.rm(join(directory, name), { recursive: true, force: true })
    await syncFolder(directory)
  }
}
