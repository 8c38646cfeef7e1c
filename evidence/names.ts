/**
 * That nobody has two names: whoever gave a pseudonym a second one made acts of one person look like another's. It needs the vault's key.
 */
import { createHash } from 'node:crypto'
import type { Json } from '../lib/format/canonical.ts'
import type { Entry } from '../lib/format/entry.ts'
import type { Finding } from './finding.ts'

export class Names {
  /** By pseudonym: the first that opens, as a digest. */
  readonly #known = new Map<string, { readonly index: number; readonly digest: string }>()

  /** In index order. @param values what is disclosed of the entry, and opened */
  learn(index: number, entry: Entry, values: Readonly<Record<string, Json>>): Finding | undefined {
    if (entry.kind !== 'principal' || !Object.hasOwn(values, 'name')) return undefined
    const digest = createHash('sha256').update(JSON.stringify(values.name)).digest('base64url')
    const known = this.#known.get(entry.subject)
    if (known === undefined) this.#known.set(entry.subject, { index, digest })
    if (known === undefined || known.digest === digest) return undefined
    const what = `entry ${index}, by ${entry.writer}, gives ${entry.subject} another name than entry ${known.index} does`
    return { code: 'ENTRY_REPEATED', what, index }
  }
}
