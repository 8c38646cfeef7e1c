/**
 * Erasing, in steps that may be taken again: what is about to be erased is noted; the entry that says so is published; the keys are
 * overwritten, the ciphertexts deleted; the note is removed. Whatever a kill leaves undone, the next opening does: no key is gone before
 * a published entry says so, and what the entry says is done at the latest when the ledger is open again.
 */
import { constants, promises as fs } from 'node:fs'
import { dirname, join } from 'node:path'
import { isOurs, LedgerError } from '../errors.ts'
import { attachmentHeadBytes, decodeAttachmentHead } from '../format/attachment.ts'
import { type Json, parseJson, utf8 } from '../format/canonical.ts'
import { decodeDisclosure, disclosureDigest } from '../format/disclosure.ts'
import type { Entry } from '../format/entry.ts'
import { attachmentFile, erasingFile, slotFile, slotsInFile } from '../format/layout.ts'
import { type ScopeName, Scopes, scopeName } from '../format/scope.ts'
import { decodeSealed, type SealedDisclosure, slotBytes, withoutCiphertext } from '../format/vault.ts'
import type { Begun } from './attaching.ts'
import {
  irregular,
  namesIn,
  openOwn,
  openRegular,
  readIfThere,
  readRegular,
  replaceFiles,
  requireOwnFolder,
  syncFolder,
  writeWhole,
} from './files.ts'

/** The most slots that one entry names; more take more entries. */
export const slotsInEntry = 4096

export interface WithSealed {
  readonly index: number
  readonly entry: Entry
  readonly sealed: Uint8Array
}

export interface SlotsParts {
  /** What an entry discloses in one place, encoded; undefined where its key is gone. @throws LedgerError where it does not open */
  readonly open: (entry: Entry, place: SealedDisclosure) => Promise<string | undefined>
  /** The slot of an attachment; undefined where its file is gone. */
  readonly attached: (id: string) => Promise<number | undefined>
  /** Whether an attachment opens under the key of a slot, or that is gone. @param sealed digest of the whole file, where its key is with its readers */
  readonly isUnder: (id: string, slot: number, sealed: string | undefined) => Promise<boolean>
  /** Whether a slot is the one that another name has now: it is that name's alone, whatever its entries leave open. */
  readonly isInUse: (slot: number) => boolean
  /** Whether a writer may still decide what it asked an approval for: until then it cannot be told whose that is. */
  readonly mayDecide: (writer: string) => boolean
  /** Attachments that are being written. */
  readonly written: () => Iterable<Omit<Begun, 'slot'>>
  /** Those that were noted, and that no entry speaks of. */
  readonly begun: () => Promise<readonly Begun[]>
}

/**
 * Every slot under which anything of that scope is sealed, in whatever opening of the ledger. What the vault says of that is no word of the
 * ledger's: a slot counts where its key opens what the entry commits to, and each disclosure is to have one.
 * @param entries all of them, in order; read up to three times
 * @throws LedgerError ERR_LEDGER_CORRUPT where the vault holds something else
 * @throws LedgerError ERR_LEDGER_MISSING where an attachment of that scope is being written
 * @throws LedgerError ERR_LEDGER_INCONSISTENT where a slot is shared with what is of another scope: it cannot be erased alone
 */
export async function slotsOf(
  name: ScopeName,
  entries: () => AsyncIterable<WithSealed>,
  { open, attached, isUnder, isInUse, mayDecide, written, begun }: SlotsParts,
): Promise<Set<number>> {
  const scopes = new Scopes()
  const destroyed = new Destroyed(scopes)
  for await (const { index, entry } of entries()) {
    scopes.learn(entry)
    destroyed.learn(index, entry)
  }
  const [own, others, perhaps] = [new Set<number>(), new Set<number>(), new Set<number>()]
  for await (const one of entries()) {
    const { index, entry, sealed } = one
    const belongs = scopes.of(entry) === name
    const isOpen = !belongs && scopes.mayBe(entry, name)
    if (isOpen && mayDecide(entry.writer)) continue
    if (!belongs && !isOpen) {
      for (const { slot } of decodeSealed(sealed).sealed) others.add(slot)
      continue
    }
    const { slots, values } = await placesOf(one, destroyed, open)
    for (const slot of slots) (belongs ? own : perhaps).add(slot)
    if (belongs && entry.kind === 'attachment-cut' && entry.under !== undefined) own.add(entry.under)
    if (!belongs || entry.kind !== 'attachment') continue
    const slot = await attached(entry.attachment)
    if (slot === undefined || slots.includes(slot)) continue
    const digest = values.get('sealed')
    if (!(await isUnder(entry.attachment, slot, typeof digest === 'string' ? digest : undefined))) throw altered(index)
    own.add(slot)
  }
  // That others are under one of these too is to be as true.
  const shared = new Set([...own, ...perhaps].filter(slot => others.has(slot)))
  if (shared.size > 0) {
    for await (const one of entries()) {
      if (decodeSealed(one.sealed).sealed.some(({ slot }) => shared.has(slot))) await placesOf(one, destroyed, open)
    }
  }
  const isOwn = ({ of, writer }: Omit<Begun, 'slot'>) =>
    scopes.of({ kind: 'attachment', ...of, writer } as Entry) === name
  const unspoken = await begun()
  for (const one of written()) if (isOwn(one)) throw beingWritten(name, one.writer)
  // Whoever wrote these is gone: the next opening would tell of them.
  for (const one of unspoken) if (isOwn(one)) own.add(one.slot)
  for (const slot of perhaps) if (!others.has(slot) && !isInUse(slot)) own.add(slot)
  if ([...own].some(slot => others.has(slot))) {
    throw new LedgerError('ERR_LEDGER_INCONSISTENT', 'what is to be erased is sealed under a key that others share', {
      of: name,
    })
  }
  return own
}

/** Which slots entries say were erased, so that their keys are missed by nobody. */
class Destroyed {
  readonly #scopes: Scopes
  readonly #bySlot = new Map<number, { readonly index: number; readonly name: ScopeName }[]>()
  #carried = 0

  constructor(scopes: Scopes) {
    this.#scopes = scopes
  }

  learn(index: number, entry: Entry): void {
    if (entry.kind === 'continued') this.#carried = index + entry.carried
    if (entry.kind !== 'erasure') return
    for (const slot of entry.slots) {
      const by = this.#bySlot.get(slot) ?? []
      this.#bySlot.set(slot, by)
      by.push({ index, name: scopeName(entry) })
    }
  }

  /** Whether what an entry disclosed under that slot was erased. */
  has(index: number, entry: Entry, slot: number): boolean {
    return this.#bySlot.get(slot)?.some(by => by.index > index && this.#scopes.mayBe(entry, by.name)) === true
  }

  /** Whether what it discloses may have been lost when it was said again; who somebody is was not. */
  mayBeLost(index: number, { kind }: Entry): boolean {
    return index <= this.#carried && kind !== 'principal'
  }
}

/** @throws LedgerError ERR_LEDGER_CORRUPT where that is not what the entry commits to, less what was erased */
async function placesOf(
  { index, entry, sealed }: WithSealed,
  destroyed: Destroyed,
  open: SlotsParts['open'],
): Promise<{ readonly slots: readonly number[]; readonly values: ReadonlyMap<string, Json> }> {
  const wanted = new Set(entry.sd ?? [])
  const places = decodeSealed(sealed).sealed
  const values = new Map<string, Json>()
  for (const place of places) {
    const encoded = await open(entry, place).catch(error => {
      if (!isOurs(error) || error.code !== 'ERR_DISCLOSURE_MISMATCH') throw error
      throw altered(index)
    })
    if (encoded === undefined && destroyed.has(index, entry, place.slot)) continue
    if (encoded === undefined || !wanted.delete(disclosureDigest(encoded))) throw altered(index)
    const { name, value } = decodeDisclosure(encoded)
    values.set(name, value)
  }
  const isWhole = places.length === (entry.sd?.length ?? 0)
  if (!isWhole && !(places.length === 0 && destroyed.mayBeLost(index, entry))) throw altered(index)
  return { slots: places.map(({ slot }) => slot), values }
}

const altered = (index: number) =>
  new LedgerError(
    'ERR_LEDGER_CORRUPT',
    `the vault does not hold what entry ${index} commits to, and nothing was erased: bring vault/ back from a copy, and erase then`,
    { index },
  )

export const beingWritten = (of: ScopeName, writer: string): LedgerError =>
  new LedgerError(
    'ERR_LEDGER_MISSING',
    `a recording of what is to be erased is being written by ${writer}: wait for its end, or stop that process`,
    { of },
  )

/** What is noted before anything is said: which slots, and how many entries there were. */
export interface BegunErasure {
  readonly slots: readonly number[]
  readonly size: number
}

export async function noteErasure(directory: string, { slots, size }: BegunErasure): Promise<void> {
  await replaceFiles(directory, [[erasingFile, JSON.stringify({ size, slots })]], 'closed')
}

/** @throws LedgerError ERR_LEDGER_CORRUPT */
export async function notedErasure(directory: string): Promise<BegunErasure | undefined> {
  const bytes = await readIfThere(join(directory, erasingFile))
  if (bytes === undefined) return undefined
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
  const { slots, size } = (parseJson(utf8(bytes)) ?? {}) as { slots?: unknown; size?: unknown }
  if (isCount(size) && Array.isArray(slots) && slots.every(isCount)) return { slots, size: size as number }
  throw new LedgerError('ERR_LEDGER_CORRUPT', `${erasingFile} is not what this ledger writes`, { file: erasingFile })
}

/** Overwrites the keys first: from then on nothing opens, whatever is left of it. */
export async function destroy(directory: string, slots: ReadonlySet<number>): Promise<void> {
  await overwriteSlots(directory, slots)
  for await (const { path, slot } of attachments(directory)) {
    if (!slots.has(slot)) continue
    await fs.unlink(path)
    await syncFolder(dirname(path))
  }
  await deleteCiphertexts(directory, 'vault/entries', slots)
}

export async function removeNote(directory: string): Promise<void> {
  await fs.rm(join(directory, erasingFile), { force: true })
  await syncFolder(dirname(join(directory, erasingFile)))
}

/** In place, and synced: a file that is replaced would leave the old one's blocks as they were. */
async function overwriteSlots(directory: string, slots: ReadonlySet<number>): Promise<void> {
  const byFile = new Map<string, number[]>()
  for (const slot of slots) byFile.set(slotFile(slot), [...(byFile.get(slotFile(slot)) ?? []), slot])
  for (const [path, own] of byFile) {
    requireOwnFolder(directory, dirname(path))
    const file = await openOwn(join(directory, path), constants.O_RDWR)
    try {
      for (const slot of own) {
        await writeWhole(file, Buffer.alloc(slotBytes), (slot % slotsInFile) * slotBytes)
      }
      await file.sync()
    } finally {
      await file.close()
    }
  }
}

/** Every one there is, those too that no entry came to speak of. A file that is no attachment (planted, or torn) is under no slot. */
async function* attachments(directory: string): AsyncGenerator<{ path: string; slot: number }> {
  const root = dirname(dirname(join(directory, attachmentFile('00'))))
  for (const folder of await namesIn(root)) {
    requireOwnFolder(root, folder)
    for (const name of await namesIn(join(root, folder))) {
      const path = join(root, folder, name)
      const slot = await slotOfAttachment(path).catch(unlessOurs)
      if (slot !== undefined) yield { path, slot }
    }
  }
}

function unlessOurs(error: unknown): undefined {
  if (!isOurs(error)) throw error
}

/** @returns undefined where there is no such file, or not as much of it as would tell. @throws LedgerError where it is none */
export async function slotOfAttachment(path: string): Promise<number | undefined> {
  const file = await openRegular(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  try {
    const head = Buffer.alloc(attachmentHeadBytes)
    const read = await file?.read(head, 0, head.length, 0)
    return read?.bytesRead === head.length ? decodeAttachmentHead(head) : undefined
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EISDIR' ? irregular(path) : error
  } finally {
    await file?.close()
  }
}

async function deleteCiphertexts(directory: string, folder: string, slots: ReadonlySet<number>): Promise<void> {
  const found = await fs.readdir(join(directory, folder), { withFileTypes: true }).catch(() => [])
  for (const one of found) {
    const path = `${folder}/${one.name}`
    if (one.isDirectory()) await deleteCiphertexts(directory, path, slots)
    else if (/^\d{1,3}$/.test(one.name)) {
      const found = await readRegular(join(directory, path)).catch(unlessOurs)
      const bytes = found === undefined ? undefined : withoutCiphertext(found, slots)
      if (bytes !== undefined) await replaceFiles(directory, [[path, bytes]], 'closed')
    }
  }
}
