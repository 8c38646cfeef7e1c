/** A log that is nothing but a tree and a key: what a witness sees of any log, made to lie where a test asks. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { type Checkpoint, checkpointBody, type SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import { consistencyProof, type Hash, leafHash, nodeHash, rangeHash } from '../../lib/format/merkle.ts'
import { formatNote, formatVerifierKey, signNote } from '../../lib/format/note.ts'

export class NoteLog {
  readonly origin: string
  readonly key: KeyObject
  readonly #leaves: Hash[] = []

  constructor(origin: string, key = generateKeyPairSync('ed25519').privateKey) {
    this.origin = origin
    this.key = key
  }

  get vkey(): string {
    return formatVerifierKey(this.origin, createPublicKey(this.key))
  }

  grow(to: number, what = 'entry'): this {
    while (this.#leaves.length < to) this.#leaves.push(leafHash(Buffer.from(`${what} ${this.#leaves.length}`)))
    return this
  }

  #read = async (level: number, index: number): Promise<Hash> => {
    const [lo, n] = [index * 2 ** level, 2 ** level]
    if (n === 1) return this.#leaves[lo]!
    return nodeHash(await rangeHash(lo, lo + n / 2, this.#read), await rangeHash(lo + n / 2, lo + n, this.#read))
  }

  async checkpoint(size = this.#leaves.length): Promise<SignedCheckpoint> {
    const checkpoint: Checkpoint = { origin: this.origin, size, root: await rangeHash(0, size, this.#read) }
    const text = checkpointBody(checkpoint)
    return {
      ...checkpoint,
      note: { text, signatures: [signNote(text, this.origin, this.key, createPublicKey(this.key))] },
    }
  }

  async note(size = this.#leaves.length): Promise<string> {
    return formatNote((await this.checkpoint(size)).note)
  }

  prove(old: number, size = this.#leaves.length): Promise<Hash[]> {
    return consistencyProof(old, size, this.#read)
  }

  /** The body of add-checkpoint. */
  async submission(old: number, size = this.#leaves.length): Promise<string> {
    const proof = (await this.prove(old, size)).map(hash => `${Buffer.from(hash).toString('base64')}\n`)
    return `old ${old}\n${proof.join('')}\n${await this.note(size)}`
  }
}
