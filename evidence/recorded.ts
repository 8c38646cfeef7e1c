/** Recordings as a bundle has them: which are in it, and where each lies. Pure. */
import type { EntryOf } from '../lib/format/entry.ts'
import type { Row } from './view-columns.ts'
import type { Disclosed, Views } from './views.ts'

// Media type -> what its file is called, so that players of others know it.
const suffixes: ReadonlyMap<string, string> = new Map([['application/x-asciicast', 'cast']])

/** The file in a bundle that holds an attachment's bytes, where it was asked for. */
export const recordingFile = ({ attachment, type }: Pick<EntryOf<'attachment'>, 'attachment' | 'type'>): string =>
  `recordings/${attachment}.${suffixes.get(type) ?? 'bin'}`

export interface Included {
  readonly index: number
  readonly entry: EntryOf<'attachment'>
  /** Salt of the commitment to its bytes: whoever may have them has it, and nobody else. */
  readonly salt: string
  readonly file: string
}

/** Those whose bytes are in a bundle: that their salt is disclosed says so. */
export const included = (entries: readonly Disclosed[]): Included[] =>
  entries.flatMap(({ index, entry, values }) => {
    if (entry.kind !== 'attachment' || typeof values.contentSalt !== 'string') return []
    return [{ index, entry, salt: values.contentSalt, file: recordingFile(entry) }]
  })

/** Fingerprints of who alone can open it: of what is encrypted to others, where that is disclosed. */
export const sealedTo = ({ sealedTo: to }: Disclosed['values']): string[] =>
  Array.isArray(to) ? to.filter((one): one is string => typeof one === 'string' && /^[0-9A-F]{40}$/.test(one)) : []

export interface RecordingSummary {
  readonly listed: number
  /** Whose bytes are in the bundle. */
  readonly here: number
  /** That a crash cut. */
  readonly cut: number
  /** Encrypted to others: how many, and to whom, by fingerprint. */
  readonly sealed: number
  readonly readers: readonly string[]
}

/** Of what lies between the two checkpoints. */
export function summaryOf({ recordings }: Views, openingSize: number): RecordingSummary {
  const rows = recordings.filter(row => Number(row.index) >= openingSize)
  const to = rows.map(row => row.sealed_to as readonly string[])
  return {
    listed: rows.length,
    here: rows.filter(row => String(row.location).startsWith('recordings/')).length,
    cut: rows.filter(row => row.cut === true).length,
    sealed: to.filter(readers => readers.length > 0).length,
    readers: [...new Set(to.flat())].sort(),
  }
}

export const recordingColumns = [
  ...['index', 'time', 'exchange', 'session', 'part', 'type', 'content', 'bytes', 'chunks'],
  ...['first', 'last', 'location', 'cut', 'cut_by', 'sealed_to'],
] as const

/** Every recording between the two checkpoints; `first` and `last` are the entries of its operation's decision and outcome. */
export function recordingRows({ recordings, operations }: Views, openingSize: number): Row[] {
  const spans = new Map(operations.map(row => [row.exchange, row]))
  return recordings
    .filter(row => Number(row.index) >= openingSize)
    .map(row => {
      const span = spans.get(row.exchange ?? null)
      return { ...row, first: span?.index ?? null, last: span?.outcome_index ?? null }
    })
}
