/**
 * What stands beside the entries with no signature of its own, held against what entries say of it: the published certificate, and the
 * writer's epoch. Of a writer's own files, `LOCK` (the process that writes) and `wal/` (what is not published yet) say nothing that
 * entries could be held against, and are not examined.
 */
import { hash } from 'node:crypto'
import { isOurs } from '../lib/errors.ts'
import type { EntryOf } from '../lib/format/entry.ts'
import { certificateFile, certificateOf } from '../lib/format/layout.ts'
import { type Finding, isUnreachable, unlessUnreachable } from './finding.ts'
import type { KeyEntry } from './key-entries.ts'
import { epochFile, type LedgerFiles } from './ledger-files.ts'

/** What writers said when they took up the ledger. Of many of them the last start between two entries about keys is enough. */
export interface Taken {
  readonly index: number
  readonly entry: Pick<EntryOf<'started'>, 'epoch' | 'certificate'> & { readonly kind: 'started' | 'recovered' }
}

interface Said {
  readonly index: number
  readonly digest: string
}

/**
 * Armor has bytes that no signature covers: each certificate must be, to the byte, the one that the writer published
 * last. The current one's file may lag behind an entry that has just named another: a rotation is sealed first.
 * @param first the OpenPGP key that entry 0 names
 */
export async function examineCertificates(
  files: LedgerFiles,
  taken: readonly Taken[],
  keyEntries: readonly KeyEntry[],
  first: string | undefined,
): Promise<Finding[]> {
  const current: (Said & { readonly settled: boolean })[] = []
  const byKey = new Map<string, Said[]>()
  let key = first
  const say = (of: string | undefined, index: number, digest: string) => {
    if (of !== undefined) byKey.set(of, [...(byKey.get(of) ?? []), { index, digest }])
  }
  for (const { index, entry } of [...taken, ...keyEntries].sort((a, b) => a.index - b.index)) {
    if (entry.kind === 'recovered' || entry.certificate === undefined) continue
    const { certificate: digest } = entry
    if (entry.kind === 'key-revoked') {
      say(entry.revoked, index, digest)
      continue
    }
    if (entry.kind === 'key-rotated') key = entry.new
    say(key, index, digest)
    current.push({ index, digest, settled: entry.kind === 'started' })
  }
  const findings: Finding[] = []
  const last = current.at(-1)
  const may = last?.settled === false ? current.slice(-2) : current.slice(-1)
  if (last !== undefined)
    findings.push(...compare(certificateFile, await files.certificate().catch(unlessUnreachable), may))
  for (const [fingerprint, said] of byKey) {
    // Older versions published the current one alone.
    try {
      const text = await files.certificateByName(fingerprint)
      if (text !== undefined) findings.push(...compare(certificateOf(fingerprint), text, said.slice(-1)))
    } catch (error) {
      if (!isOurs(error) || isUnreachable(error)) throw error
      findings.push(...compare(certificateOf(fingerprint), undefined, said.slice(-1)))
    }
  }
  return findings
}

function compare(file: string, text: string | undefined, said: readonly Said[]): Finding[] {
  const actual = text === undefined ? undefined : hash('sha256', text, 'base64url' as 'hex')
  if (said.some(({ digest }) => digest === actual)) return []
  const { index, digest: expected } = said.at(-1)!
  const what = 'the published certificate is not the one that the writer published'
  return [{ code: 'KEY_SUBSTITUTED', what, expected, ...(actual === undefined ? {} : { actual }), file, index }]
}

/**
 * The epoch counts openings for writing, and only grows: one that is malformed, or lower than an entry says, was altered or put back.
 * A higher one may be an opening that failed. A copy for readers has none.
 */
export async function examineEpoch(files: LedgerFiles, taken: readonly Taken[]): Promise<Finding[]> {
  const wrong = (what: string, more: Partial<Finding> = {}): Finding[] => [
    { code: 'EPOCH_INVALID', what, file: epochFile, ...more },
  ]
  let text: string | undefined
  try {
    text = await files.epoch()
  } catch (error) {
    if (!isOurs(error) || isUnreachable(error)) throw error
    return wrong(error.message)
  }
  if (text === undefined) return []
  if (!/^[1-9]\d{0,8}\n$/.test(text)) return wrong("the writer's epoch is no number")
  const newest = taken.reduce<Taken | undefined>((a, b) => (b.entry.epoch >= (a?.entry.epoch ?? 0) ? b : a), undefined)
  if (newest === undefined || Number(text) >= newest.entry.epoch) return []
  const [expected, actual] = [`at least ${newest.entry.epoch}`, text.trim()]
  return wrong("the writer's epoch went back: an entry tells of a later one", { index: newest.index, expected, actual })
}
