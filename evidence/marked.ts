/**
 * Entries of a kind, found without parsing those of others: RFC 8785 writes it so and no other
 * way; where it stands in a text, parsing tells.
 */
import type { Kind } from '../lib/format/entry.ts'

/** @param kind or `key-r`, with which the kinds of entries about keys begin */
export const markOf = (kind: Kind | 'key-r'): Buffer =>
  Buffer.from(kind === 'key-r' ? '"kind":"key-r' : `"kind":"${kind}"`)

/** @param bytes of an entry, or of a bundle of them */
export const isMarked = ({ buffer, byteOffset, byteLength }: Uint8Array, mark: Buffer): boolean =>
  Buffer.from(buffer, byteOffset, byteLength).includes(mark)
