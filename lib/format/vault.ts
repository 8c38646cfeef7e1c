/**
 * The bytes of the vault: slots (wrapped keys, erasable in place) and sealed disclosures (AES-256-GCM); attachments are in attachment.ts.
 * Pure; the ledger writes them, the evidence reads them, each with I/O of its own.
 */
import { createCipheriv, createDecipheriv, randomBytes, randomFillSync } from 'node:crypto'
import { LedgerError } from '../errors.ts'

/** A slot on disk: version 1 in four bytes, nonce 12, wrapped key 32, tag 16. All zeros: erased or never used. */
export const slotBytes = 64
const nonceBytes = 12
const tagBytes = 16
const keyBytes = 32
const slotVersion = 1

export interface SealedDisclosure {
  readonly slot: number
  /** nonce, ciphertext, tag. */
  readonly box: Uint8Array
}

// Drawn ahead: one call for each nonce costs a third of a sealing. Each is used once.
const nonces = Buffer.alloc(nonceBytes * 512)
let drawn = nonces.length

/** @returns nonce, ciphertext, tag. @param context opens it under no other: which ledger, which place */
export function sealBox(key: Uint8Array, plain: Uint8Array, context: string): Buffer {
  if (drawn === nonces.length) {
    randomFillSync(nonces)
    drawn = 0
  }
  const box = Buffer.allocUnsafe(nonceBytes + plain.length + tagBytes)
  const nonce = box.subarray(0, nonceBytes)
  nonces.copy(nonce, 0, drawn)
  drawn += nonceBytes
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  // A stream mode: as many bytes come out as went in, and none at the end.
  box.set(cipher.update(plain), nonceBytes)
  cipher.final()
  box.set(cipher.getAuthTag(), nonceBytes + plain.length)
  return box
}

/** @throws LedgerError ERR_DISCLOSURE_MISMATCH */
export function openBox(key: Uint8Array, box: Uint8Array, context: string): Buffer {
  if (box.length < nonceBytes + tagBytes) throw unopened(context)
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, nonceBytes), { authTagLength: tagBytes })
  decipher.setAAD(Buffer.from(context)).setAuthTag(box.subarray(box.length - tagBytes))
  try {
    return Buffer.concat([decipher.update(box.subarray(nonceBytes, box.length - tagBytes)), decipher.final()])
  } catch {
    throw unopened(context)
  }
}

const slotContext = (origin: string, slot: number) => `counterfoil slot\n${origin}\n${slot}`
const boxContext = (origin: string, entry: string) => `counterfoil disclosure\n${origin}\n${entry}`

/** A fresh slot: its 64 bytes for the disk, and its key. */
export function createSlot(wrapping: Uint8Array, origin: string, slot: number): { bytes: Buffer; key: Buffer } {
  const key = randomBytes(keyBytes)
  const version = Buffer.alloc(4)
  version.writeUInt32BE(slotVersion)
  return { bytes: Buffer.concat([version, sealBox(wrapping, key, slotContext(origin, slot))]), key }
}

/** @returns the slot's key, or undefined where it was erased. @throws LedgerError ERR_DISCLOSURE_MISMATCH */
export function openSlot(wrapping: Uint8Array, origin: string, slot: number, bytes: Uint8Array): Buffer | undefined {
  if (bytes.every(byte => byte === 0)) return undefined
  const context = slotContext(origin, slot)
  if (bytes.length !== slotBytes || Buffer.from(bytes).readUInt32BE(0) !== slotVersion) throw unopened(context)
  return openBox(wrapping, bytes.subarray(4), context)
}

/** @param entry the id of the entry that the disclosure belongs to: it opens under no other. */
export function sealDisclosure(key: Uint8Array, origin: string, entry: string, encoded: string): Buffer {
  return sealBox(key, Buffer.from(encoded), boxContext(origin, entry))
}

/** @throws LedgerError ERR_DISCLOSURE_MISMATCH */
export function openDisclosure(key: Uint8Array, origin: string, entry: string, box: Uint8Array): string {
  return openBox(key, box, boxContext(origin, entry)).toString()
}

/** One entry's sealed disclosures: a count (uint16), then slot (uint32), length (uint32) and box for each. */
export function encodeSealed(sealed: readonly SealedDisclosure[]): Buffer {
  const count = Buffer.alloc(2)
  count.writeUInt16BE(sealed.length)
  const parts: Uint8Array[] = [count]
  for (const { slot, box } of sealed) {
    const head = Buffer.alloc(8)
    head.writeUInt32BE(slot, 0)
    head.writeUInt32BE(box.length, 4)
    parts.push(head, box)
  }
  return Buffer.concat(parts)
}

/** Reads one entry's sealed disclosures at `at`. @returns them and where the next entry's begin. */
export function decodeSealed(bytes: Uint8Array, at = 0): { sealed: SealedDisclosure[]; end: number } {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const need = (end: number) => {
    if (end > view.length) throw new LedgerError('ERR_LEDGER_CORRUPT', 'sealed disclosures are cut short')
  }
  need(at + 2)
  const count = view.readUInt16BE(at)
  const sealed: SealedDisclosure[] = []
  let end = at + 2
  for (let i = 0; i < count; i += 1) {
    need(end + 8)
    const slot = view.readUInt32BE(end)
    const length = view.readUInt32BE(end + 4)
    need(end + 8 + length)
    sealed.push({ slot, box: view.subarray(end + 8, end + 8 + length) })
    end += 8 + length
  }
  return { sealed, end }
}

const unopened = (context: string) =>
  new LedgerError('ERR_DISCLOSURE_MISMATCH', 'a sealed value does not open: another key, or it was altered', {
    context: context.split('\n')[0],
  })
