/** The proof of one entry: that it stands at its place in a tree that the ledger signed. Written from tiles, checked from nothing but itself. */
import { LedgerError, Misuse } from '../lib/errors.ts'
import { anchorFile, anchorFolder, parseAnchorName } from '../lib/format/anchor.ts'
import {
  type Checkpoint,
  formatTlogProof,
  parseCheckpoint,
  parseTlogProof,
  type SignedCheckpoint,
} from '../lib/format/checkpoint.ts'
import { type Cosignature, cosignaturesOf, parseCosignerKey } from '../lib/format/cosignature.ts'
import { parseEntry } from '../lib/format/entry.ts'
import { tileWidth } from '../lib/format/layout.ts'
import { inclusionProof, leafHash, verifyInclusion } from '../lib/format/merkle.ts'
import { formatNote, type Note, type NoteSignature, parseVerifierKey, requireSignature } from '../lib/format/note.ts'
import { LedgerFiles } from './ledger-files.ts'

export interface ProveOptions {
  /** Where the ledger is: a directory, or an https address. */
  readonly directory: string
  /** PEM of the authorities that are trusted for an address. Default: those of the system and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string
  /** Its index in the tree, or its id. */
  readonly entry: number | string
  /** Of a checkpoint that the ledger holds: the published one, a seal, or one that others vouch for. Default: the published one. */
  readonly size?: number
  /** Whether the proof carries the entry's bytes too. */
  readonly inside?: boolean
}

export interface Proved {
  readonly index: number
  /** The entry's bytes, as they stand in the tree. */
  readonly entry: Uint8Array
  readonly checkpoint: Checkpoint
  readonly hashes: number
  /** C2SP tlog-proof. */
  readonly proof: string
}

/**
 * Signatures are not verified here; that the entry's bytes lead to the checkpoint's root is, so that no false proof is written.
 * @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT, ERR_PROOF_INVALID where entry and tiles do not lead to the root
 * @throws Misuse ERR_OPTION_INVALID: no such entry, no checkpoint of that size. Fault ERR_LEDGER_UNAVAILABLE: an address that does not answer
 */
export async function proveEntry({ directory, ca, ...asked }: ProveOptions): Promise<Proved> {
  const files = await LedgerFiles.open(directory, ca)
  try {
    return await proveFrom(files, asked)
  } finally {
    files.close()
  }
}

async function proveFrom(
  files: LedgerFiles,
  { entry, size, inside }: Omit<ProveOptions, 'directory' | 'ca'>,
): Promise<Proved> {
  const published = await files.checkpoint()
  const checkpoint = size === undefined || size === published.size ? published : await heldOf(files, size, published)
  const index = typeof entry === 'number' ? entry : await indexOf(files, entry, published.size)
  if (!Number.isSafeInteger(index) || index < 0 || index >= checkpoint.size) {
    throw new Misuse('ERR_OPTION_INVALID', `there is no entry ${index} in a tree of ${checkpoint.size}`)
  }
  const bundle = await files.entriesOf(Math.floor(index / tileWidth), published.size)
  const bytes = bundle[index % tileWidth]!
  const hashes = await inclusionProof(index, checkpoint.size, files.hashReader(checkpoint.size))
  verifyInclusion(leafHash(bytes), index, checkpoint.size, hashes, checkpoint.root)
  const extra = inside ? { extra: bytes } : {}
  const proof = formatTlogProof({
    index,
    hashes,
    checkpoint: formatNote(await cosigned(files, checkpoint, published)),
    ...extra,
  })
  return { index, entry: bytes, checkpoint, hashes: hashes.length, proof }
}

async function heldOf(files: LedgerFiles, size: number, published: Checkpoint): Promise<SignedCheckpoint> {
  const { sizes } = await files.sealSizes([size])
  if (sizes.includes(size)) return files.seal(size)
  const [vouched] = await notesOf(files, size, published)
  if (vouched !== undefined) return vouched
  const newest = sizes.length === 0 ? 'it has no seal yet' : `its newest seals: ${sizes.slice(-5).join(', ')}`
  const some = files.directory === undefined ? 'which seals it has cannot be listed at an address' : newest
  throw new Misuse('ERR_OPTION_INVALID', `the ledger holds no checkpoint of ${size} entries; ${some}`)
}

/** With the lines of the witnesses that cosigned the same text: who checks the proof knows which of them to believe. */
async function cosigned(files: LedgerFiles, { size, note }: SignedCheckpoint, published: Checkpoint): Promise<Note> {
  const lines = [...note.signatures]
  const isNew = (line: NoteSignature) => !lines.some(one => formatLine(one) === formatLine(line))
  for (const other of await notesOf(files, size, published)) {
    if (other.note.text === note.text) lines.push(...other.note.signatures.filter(isNew))
  }
  return { ...note, signatures: lines.slice(0, mostLines) }
}

const formatLine = ({ name, keyId, signature }: NoteSignature): string =>
  JSON.stringify([name, [...keyId], [...signature]])
/** A note with more is none (signed-note). */
const mostLines = 100

async function notesOf(files: LedgerFiles, size: number, published: Checkpoint): Promise<SignedCheckpoint[]> {
  const named = files.directory === undefined ? namedNotes(files, size, published) : listedNotes(files, size)
  const notes = await Promise.all((await named).map(async file => parseCheckpoint(await files.anchor(file))))
  return notes.filter(one => one.size === size)
}

async function listedNotes(files: LedgerFiles, size: number): Promise<string[]> {
  const names = (await files.anchorNames(size)).filter(name => parseAnchorName(name)?.kind === 'witness')
  return names.map(name => `${anchorFolder}/${size}/${name}`)
}

/** Entries are appended once a checkpoint is vouched for: so many bundles are looked through for them, from it on. */
const mostLookedThrough = 4

/** At an address nothing is listed, but entries name what is kept. */
async function namedNotes(files: LedgerFiles, size: number, published: Checkpoint): Promise<string[]> {
  const named = new Set<string>()
  const first = Math.floor(size / tileWidth)
  for (let n = first; n < first + mostLookedThrough && n * tileWidth < published.size; n += 1) {
    for (const bytes of await files.entriesOf(n, published.size)) {
      const entry = parseEntry(bytes)
      if (entry.kind === 'anchored' && entry.anchor === 'witness' && entry.size === size)
        named.add(anchorFile(entry.anchor, size, entry.file))
    }
  }
  const there = await Promise.all([...named].map(file => files.hasAnchor(file)))
  return [...named].filter((_, i) => there[i])
}

/** From the end: what is asked for is seldom old. */
async function indexOf(files: LedgerFiles, id: string, size: number): Promise<number> {
  for (let n = Math.ceil(size / tileWidth) - 1; n >= 0; n -= 1) {
    const bundle = await files.entriesOf(n, size)
    const at = bundle.findIndex(bytes => parseEntry(bytes).id === id)
    if (at >= 0) return n * tileWidth + at
  }
  const what = `no entry has the id ${JSON.stringify(id)}; "show" finds entries by an exchange's, grant's or approval's`
  throw new Misuse('ERR_OPTION_INVALID', what)
}

export interface CheckProofOptions {
  /** The tlog-proof's text. */
  readonly proof: string
  /** The entry's bytes; absent where the proof carries them. */
  readonly entry?: Uint8Array
  /** The log's verifier key, from outside: `name+id+base64`. Its name is the origin that is expected. */
  readonly key: string
  /** Verifier keys of witnesses, from outside. */
  readonly witnesses?: readonly string[]
  /** How many of them must have cosigned. Default: all that are given. */
  readonly quorum?: number
}

export interface CheckedProof {
  readonly index: number
  readonly entry: Uint8Array
  readonly checkpoint: Checkpoint
  readonly cosignatures: readonly Cosignature[]
}

/**
 * Everything that is trusted comes from outside: the log's key, and the witnesses'.
 * @throws LedgerError ERR_PROOF_INVALID, ERR_CHECKPOINT_SIGNATURE
 * @throws Misuse ERR_OPTION_INVALID where the entry is neither given nor carried, or more witnesses must have signed than are given
 */
export function checkProof({ proof, entry, key, witnesses = [], quorum }: CheckProofOptions): CheckedProof {
  const { index, hashes, checkpoint: note, extra } = parseTlogProof(proof)
  const checkpoint = parseCheckpoint(Buffer.from(note))
  const verifier = parseVerifierKey(key)
  if (checkpoint.origin !== verifier.name) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'the proof is of another log than the key')
  }
  requireSignature(checkpoint.note, verifier)
  const needed = quorum ?? witnesses.length
  if (needed > witnesses.length) {
    throw new Misuse('ERR_OPTION_INVALID', `${needed} witnesses cannot have signed where ${witnesses.length} are known`)
  }
  const cosignatures = cosignaturesOf(checkpoint.note, witnesses.map(parseCosignerKey))
  if (cosignatures.length < needed) {
    const what = `${cosignatures.length} of the given witnesses cosigned, and ${needed} must have`
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', what)
  }
  const bytes = entry ?? extra
  if (bytes === undefined) throw new Misuse('ERR_OPTION_INVALID', 'the proof does not carry the entry: name its file')
  verifyInclusion(leafHash(bytes), index, checkpoint.size, hashes, checkpoint.root)
  return { index, entry: bytes, checkpoint, cosignatures }
}
