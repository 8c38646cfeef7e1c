/**
 * A witness of transparency logs (C2SP tlog-witness): of each log that it is told of it keeps the newest checkpoint that it has cosigned,
 * and cosigns another only where that one is its beginning. It knows notes, checkpoints and proofs, and nothing of what a log holds.
 */
import { createPublicKey, hash, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../../lib/clock.ts'
import { isOurs, LedgerError, Misuse } from '../../lib/errors.ts'
import { formatCheckpoint, parseAnyCheckpoint, type SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import { cosign, formatCosignerKey } from '../../lib/format/cosignature.ts'
import { emptyRoot, type Hash, sameHash, verifyConsistency } from '../../lib/format/merkle.ts'
import { formatNote, isName, type NoteVerifier, requireSignature } from '../../lib/format/note.ts'
import { readIfThere, replaceFiles } from '../../lib/ledger/files.ts'

export interface WitnessOptions {
  /** As its cosignatures say it: no white space, no plus. `witness.example/w1` */
  readonly name: string
  /** Ed25519, private, and of this witness alone: cosignatures do not say the name that they are made under. */
  readonly key: KeyObject
  /** Its memory, a folder: a witness that has lost it must be retired with its key, for it would cosign a fork. */
  readonly state: string
  /** By origin: the keys of the log, one at least. */
  readonly logs: ReadonlyMap<string, readonly NoteVerifier[]>
  readonly clock: Clock
}

export interface Answer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422
  readonly type?: string
  readonly body: string
}

/** tlog-witness, "add-checkpoint": at most 63 lines of proof. */
const mostHashes = 63
const plain = (status: Answer['status'], body: string): Answer => ({ status, body: `${body}\n` })
const conflict = (size: number): Answer => ({ status: 409, type: 'text/x.tlog.size', body: `${size}\n` })

interface Submitted {
  readonly old: number
  readonly proof: readonly Hash[]
  readonly checkpoint: SignedCheckpoint
}

export class Witness {
  readonly verifierKey: string
  readonly #options: WitnessOptions
  /** One at a time for each log: what is compared with must be what is replaced. */
  readonly #turns = new Map<string, Promise<unknown>>()

  /** @throws Misuse ERR_OPTION_INVALID */
  constructor(options: WitnessOptions) {
    const { name, key } = options
    if (!isName(name)) throw new Misuse('ERR_OPTION_INVALID', "a witness's name holds no white space and no plus")
    if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') {
      throw new Misuse('ERR_OPTION_INVALID', "a witness's key must be an Ed25519 private key")
    }
    this.#options = options
    this.verifierKey = formatCosignerKey(name, createPublicKey(key))
  }

  /** tlog-witness, "add-checkpoint". @param body as it was posted. @throws what keeping it says: then nothing was cosigned */
  async addCheckpoint(body: Uint8Array): Promise<Answer> {
    const submitted = parseSubmission(body)
    if (submitted === undefined) return plain(400, 'not an old size, a consistency proof and a checkpoint')
    const { origin, note, size } = submitted.checkpoint
    const keys = this.#options.logs.get(origin)
    if (keys === undefined) return plain(404, 'this witness does not know the origin')
    if (!keys.some(key => isSigned(note, key)))
      return plain(403, 'no signature by a key that is trusted for the origin')
    if (submitted.old > size) return plain(400, 'the old size is larger than the checkpoint')
    const turn = (this.#turns.get(origin) ?? Promise.resolve()).then(() => this.#judge(submitted))
    this.#turns.set(
      origin,
      turn.catch(() => undefined),
    )
    return turn
  }

  async #judge({ old, proof, checkpoint }: Submitted): Promise<Answer> {
    const { name, key, clock } = this.#options
    const latest = await this.#latest(checkpoint.origin)
    if (old !== latest.size) return conflict(latest.size)
    if (checkpoint.size === latest.size && !sameHash(checkpoint.root, latest.root)) return conflict(latest.size)
    try {
      verifyConsistency(latest.size, latest.root, checkpoint.size, checkpoint.root, proof)
    } catch (error) {
      if (!isOurs(error)) throw error
      return plain(422, 'the consistency proof does not verify')
    }
    // Kept first: a cosignature that this witness could forget would be no promise.
    await replaceFiles(this.#options.state, [[this.#file(checkpoint.origin), formatCheckpoint(checkpoint)]], 'closed')
    const { text } = checkpoint.note
    const line = cosign(text, name, key, Math.floor(clock.now() / 1000))
    return { status: 200, body: formatNote({ text, signatures: [line] }).slice(text.length + 1) }
  }

  /** @throws LedgerError ERR_LEDGER_CORRUPT where what was kept is not that */
  async #latest(origin: string): Promise<{ readonly size: number; readonly root: Hash }> {
    const file = this.#file(origin)
    const bytes = await readIfThere(join(this.#options.state, file))
    if (bytes === undefined) return { size: 0, root: emptyRoot }
    try {
      const kept = parseAnyCheckpoint(bytes)
      const keys = this.#options.logs.get(origin) ?? []
      if (kept.origin === origin && keys.some(key => isSigned(kept.note, key))) return kept
    } catch (error) {
      if (!isOurs(error)) throw error
    }
    throw new LedgerError('ERR_LEDGER_CORRUPT', `what the witness kept of a log is altered: ${file}`, { file })
  }

  #file(origin: string): string {
    return `logs/${hash('sha256', origin)}`
  }
}

function isSigned(note: SignedCheckpoint['note'], key: NoteVerifier): boolean {
  try {
    requireSignature(note, key)
    return true
  } catch (error) {
    if (!isOurs(error)) throw error
    return false
  }
}

/** tlog-witness, "add-checkpoint": `old SIZE`, lines of hashes, an empty line, a checkpoint. @returns undefined where it is not that */
function parseSubmission(body: Uint8Array): Submitted | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const end = bytes.indexOf('\n\n')
  if (end < 0) return undefined
  const [first, ...lines] = bytes.subarray(0, end).toString('latin1').split('\n')
  const old = Number(/^old (0|[1-9][0-9]{0,15})$/.exec(first ?? '')?.[1] ?? Number.NaN)
  const proof = lines.map(line => Buffer.from(line, 'base64'))
  if (!Number.isSafeInteger(old) || proof.length > mostHashes) return undefined
  if (proof.some((hash, i) => hash.length !== 32 || hash.toString('base64') !== lines[i])) return undefined
  try {
    return { old, proof, checkpoint: parseAnyCheckpoint(bytes.subarray(end + 2)) }
  } catch (error) {
    if (!isOurs(error)) throw error
    return undefined
  }
}
