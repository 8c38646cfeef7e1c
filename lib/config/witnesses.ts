/** Who cosigns the ledger's checkpoints, read: each a verifier key and where it is asked. */
import { duration } from '../duration.ts'
import { isOurs } from '../errors.ts'
import { type Cosigner, parseCosignerKey } from '../format/cosignature.ts'
import type { WitnessSettings } from './config.ts'
import type { OwnLedger } from './schema.ts'
import type { Path } from './yaml.ts'

type Written = NonNullable<OwnLedger['witnesses']>
type Report = (path: Path, message: string, hint?: string) => void

/** @returns those in which nothing is wrong; what is, is reported */
export function readWitnesses({ list, quorum, every }: Written, report: Report): WitnessSettings {
  const at = (...path: (string | number)[]) => ['ledger', 'witnesses', ...path]
  const read = list.flatMap(({ key, url }, i) => {
    const cosigner = cosignerOf(key)
    if (cosigner === undefined) {
      report(
        at('list', i, 'key'),
        "not a witness's verifier key",
        'NAME+8 hex digits+base64, of type 4, as its operator prints it',
      )
    } else if (list.findIndex(other => other.key === key) < i) {
      report(at('list', i, 'key'), 'the same witness twice')
    }
    if (!isPlace(url)) report(at('list', i, 'url'), 'not an http or https address, without credentials or query')
    return cosigner === undefined ? [] : [{ cosigner, url }]
  })
  if ((quorum ?? 1) > list.length) report(at('quorum'), `${quorum} of ${list.length} witnesses can never cosign`)
  const everyMs = duration(every ?? '10m')
  if (everyMs < 1000) report(at('every'), 'more often than once a second')
  return { list: read, quorum: quorum ?? list.length, everyMs }
}

function cosignerOf(key: string): Cosigner | undefined {
  try {
    return parseCosignerKey(key)
  } catch (error) {
    if (!isOurs(error)) throw error
    return undefined
  }
}

/** What a witness is told is public, and what it answers is signed: plain http loses nothing. */
export function isPlace(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, username, password, search, hash } = new URL(url)
  return /^https?:$/.test(protocol) && [username, password, search, hash].every(part => part === '')
}
