/**
 * Publication: tiles first, durable; then the checkpoint that needs them, signed only for what is durable; then what they
 * supersede is removed. A reader at any moment finds every tile of the checkpoint that it read a moment ago.
 */
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { type Checkpoint, formatCheckpoint, type SignedCheckpoint } from '../format/checkpoint.ts'
import { checkpointFile, sealFile, tileWidth } from '../format/layout.ts'
import { openpgpKeyId } from '../format/note.ts'
import { type NoteKey, sealCheckpoint, signCheckpoint } from './checkpoint.ts'
import { readEpoch } from './epoch.ts'
import { keepFile, namesIn, replaceFiles, requireOwnFolder } from './files.ts'
import { type GrownTile, type Recent, tilesBetween } from './recent.ts'
import type { Sealer } from './sealer.ts'
import type { Tree } from './tree.ts'

/** The keys that sign: the note key every checkpoint, the OpenPGP key seals. */
export interface Signers {
  readonly noteKey: NoteKey
  readonly sealer: Sealer | undefined
}

export interface PublisherParts extends Signers {
  readonly directory: string
  readonly tree: Tree
  readonly recent: Recent
  /** Size whose tiles are known to be on disk; recovery says a smaller one, so that they are derived again. */
  readonly published: number
  readonly epoch: number
  /** What is durable now. */
  readonly durable: () => Checkpoint
  /** Takes a snapshot of what is durable now, to be written later; undefined where nothing is folded. */
  readonly snapshot: (of: Checkpoint, noteKey: NoteKey) => ((directory: string) => Promise<void>) | undefined
}

export class Publisher {
  readonly #parts: PublisherParts
  #published: number
  #latest: SignedCheckpoint | undefined
  #sealed = -1
  #turn: Promise<unknown> = Promise.resolve()
  #signers: Signers
  /** Those after a rotation, and the index of its entry: checkpoints that cover it are theirs. */
  #succession: { readonly signers: Signers; readonly index: number } | undefined

  constructor(parts: PublisherParts) {
    this.#parts = parts
    this.#published = parts.published
    this.#signers = parts
  }

  /** @param index of the entry from which on these keys speak */
  succeed(signers: Signers, index: number): void {
    this.#succession = { signers, index }
  }

  /** Size of the latest seal made here; -1 before the first. */
  get sealed(): number {
    return this.#sealed
  }

  /** One publication at a time. @param seal also sign with the OpenPGP key, and keep it for good */
  publish(seal: boolean): Promise<SignedCheckpoint> {
    const turn = this.#turn.then(() => this.#publish(seal))
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Resolves when no publication is under way. */
  async idle(): Promise<void> {
    await this.#turn
  }

  /** Runs what must not meet a publication: none is under way meanwhile. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #publish(seal: boolean): Promise<SignedCheckpoint> {
    const { directory, recent, tree, durable } = this.#parts
    const { size, root, origin } = durable()
    if (this.#latest?.size === size && (!seal || this.#sealed === size)) return this.#latest
    // In one go with the look at what is durable.
    const { noteKey } = this.#signersAt(size)[0]!
    const snapshot = seal ? this.#parts.snapshot({ origin, size, root }, noteKey) : undefined
    await this.#fence()
    const grown = await this.#tiles(size)
    const signed = await this.#sign({ origin, size, root }, seal)
    const text = formatCheckpoint(signed)
    // In this order: a seal of more than the checkpoint has would look like a rollback, had a kill come between the two.
    await replaceFiles(directory, [[checkpointFile, text]])
    if (seal) await keepSeal(directory, size, text)
    await snapshot?.(directory)
    await this.#removeSuperseded(grown)
    recent.drop(size)
    tree.drop(size)
    this.#published = size
    this.#latest = signed
    if (seal) this.#sealed = size
    return signed
  }

  async #sign(checkpoint: Checkpoint, seal: boolean): Promise<SignedCheckpoint> {
    const signers = this.#signersAt(checkpoint.size)
    const noteKeys = new Map(signers.map(({ noteKey }) => [noteKey.verifierKey, noteKey]))
    let signed = signCheckpoint(checkpoint, ...noteKeys.values())
    if (!seal) return signed
    for (const sealer of new Map(signers.map(({ sealer }) => [sealer?.fingerprint, sealer])).values()) {
      if (sealer !== undefined) signed = await sealCheckpoint(signed, sealer)
    }
    return signed
  }

  /**
   * Each size is signed by the keys that speak at it. One that ends with a rotation, by those before it too: whoever
   * knows only the old key sees the ledger up to there.
   */
  #signersAt(size: number): readonly Signers[] {
    const succession = this.#succession
    if (succession === undefined || size <= succession.index) return [this.#signers]
    return size === succession.index + 1 ? [succession.signers, this.#signers] : [succession.signers]
  }

  /** Another writer took over, whatever became of the lock: what we would sign now could be a fork. */
  async #fence(): Promise<void> {
    const { directory, epoch } = this.#parts
    if ((await readEpoch(directory)) !== epoch) {
      throw new LedgerError('ERR_LEDGER_LOCKED', 'another writer has opened this ledger since')
    }
  }

  async #tiles(size: number): Promise<readonly GrownTile[]> {
    const { directory, recent, tree } = this.#parts
    const files = tilesBetween(this.#published, size, { recent, tree, strays: this.#latest === undefined })
    await replaceFiles(directory, files.vault, 'closed')
    await replaceFiles(directory, files.open)
    return files.grown
  }

  async #removeSuperseded(grown: readonly GrownTile[]): Promise<void> {
    for (const { full, width } of grown) {
      requireOwnFolder(this.#parts.directory, `${full}.p`)
      const folder = join(this.#parts.directory, `${full}.p`)
      const superseded = (await namesIn(folder)).filter(name => name !== String(width))
      for (const name of superseded) await fs.unlink(join(folder, name))
      if (width === tileWidth && superseded.length > 0) await fs.rmdir(folder)
    }
  }
}

/** A seal is never replaced: one of this size is of this tree, or recovery would have refused. */
async function keepSeal(directory: string, size: number, text: string): Promise<void> {
  if ((await namesIn(join(directory, sealFile(0), '..'))).includes(String(size))) return
  await keepFile(directory, sealFile(size), text)
}

/** Keeps the checkpoint that was found, where it is a seal whose writer was killed before it could. */
export async function keepFoundSeal(directory: string, found: SignedCheckpoint, fingerprint: string): Promise<void> {
  const id = openpgpKeyId(found.origin, fingerprint)
  const isSeal = found.note.signatures.some(({ keyId }) => Buffer.compare(keyId, id) === 0)
  if (isSeal) await keepSeal(directory, found.size, formatCheckpoint(found))
}
