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

/**
 * Of this ledger's kind: exactly three lines, an origin that can name a key.
 * @throws LedgerError ERR_CHECKPOINT_SIGNATURE. Signatures are not verified here: see requireSignature.
 */
export function parseCheckpoint(bytes: Uint8Array): SignedCheckpoint {
  const checkpoint = parseAnyCheckpoint(bytes)
  if (checkpoint.note.text.split('\n').length !== 4) throw malformed('a checkpoint whose body is not three lines')
  if (!isName(checkpoint.origin)) throw malformed('a checkpoint with a malformed origin or size')
  return checkpoint
}

/** tlog-checkpoint, "Note text": also of logs that add extension lines, or whose origin holds spaces. @throws as parseCheckpoint */
export function parseAnyCheckpoint(bytes: Uint8Array): SignedCheckpoint {
  const note = parseNote(bytes)
  const [origin, size, root, ...rest] = note.text.split('\n')
  if (origin === undefined || size === undefined || root === undefined || rest.length < 1) {
    throw malformed('a checkpoint whose body is not three lines')
  }
  if (rest.slice(0, -1).includes('')) throw malformed('a checkpoint with an empty extension line')
  const decoded = Buffer.from(root, 'base64')
  if (origin === '' || !/^(0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
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
  /** What the proof carries beside: here the entry itself, where it was asked for inside. Nothing vouches for it but the proof. */
  readonly extra?: Uint8Array
}

/** C2SP tlog-proof. */
export function formatTlogProof({ index, hashes, checkpoint, extra }: TlogProof): string {
  const lines = hashes.map(h => `${Buffer.from(h).toString('base64')}\n`)
  const more = extra === undefined ? '' : `extra ${Buffer.from(extra).toString('base64')}\n`
  return `${proofHeader}\n${more}index ${index}\n${lines.join('')}\n${checkpoint}`
}

/** RFC 6962 trees of up to 2^53 leaves have shorter proofs than this. */
const mostHashes = 63

/** @throws LedgerError ERR_PROOF_INVALID */
export function parseTlogProof(text: string): TlogProof {
  const at = text.indexOf('\n\n')
  const [header, ...lines] = text.slice(0, Math.max(0, at)).split('\n')
  const given = lines[0]?.startsWith('extra ') ? lines.shift()!.slice('extra '.length) : undefined
  const extra = given === undefined ? undefined : Buffer.from(given, 'base64')
  const [, index] = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '') ?? []
  const hashes = lines.map(line => Buffer.from(line, 'base64'))
  if (
    header !== proofHeader ||
    index === undefined ||
    extra?.toString('base64') !== given ||
    hashes.length > mostHashes ||
    hashes.some((h, i) => h.length !== 32 || h.toString('base64') !== lines[i])
  ) {
    throw new LedgerError('ERR_PROOF_INVALID', 'not a tlog-proof')
  }
  return { index: Number(index), hashes, checkpoint: text.slice(at + 2), ...(extra === undefined ? {} : { extra }) }
}

const malformed = (what: string) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', what)
