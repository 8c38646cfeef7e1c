/** Where the words of others for a ledger's checkpoints are kept: a file for each, under the size that it is for and its own digest. */

/** What vouches, and how its file ends: a note with cosignatures, an RFC 3161 response, a git tag object. */
const endings = { witness: 'note', timestamp: 'tsr', git: 'tag' } as const
export type AnchorKind = keyof typeof endings

export const anchorFolder = 'anchors'
/** Names what the ledger's writer has still to make an entry of: kept while no ledger was open, or by another process. */
export const unrecordedFolder = `${anchorFolder}/unrecorded`

/** @param digest SHA-256 of the file, base64url as entries have it */
export const anchorFile = (kind: AnchorKind, size: number, digest: string): string =>
  `${anchorFolder}/${size}/${Buffer.from(digest, 'base64url').toString('hex')}.${endings[kind]}`

/** @returns what the name of a file says: its kind, and its digest in base64url; undefined where it is none of these */
export function parseAnchorName(name: string): { readonly kind: AnchorKind; readonly digest: string } | undefined {
  const [, hex, ending] = /^([0-9a-f]{64})\.([a-z]+)$/.exec(name) ?? []
  const kind = Object.entries(endings).find(([, known]) => known === ending)?.[0] as AnchorKind | undefined
  if (hex === undefined || kind === undefined) return undefined
  return { kind, digest: Buffer.from(hex, 'hex').toString('base64url') }
}
