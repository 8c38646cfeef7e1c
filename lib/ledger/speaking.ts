/**
 * That a ledger is opened with the keys that speak for it now: those of entry 0, or of the last rotation. Found without
 * reading the whole ledger: what came after the newest seal stands in the write-ahead log, and what came before, the
 * seal's signatures tell. Where they do not, as of a key that is to be refused, what is known from a snapshot does.
 */
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../format/checkpoint.ts'
import type { Entry, EntryOf } from '../format/entry.ts'
import { sealFile } from '../format/layout.ts'
import type { Living } from '../format/living.ts'
import { openpgpKeyId } from '../format/note.ts'
import { namesIn, readIfThere } from './files.ts'
import type { Recovered } from './recovery.ts'

export interface SpeakingParts {
  readonly directory: string
  readonly opened: EntryOf<'opened'>
  readonly recovered: Recovered
  /** As they are given: a verifier key, and a fingerprint where there is a sealer. */
  readonly noteKey: string
  readonly sealKey: string | undefined
  readonly entry: (index: number) => Promise<Entry>
  /** What all entries come to. */
  readonly known: () => Promise<Living>
}

type Rotated = EntryOf<'key-rotated'>

/** @throws LedgerError ERR_LEDGER_INCONSISTENT where it is another key; `data.expected` is the one that speaks */
export async function requireSpeaking(parts: SpeakingParts): Promise<void> {
  const { opened, noteKey, sealKey, recovered } = parts
  const seal = await newestSeal(parts.directory)
  const late = await lateRotations(parts, seal)
  // Before the late ones, a checkpoint that the given note key signed says that it spoke.
  const note = late.findLast(({ key }) => key === 'note')?.new
  const expected = note ?? (recovered.checkpoint === undefined ? opened.noteKey : noteKey)
  if (noteKey !== expected) throw another('note key', expected, note !== undefined)
  if (sealKey === undefined) return
  const rotated = late.findLast(({ key }) => key === 'seal')
  if (rotated === undefined && seal !== undefined && isSealedBy(seal, sealKey)) return
  const last = rotated ?? (await lastRotation(parts))
  const fingerprint = last?.new ?? opened.sealKey ?? ''
  if (sealKey !== fingerprint) throw another('OpenPGP key', fingerprint, last !== undefined)
}

/** Those that neither the checkpoint nor the newest seal can tell of, oldest first: one that ends either is signed by both keys. */
async function lateRotations({ recovered, entry }: SpeakingParts, seal: SignedCheckpoint | undefined) {
  const { recent, checkpoint } = recovered
  const late: Rotated[] = []
  const ends = new Set([seal?.size ?? 0, checkpoint?.size ?? 0])
  for (const end of [...ends].sort((a, b) => a - b)) {
    if (end === 0 || end > recent.base) continue
    const last = await entry(end - 1)
    if (last.kind === 'key-rotated') late.push(last)
  }
  for (let index = recent.base; index < recent.end; index += 1) {
    const { entry } = recent.get(index)!
    if (entry.kind === 'key-rotated') late.push(entry)
  }
  return late
}

const isOfSeal = (entry: Entry): entry is Rotated => entry.kind === 'key-rotated' && entry.key === 'seal'

async function lastRotation({ known }: SpeakingParts): Promise<Rotated | undefined> {
  const rotations = (await known()).entries().flatMap(({ entry }) => (isOfSeal(entry) ? [entry] : []))
  return rotations.at(-1)
}

async function newestSeal(directory: string): Promise<SignedCheckpoint | undefined> {
  const names = await namesIn(join(directory, sealFile(0), '..'))
  const sizes = names.filter(name => /^\d{1,16}$/.test(name)).map(Number)
  const bytes = sizes.length === 0 ? undefined : await readIfThere(join(directory, sealFile(Math.max(...sizes))))
  return bytes === undefined ? undefined : parseCheckpoint(bytes)
}

const isSealedBy = ({ note, origin }: SignedCheckpoint, fingerprint: string): boolean =>
  note.signatures.some(({ keyId }) => Buffer.compare(keyId, openpgpKeyId(origin, fingerprint)) === 0)

function another(what: string, expected: string, rotated: boolean): LedgerError {
  const why = rotated
    ? `the ${what} was rotated, and this is not the one that speaks now: finish with "counterfoil keys rotate", or give ${expected}`
    : `entry 0 names another ${what}`
  return new LedgerError('ERR_LEDGER_INCONSISTENT', why, { expected })
}
