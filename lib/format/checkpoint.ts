/** C2SP tlog-checkpoint: origin, size and root, exactly three lines, as a signed note. And C2SP tlog-proof around it. */
import { LedgerError } from '../errors.ts'
import type { Hash } from './merkle.ts'
import { formatNote, isName, type Note, parseNote } from './note.ts'

export interface Checkpoint {
  readonly origin: string
  /** Number of leaves. */
  readonly size: number
  readonly root: Hash
}

export interface SignedCheckpoint extends Checkpoint {
  readonly note: Note
}

export function checkpointBody({ origin, size, root }: Checkpoint): string {
  if (!isName(origin)) throw malformed('an origin that is empty or holds a space or a plus')
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`
}

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE. Signatures are not verified here: see requireSignature. */
export function parseCheckpoint(bytes: Uint8Array): SignedCheckpoint {
  const note = parseNote(bytes)
  const [origin, size, root, ...rest] = note.text.split('\n')
  if (origin === undefined || size === undefined || root === undefined || rest.length !== 1) {
    throw malformed('a checkpoint whose body is not three lines')
  }
  const decoded = Buffer.from(root, 'base64')
  if (!isName(origin) || !/^(0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw malformed('a checkpoint with a malformed origin or size')
  }
  if (decoded.length !== 32 || decoded.toString('base64') !== root)
    throw malformed('a checkpoint with a malformed root')
  return { origin, size: Number(size), root: decoded, note }
}

export const formatCheckpoint = (checkpoint: SignedCheckpoint): string => formatNote(checkpoint.note)

const proofHeader = 'c2sp.org/tlog-proof@v1'

export interface TlogProof {
  readonly index: number
  readonly hashes: readonly Hash[]
  /** The signed checkpoint, as stored. */
  readonly checkpoint: string
}

/** C2SP tlog-proof, without extra data. */
export function formatTlogProof({ index, hashes, checkpoint }: TlogProof): string {
  const lines = hashes.map(h => `${Buffer.from(h).toString('base64')}\n`)
  return `${proofHeader}\nindex ${index}\n${lines.join('')}\n${checkpoint}`
}

/** @throws LedgerError ERR_PROOF_INVALID */
export function parseTlogProof(text: string): TlogProof {
  const at = text.indexOf('\n\n')
  const [header, ...lines] = text.slice(0, Math.max(0, at)).split('\n')
  if (lines[0]?.startsWith('extra ')) lines.shift()
  const [, index] = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '') ?? []
  const hashes = lines.map(line => Buffer.from(line, 'base64'))
  if (
    header !== proofHeader ||
    index === undefined ||
    hashes.some((h, i) => h.length !== 32 || h.toString('base64') !== lines[i])
  ) {
    throw new LedgerError('ERR_PROOF_INVALID', 'not a tlog-proof')
  }
  return { index: Number(index), hashes, checkpoint: text.slice(at + 2) }
}

const malformed = (what: string) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', what)
