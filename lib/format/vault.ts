/**
 * The bytes of the vault: slots (wrapped keys, erasable in place) and sealed disclosures (AES-256-GCM); attachments are in attachment.ts.
 * Pure; the ledger writes them, the evidence reads them, each with I/O of its own.
 */
import { createCipheriv, createDecipheriv, hash, randomBytes, randomFillSync } from 'node:crypto'
import { LedgerError } from '../errors.ts'

/**
 * A slot on disk: four bytes of head, nonce 12, wrapped key 32, tag 16. All zeros: erased or never used. Head: the byte 2 and the id of
 * the wrapping key; or the number 1, as long as no wrapping key had an id.
 */
export const slotBytes = 64
const nonceBytes = 12
const tagBytes = 16
const keyBytes = 32
const headBytes = 4
const slotVersion = 2
const firstVersion = Buffer.of(0, 0, 0, 1)

/** Sealed disclosures of one entry, in bytes. Those of a bundle are read as one: whoever opens or verifies a ledger must be able to. */
export const longestSealed = 1024 * 1024

export interface SealedDisclosure {
  readonly slot: number
  /** nonce, ciphertext, tag; empty once it was erased. */
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

const boxContext = (origin: string, entry: string) => `counterfoil disclosure\n${origin}\n${entry}`

/** Which wrapping key it is, in six hex digits that tell nothing else of it. */
export const wrappingKeyId = (wrapping: Uint8Array): string =>
  hash('sha256', Buffer.concat([Buffer.from('counterfoil wrapping key\n'), wrapping]), 'hex').slice(0, 6)

/** A slot's key, wrapped: its 64 bytes for the disk. */
export function wrapSlot(wrapping: Uint8Array, origin: string, slot: number, key: Uint8Array): Buffer {
  const head = Buffer.concat([Buffer.of(slotVersion), Buffer.from(wrappingKeyId(wrapping), 'hex')])
  return Buffer.concat([head, sealBox(wrapping, key, slotContext(origin, slot, head))])
}

/** A fresh slot: its 64 bytes for the disk, and its key. */
export function createSlot(wrapping: Uint8Array, origin: string, slot: number): { bytes: Buffer; key: Buffer } {
  const key = randomBytes(keyBytes)
  return { bytes: wrapSlot(wrapping, origin, slot, key), key }
}

export const isErased = (slot: Uint8Array): boolean => slot.every(byte => byte === 0)

/** @returns the id of the key that it is wrapped under; undefined where it is erased, or of version 1 and does not say */
export function wrappedUnder(slot: Uint8Array): string | undefined {
  return slot[0] === slotVersion ? Buffer.from(slot.subarray(1, headBytes)).toString('hex') : undefined
}

/** @returns the slot's key, or undefined where it was erased. @throws LedgerError ERR_DISCLOSURE_MISMATCH */
export function openSlot(wrapping: Uint8Array, origin: string, slot: number, bytes: Uint8Array): Buffer | undefined {
  if (isErased(bytes)) return undefined
  const head = Buffer.from(bytes.subarray(0, headBytes))
  const context = slotContext(origin, slot, head)
  if (bytes.length !== slotBytes || (head[0] !== slotVersion && !head.equals(firstVersion))) throw unopened(context)
  const under = wrappedUnder(bytes)
  if (under !== undefined && under !== wrappingKeyId(wrapping)) {
    throw new LedgerError('ERR_DISCLOSURE_MISMATCH', `wrapped under another key of the vault (${under}), or altered`, {
      under,
    })
  }
  return openBox(wrapping, bytes.subarray(headBytes), context)
}

/** What the wrapping is bound to: in version 2 also to which key it says that it is of. */
const slotContext = (origin: string, slot: number, head: Buffer) =>
  head[0] === slotVersion
    ? `counterfoil slot 2\n${origin}\n${slot}\n${head.toString('hex')}`
    : `counterfoil slot\n${origin}\n${slot}`

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

/**
 * @param sealed of as many entries as there are
 * @returns the same with the ciphertexts of those slots taken out, their places kept; undefined where there were none
 */
export function withoutCiphertext(sealed: Uint8Array, slots: ReadonlySet<number>): Buffer | undefined {
  const entries: Buffer[] = []
  let changed = false
  for (let at = 0; at < sealed.length; ) {
    const one = decodeSealed(sealed, at)
    at = one.end
    const kept = one.sealed.map(each => {
      if (each.box.length === 0 || !slots.has(each.slot)) return each
      changed = true
      return { slot: each.slot, box: new Uint8Array() }
    })
    entries.push(encodeSealed(kept))
  }
  return changed ? Buffer.concat(entries) : undefined
}

const unopened = (context: string) =>
  new LedgerError('ERR_DISCLOSURE_MISMATCH', 'a sealed value does not open: another key, or it was altered', {
    context: context.split('\n')[0],
  })
