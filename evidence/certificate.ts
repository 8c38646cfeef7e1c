/** The published certificate is the one that the writer said it published: armor has bytes that no signature covers. */
import { hash } from 'node:crypto'
import type { Entry } from '../lib/format/entry.ts'
import { certificateFile } from '../lib/format/layout.ts'
import type { Finding } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'

export async function examineCertificate(
  files: LedgerFiles,
  records: readonly { readonly index: number; readonly entry: Entry }[],
): Promise<Finding[]> {
  const started = records.flatMap(({ index, entry }) => (entry.kind === 'started' ? [{ index, entry }] : [])).at(-1)
  const expected = started?.entry.certificate
  if (started === undefined || expected === undefined) return []
  const text = await files.certificate().catch(() => undefined)
  const actual = text === undefined ? undefined : hash('sha256', text, 'base64url' as 'hex')
  if (actual === expected) return []
  const what = 'the published certificate is not the one that the writer published'
  const given = actual === undefined ? {} : { actual }
  return [{ code: 'KEY_SUBSTITUTED', what, expected, ...given, file: certificateFile, index: started.index }]
}
