/** Recordings as a bundle has them: which file each lies in, and how it is told from others. Pure. */
import type { EntryOf } from '../lib/format/entry.ts'

// Media type -> what its file is called, so that players of others know it.
const suffixes: Readonly<Record<string, string>> = { 'application/x-asciicast': 'cast' }

/** The file in a bundle that holds an attachment's bytes, where it was asked for. */
export const recordingFile = ({ attachment, type }: Pick<EntryOf<'attachment'>, 'attachment' | 'type'>): string =>
  `recordings/${attachment}.${suffixes[type] ?? 'bin'}`
