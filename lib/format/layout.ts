/** Where things lie in a ledger directory: C2SP tlog-tiles paths, and ours beside them. Forward slashes, relative. */
import { LedgerError } from '../errors.ts'

/** Hashes in a full tile, and entries in a full bundle (tlog-tiles: tile height 8). */
export const tileWidth = 256
export const tileHeight = 8

/** tlog-tiles, "Merkle Tree": 1234067 is x001/x234/067. */
export function tileNumber(n: number): string {
  if (!Number.isSafeInteger(n) || n < 0) throw new LedgerError('ERR_PROOF_INVALID', `no tile ${n}`)
  let path = String(n % 1000).padStart(3, '0')
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`
  }
  return path
}

/** @param width entries in it; 256 is a full tile, less a partial one with the suffix `.p/W`. */
const tiled = (folder: string, n: number, width: number) =>
  `${folder}/${tileNumber(n)}${width === tileWidth ? '' : `.p/${width}`}`

export const tileFolder = 'tile'
export const hashTile = (level: number, n: number, width = tileWidth): string =>
  tiled(`${tileFolder}/${level}`, n, width)
export const entryBundle = (n: number, width = tileWidth): string => tiled(`${tileFolder}/entries`, n, width)
export const vaultBundle = (n: number, width = tileWidth): string => tiled('vault/entries', n, width)

/** Slots lie 64 in a file, so that one small synced write makes a batch of them. */
export const slotsInFile = 64
export const slotFile = (slot: number): string => `vault/slots/${tileNumber(Math.floor(slot / slotsInFile))}`

/** What is being erased, until it is. */
export const erasingFile = 'vault/erasing'

/** Whether the key of the vault is being changed. */
export const rotatingFile = 'vault/rotating'

/** Attachments lie by the last two digits of their id, the random end: 256 folders. */
export const attachmentFile = (id: string): string => `vault/attachments/${id.slice(-2)}/${id}`

/** An attachment that is being written, once bytes of it are on the disk, until an entry speaks of it. */
export const attachingFolder = 'vault/attaching'
export const attachingFile = (id: string): string => `${attachingFolder}/${id}`

export const checkpointFile = 'checkpoint'
export const sealFile = (size: number): string => `checkpoint.d/${size}`
export const snapshotFolder = 'snapshot'
export const snapshotFile = (size: number): string => `${snapshotFolder}/${size}`
export const segmentFile = (firstIndex: number): string => `wal/${String(firstIndex).padStart(16, '0')}.seg`
/** The certificate of the OpenPGP key that seals now. */
export const certificateFile = 'keys/seal.pub.asc'
/** The certificate of one that seals or has sealed; revoked, where it was. */
export const certificateOf = (fingerprint: string): string => `keys/${fingerprint}.asc`

/** How many hashes the tile `n` of `level` holds in a tree of `size` leaves: 0 to 256. */
export function tileFill(size: number, level: number, n: number): number {
  const hashes = Math.floor(size / tileWidth ** level)
  return Math.max(0, Math.min(tileWidth, hashes - n * tileWidth))
}

/** The ledgers of a series lie in the first one's directory: what follows it has a number from 2 on. */
export const seriesFolder = 'series'
export const memberFolder = (number: number): string => (number === 1 ? '.' : `${seriesFolder}/${number}`)
