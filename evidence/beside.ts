/**
 * What stands beside the entries with no signature of its own, held against what entries say of it: the published certificate, and the
 * writer's epoch. Of a writer's own files, `LOCK` (the process that writes) and `wal/` (what is not published yet) say nothing that
 * entries could be held against, and are not examined.
 */
import { hash } from 'node:crypto'
import { isOurs } from '../lib/errors.ts'
import type { EntryOf } from '../lib/format/entry.ts'
import { certificateFile } from '../lib/format/layout.ts'
import { type Finding, isUnreachable } from './finding.ts'
import { epochFile, type LedgerFiles } from './ledger-files.ts'

/** What writers said when they took up the ledger. */
export interface Taken {
  readonly index: number
  readonly entry: Pick<EntryOf<'started'>, 'epoch' | 'certificate'> & { readonly kind: 'started' | 'recovered' }
}

/** Armor has bytes that no signature covers: the certificate must be, to the byte, the one that the last writer published. */
export async function examineCertificate(files: LedgerFiles, taken: readonly Taken[]): Promise<Finding[]> {
  const started = taken.findLast(({ entry }) => entry.kind === 'started')
  const expected = started?.entry.certificate
  if (started === undefined || expected === undefined) return []
  const text = await files.certificate().catch(error => {
    if (isUnreachable(error)) throw error
  })
  const actual = text === undefined ? undefined : hash('sha256', text, 'base64url' as 'hex')
  if (actual === expected) return []
  const what = 'the published certificate is not the one that the writer published'
  const given = actual === undefined ? {} : { actual }
  return [{ code: 'KEY_SUBSTITUTED', what, expected, ...given, file: certificateFile, index: started.index }]
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
