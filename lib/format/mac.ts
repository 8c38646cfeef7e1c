/**
 * What an opening acts on though nothing of it is signed yet (frames of the write-ahead log, notes of attachments, of
 * anchors and of a change of the vault's key, chunks that it cannot open) is authenticated, and so is who shares a
 * ledger: HMAC-SHA-256 (RFC 2104) under a key that HKDF-SHA-256 (RFC 5869) derives from the key of the vault, for a
 * chunk from that of its slot, with the ledger's origin as its salt where there is one, one for each use. Whoever can
 * write into the directory, and has no key, makes none of it. Pure.
 */
import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto'

export const macBytes = 32

const labels = {
  wal: 'counterfoil wal v1',
  attaching: 'counterfoil attaching v1',
  leader: 'counterfoil leader v1',
  chunk: 'counterfoil chunk v1',
  anchor: 'counterfoil anchor v1',
  rotating: 'counterfoil rotating v1',
} as const

/** Opaque, so that a key of the vault is not taken for it. */
export interface MacKey {
  readonly mac: KeyObject
}

/** @param key of the vault; for `chunk` of a slot; 32 bytes */
export function macKey(key: Uint8Array, origin: string, use: keyof typeof labels): MacKey {
  const derived = Buffer.from(hkdfSync('sha256', key, Buffer.from(origin), labels[use], macBytes))
  return { mac: createSecretKey(derived) }
}

/** @returns 32 bytes */
export const macOf = ({ mac }: MacKey, bytes: Uint8Array): Buffer => createHmac('sha256', mac).update(bytes).digest()

/** For what takes a key as it is: TLS. */
export const rawKey = ({ mac }: MacKey): Buffer => mac.export()

/** Whether it is the MAC of these bytes under any of the keys. */
export const holds = (keys: readonly MacKey[], bytes: Uint8Array, mac: Uint8Array): boolean =>
  mac.length === macBytes && keys.some(key => timingSafeEqual(macOf(key, bytes), mac))
