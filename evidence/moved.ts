/** Whether what was found may be of a ledger that was written while it was verified: then it is looked for once more. */
import { setTimeout } from 'node:timers/promises'
import { isOurs } from '../lib/errors.ts'
import { readCertificate } from '../lib/openpgp.ts'
import type { Examination } from './examination.ts'
import { type Finding, familyOf } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'

/** @returns whether the ledger has a newer checkpoint, where anything was found that it could explain */
export async function hasMoved({ files, checkpoint }: Examination, findings: readonly Finding[]): Promise<boolean> {
  if (files === undefined || checkpoint === undefined || !findings.some(mayPass)) return false
  const moved = async () => ((await files.checkpointIfThere())?.size ?? 0) > checkpoint.size
  try {
    if (await moved()) return true
    for (let left = (await isBeingRevoked(files, findings)) ? 40 : 0; left > 0; left -= 1) {
      await setTimeout(50)
      if (await moved()) return true
    }
    return false
  } catch (error) {
    if (!isOurs(error)) throw error
    return false
  }
}

/** What was never recorded stays so; and what a pin or a key says does not change with the ledger. */
const mayPass = ({ code }: Finding): boolean =>
  familyOf(code) !== 'completeness' &&
  !['PIN_MISSING', 'PIN_UNREADABLE', 'KEY_COMPROMISED', 'KEY_UNPROVEN', 'KEY_EXPIRED'].includes(code)

const lately = 60_000

/** A key's own revocation is published right before the entry that tells of it. */
async function isBeingRevoked(files: LedgerFiles, findings: readonly Finding[]): Promise<boolean> {
  for (const { code, file, expected } of findings) {
    if (code !== 'KEY_SUBSTITUTED' && code !== 'KEY_REVOKED') continue
    const [fingerprint] = /[0-9A-F]{40}/.exec(file ?? expected ?? '') ?? []
    const text = fingerprint === undefined ? undefined : await files.certificateByName(fingerprint)
    if (text === undefined) continue
    const { revocation } = await readCertificate(text)
    if (revocation !== undefined && Math.abs(Date.now() - revocation.at.getTime()) < lately) return true
  }
  return false
}
