/**
 * The proof of one entry: that it stands at its place in a tree that the ledger signed.
 * Written from tiles, checked from nothing but itself.
 */
import { hash } from 'node:crypto'
import { basename } from 'node:path'
import { isOurs, LedgerError, Misuse } from '../lib/errors.ts'
import { anchorFolder, parseAnchorName } from '../lib/format/anchor.ts'
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
import { type CosignedSize, cosignedSizes, namedNotes } from './cosigned-sizes.ts'
import { isUnreachable, unlessUnreachable } from './finding.ts'
import { LedgerFiles } from './ledger-files.ts'
import { OwnNotes } from './own-notes.ts'

export interface ProveOptions {
  /** Where the ledger is: a directory, or an https address. */
  readonly directory: string
  /** PEM of the authorities that are trusted for an address. Default: those of the system and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string
  /** Its index in the tree, or its id. */
  readonly entry: number | string
  /**
   * Of a checkpoint that the ledger holds: the published one, a seal, or one that others vouch for.
   * Default: the newest over the entry that most witnesses have cosigned, as the ledger's own entries say, of
   * those that the note key in force signed; a former key's where there is no other; the published one where none is cosigned.
   */
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
  /** How many lines of witnesses the checkpoint carries, whoever they are; undefined where nobody vouches for this ledger. */
  readonly cosigned: number | undefined
  /** The verifier key that checks it, as the ledger's entries have it, where that speaks no longer. */
  readonly formerKey: string | undefined
  /** C2SP tlog-proof. */
  readonly proof: string
}

/**
 * What is published and sealed is taken as it lies; what others vouch for counts only where the ledger's
 * own note keys, as its entries have them, signed it. That the entry's bytes lead to the checkpoint's root
 * is verified, so that no false proof is written.
 * @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT, ERR_PROOF_INVALID where entry and tiles do not lead to the root
 * @throws Misuse ERR_OPTION_INVALID: no such entry, no checkpoint of that size. Fault
 * ERR_LEDGER_UNAVAILABLE: an address that does not answer
 */
export async function proveEntry({ directory, ca, ...asked }: ProveOptions): Promise<Proved> {
  const files = await LedgerFiles.open(directory, ca)
  try {
    return await proveFrom(files, asked)
  } finally {
    files.close()
  }
}

interface Held {
  readonly files: LedgerFiles
  readonly published: SignedCheckpoint
  readonly own: OwnNotes
}

async function proveFrom(
  files: LedgerFiles,
  { entry, size, inside }: Omit<ProveOptions, 'directory' | 'ca'>,
): Promise<Proved> {
  const published = await files.checkpoint()
  const held: Held = { files, published, own: new OwnNotes(files, published) }
  const index = typeof entry === 'number' ? entry : await indexOf(files, entry, published.size)
  const given = size === undefined || size === published.size ? published : await heldOf(held, size)
  if (!Number.isSafeInteger(index) || index < 0 || index >= given.size) {
    throw new Misuse('ERR_OPTION_INVALID', `there is no entry ${index} in a tree of ${given.size}`)
  }
  // A checkpoint of fewer entries than a seal is an older one, put back: what the seal is of may be there, or not.
  const bundle = await files.entriesOf(Math.floor(index / tileWidth), Math.max(published.size, given.size))
  const bytes = bundle[index % tileWidth]
  if (bytes === undefined) {
    const what = `entry ${index} is not there, and the checkpoint of ${given.size} entries says that it is: bring tile/ back from a copy, and verify`
    throw new LedgerError('ERR_LEDGER_MISSING', what, { index })
  }
  const at = async (checkpoint: SignedCheckpoint) => {
    const hashes = await inclusionProof(index, checkpoint.size, files.hashReader(checkpoint.size))
    verifyInclusion(leafHash(bytes), index, checkpoint.size, hashes, checkpoint.root)
    const note = await cosigned(held, checkpoint)
    return { checkpoint, hashes, note, lines: note.signatures.filter(({ name }) => name !== checkpoint.origin).length }
  }
  const isAny = files.directory === undefined || (await files.anchorSizes()).sizes.length > 0
  const sizes = isAny ? await cosignedSizes(files, published, index) : []
  const made = (size === undefined ? await overEntry(held, sizes, index, at) : undefined) ?? (await at(given))
  const { checkpoint, hashes, note, lines } = made
  const extra = inside ? { extra: bytes } : {}
  const proof = formatTlogProof({ index, hashes, checkpoint: formatNote(note), ...extra })
  const isNone = files.directory === undefined ? sizes.length === 0 : !isAny
  const count = isNone ? undefined : lines
  const formerKey = held.own.isByKeyInForce(note) ? undefined : await held.own.keyOf(note)
  return { index, entry: bytes, checkpoint, hashes: hashes.length, cosigned: count, formerKey, proof }
}

/** What a former key signed asks of whoever checks it a key that nobody hands out any more: it is the last resort. */
async function overEntry<T>(
  held: Held,
  sizes: readonly CosignedSize[],
  index: number,
  prove: (checkpoint: SignedCheckpoint) => Promise<T>,
): Promise<T | undefined> {
  let former: T | undefined
  for (const one of sizes.filter(known => known.size > index)) {
    const vouched = await vouchedFor(held, one.size, one.files)
    const isInForce = vouched !== undefined && held.own.isByKeyInForce(vouched.note)
    if (vouched === undefined || (!isInForce && former !== undefined)) continue
    const made = await prove(vouched).catch(unproven)
    if (isInForce && made !== undefined) return made
    former ??= made
  }
  return former
}

/** What is wrong with what others vouch for is for a verification to say: no proof rests on it. */
function unproven(error: unknown): undefined {
  if (!isOurs(error) || isUnreachable(error)) throw error
}

async function heldOf(held: Held, size: number): Promise<SignedCheckpoint> {
  const { files } = held
  const { sizes } = await files.sealSizes([size])
  if (sizes.includes(size)) return files.seal(size)
  const vouched = await vouchedFor(held, size)
  if (vouched !== undefined) return vouched
  const newest = sizes.length === 0 ? 'it has no seal yet' : `its newest seals: ${sizes.slice(-5).join(', ')}`
  const some = files.directory === undefined ? 'which seals it has cannot be listed at an address' : newest
  throw new Misuse('ERR_OPTION_INVALID', `the ledger holds no checkpoint of ${size} entries; ${some}`)
}

/**
 * A checkpoint of that size which others vouch for: the first that there is. @param files the notes
 * that are looked at. Default: all that are kept
 */
async function vouchedFor(held: Held, size: number, files?: readonly string[]): Promise<SignedCheckpoint | undefined> {
  for await (const vouched of notesOf(held, size, files)) return vouched
  return undefined
}

/** With the lines of the witnesses that cosigned the same text: who checks the proof knows which of them to believe. */
async function cosigned(held: Held, { size, note }: SignedCheckpoint): Promise<Note> {
  const lines = new Map(note.signatures.map(line => [formatLine(line), line]))
  let left = [...lines.keys()].reduce((rest, { length }) => rest - length, mostLineBytes)
  for await (const other of notesOf(held, size)) {
    if (other.note.text !== note.text) continue
    for (const line of other.note.signatures) {
      const text = formatLine(line)
      if (lines.has(text) || text.length > left) continue
      if (lines.size === mostLines) return { ...note, signatures: [...lines.values()] }
      lines.set(text, line)
      left -= text.length
    }
  }
  return { ...note, signatures: [...lines.values()] }
}

const formatLine = (line: NoteSignature): string => formatNote({ text: '', signatures: [line] })
/** A note with more is none (signed-note), nor is one of over a megabyte. */
const mostLines = 100
const mostLineBytes = 500_000

/** Of one checkpoint a few are kept; of more than this the later ones are not looked at. */
const mostNotes = 256

/**
 * One at a time: whoever can put a file there can put many. What is no note of the ledger's own, or not the one that
 * its name says, is for verify to tell.
 */
async function* notesOf(held: Held, size: number, given?: readonly string[]): AsyncGenerator<SignedCheckpoint> {
  const { files, own } = held
  for (const file of (given ?? (await keptNotes(held, size))).slice(0, mostNotes)) {
    const note = await noteIn(files, file).catch(unlessUnreachable)
    if (note?.size === size && (await own.has(note.note))) yield note
  }
}

/** Those that entries name come first. At an address nothing else is listed. */
async function keptNotes({ files, published }: Held, size: number): Promise<readonly string[]> {
  const named = await namedNotes(files, size, published)
  return files.directory === undefined ? named : [...new Set([...named, ...(await listedNotes(files, size))])]
}

async function noteIn(files: LedgerFiles, file: string): Promise<SignedCheckpoint | undefined> {
  const bytes = await files.anchor(file)
  const isNamed = parseAnchorName(basename(file))?.digest === hash('sha256', bytes, 'base64url' as 'hex')
  return isNamed ? parseCheckpoint(bytes) : undefined
}

async function listedNotes(files: LedgerFiles, size: number): Promise<string[]> {
  const names = (await files.anchorNames(size)).filter(name => parseAnchorName(name)?.kind === 'witness')
  return names.map(name => `${anchorFolder}/${size}/${name}`)
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
