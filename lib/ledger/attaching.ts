/**
 * Attachments that are being written: each is noted before its first bytes are on the disk, and no longer once
 * an entry speaks of it. What is still noted when the ledger is opened again was cut: its whole chunks are kept,
 * and an entry says how many there are. A note is authenticated: an entry says nothing that somebody without the
 * key noted. It has the digest of the file's head, and each chunk proves itself: nor does an entry commit to a
 * file that somebody else put in the place of it.
 */
import { createHash } from 'node:crypto'
import { constants, promises as fs } from 'node:fs'
import { dirname, join } from 'node:path'
import { LedgerError } from '../errors.ts'
import {
  type AttachmentHead,
  encodeAttachmentHead,
  isProvenChunk,
  openChunk,
  readAttachment,
  type SealedChunk,
} from '../format/attachment.ts'
import { parseJson } from '../format/canonical.ts'
import type { Entry } from '../format/entry.ts'
import { attachingFile, attachingFolder, attachmentFile } from '../format/layout.ts'
import { type MacKey, macKey } from '../format/mac.ts'
import { check, oneOf, optional, record } from '../format/shape.ts'
import { decodeNote, encodeNote, type Notes } from './authenticated-note.ts'
import { namesIn, openOwn, readRegular, replaceFiles, syncFolder } from './files.ts'
import type { AttachedOf, DraftOf, Stored } from './ledger.ts'

const isId = /^[0-9a-f-]{36}$/

/** As far as it goes. */
export type AttachmentCut = AttachedOf & { readonly writer: string } & Pick<
    DraftOf<'attachment-cut'>,
    'bytes' | 'chunks' | 'file'
  >

/** A key of its own for an attachment, and what its entry discloses: nothing else is ever sealed under it. */
export const ownSlot = (id: string): string => `attachment:${id}`

/** One that no entry speaks of yet. */
export interface Begun {
  readonly id: string
  readonly of: AttachedOf
  /** Who attaches it. */
  readonly writer: string
  /** What it is sealed under, or erased by, whatever its file says of that by now. */
  readonly slot: number
}

export interface Note extends AttachedOf {
  readonly writer: string
  /** Of the ledger: no entry before it speaks of the attachment. */
  readonly size: number
  readonly slot: number
  /** Of the file's head: its version, its slot, and the message to its readers. */
  readonly head: string
}

export const headDigest = (head: Uint8Array): string => createHash('sha256').update(head).digest('base64url')

const noteShape = record({
  ...{ size: 'count', writer: 'word', slot: 'count', head: 'digest' },
  ...{ exchange: 'uuid', session: optional('uuid'), part: oneOf('request', 'response', 'terminal'), type: 'word' },
})

export class Attaching {
  readonly #directory: string
  readonly #key: MacKey
  readonly #noted = new Set<string>()
  readonly #cut = new Map<string, AttachmentCut>()
  #removed: Promise<unknown> = Promise.resolve()

  /** @param key of these notes (format/mac.ts) */
  constructor(directory: string, key: MacKey) {
    this.#directory = directory
    this.#key = key
  }

  async note(id: string, note: Note): Promise<void> {
    this.#noted.add(id)
    await replaceFiles(
      this.#directory,
      [[attachingFile(id), encodeNote(this.#key, id, JSON.stringify(note))]],
      'closed',
    )
  }

  /**
   * To be told of every entry that becomes durable. A note that is left behind for want of time is looked at when the ledger is opened.
   */
  see(entry: Entry): void {
    if (entry.kind !== 'attachment' && entry.kind !== 'attachment-cut') return
    if (this.#noted.delete(entry.attachment)) this.#remove(entry.attachment)
  }

  /** Those that were noted, and of which no entry speaks. */
  async begun(): Promise<readonly Begun[]> {
    const found: Begun[] = []
    for (const id of this.#noted) {
      const note = await this.#read(id).catch(unlessGone)
      if (note === undefined) continue
      const { size: _, head: __, writer, slot, ...of } = note
      found.push({ id, of, writer, slot })
    }
    return found
  }

  /** Waits for what is being removed. */
  async close(): Promise<void> {
    await this.#removed
  }

  /**
   * @param entries durable ones, from an index on. @param key of a slot; undefined where it was erased
   * @returns what the opening is to say of those that were cut; to be called before anything else is attached
   * @throws LedgerError ERR_LEDGER_CORRUPT where a note is none
   */
  async cut(
    origin: string,
    entries: (from: number) => AsyncIterable<Stored>,
    key: (slot: number) => Promise<Uint8Array | undefined>,
  ): Promise<DraftOf<'attachment-cut'>[]> {
    const notes = new Map<string, Note>()
    for (const name of await namesIn(join(this.#directory, attachingFolder))) {
      const note = isId.test(name) ? await this.#read(name) : undefined
      if (note !== undefined) notes.set(name, note)
    }
    if (notes.size === 0) return []
    for await (const { entry } of entries(Math.min(...[...notes.values()].map(({ size }) => size)))) {
      if (entry.kind !== 'attachment' && entry.kind !== 'attachment-cut') continue
      if (notes.delete(entry.attachment)) this.#remove(entry.attachment)
    }
    const drafts: DraftOf<'attachment-cut'>[] = []
    for (const [id, { size: _, slot: __, head, writer, ...of }] of notes) {
      const left = await leave({ directory: this.#directory, origin, id, head }, key)
      drafts.push({ kind: 'attachment-cut', attachment: id, ...of, ...left })
      this.#noted.add(id)
      this.#cut.set(id, { ...of, writer, bytes: left.bytes, chunks: left.chunks, file: left.file })
    }
    return drafts
  }

  /** @returns what is to be said of one that nobody will come to speak of any more; undefined where it is not noted */
  async cutOf(
    id: string,
    origin: string,
    key: (slot: number) => Promise<Uint8Array | undefined>,
  ): Promise<DraftOf<'attachment-cut'> | undefined> {
    const note = this.#noted.has(id) ? await this.#read(id).catch(unlessGone) : undefined
    if (note === undefined) return undefined
    const { size: _, slot: __, head, writer: ___, ...of } = note
    const left = await leave({ directory: this.#directory, origin, id, head }, key)
    return { kind: 'attachment-cut', attachment: id, ...of, ...left }
  }

  /** An entry speaks of it. @returns a function that takes this back */
  takeCut(id: string): () => void {
    const cut = this.#cut.get(id)
    this.#cut.delete(id)
    return () => void (cut !== undefined && this.#cut.set(id, cut))
  }

  /** @returns what the opening found cut, and what of it */
  cutAtOpening(id: string): AttachmentCut | undefined {
    return this.#cut.get(id)
  }

  async #read(id: string): Promise<Note> {
    const file = attachingFile(id)
    try {
      const note = parseJson(decodeNote([this.#key], id, file, await readRegular(join(this.#directory, file))))
      check(noteShape, note)
      return note as unknown as Note
    } catch (cause) {
      if (!(cause instanceof LedgerError)) throw cause
      throw new LedgerError('ERR_LEDGER_CORRUPT', `${file} is not what this ledger writes`, { file }, cause)
    }
  }

  #remove(id: string): void {
    const gone = fs.rm(join(this.#directory, attachingFile(id)), { force: true }).catch(() => undefined)
    this.#removed = Promise.all([this.#removed, gone])
  }
}

export const attachingNotes: Notes = {
  ...{ folder: attachingFolder, use: 'attaching' },
  nameOf: file => (isId.test(file) ? file : undefined),
}

type Left = Pick<DraftOf<'attachment-cut'>, 'bytes' | 'chunks' | 'file' | 'under'>

interface Cut extends Pick<Note, 'head'> {
  readonly directory: string
  readonly origin: string
  readonly id: string
}

/** Keeps the whole chunks of a file that was cut, and takes away what is behind them; all of it where there are none. */
async function leave(cut: Cut, key: (slot: number) => Promise<Uint8Array | undefined>): Promise<Left> {
  const path = join(cut.directory, attachmentFile(cut.id))
  const file = await openOwn(path, constants.O_RDWR).catch(unlessGone)
  try {
    const whole = file === undefined ? undefined : await wholeChunks(file, cut, key)
    if (file === undefined || whole === undefined || whole.chunks === 0) {
      await fs.rm(path, { force: true })
      return { bytes: 0, chunks: 0 }
    }
    const { end, ...left } = whole
    await file.truncate(end)
    await file.sync()
    await syncFolder(dirname(path))
    return left
  } finally {
    await file?.close()
  }
}

/**
 * @returns undefined where the head is not that which was noted. Its digest is of what was judged, whatever lies there a moment later.
 */
async function wholeChunks(
  file: fs.FileHandle,
  cut: Cut,
  key: (slot: number) => Promise<Uint8Array | undefined>,
): Promise<(Left & { readonly end: number }) | undefined> {
  const digest = createHash('sha256')
  const found = { bytes: 0, chunks: 0, end: 0 }
  let under: number | undefined
  try {
    const pieces = file.createReadStream({ start: 0, autoClose: false }) as AsyncIterable<Uint8Array>
    const { head, chunks } = await readAttachment(pieces)
    const encoded = encodeAttachmentHead(head.slot, head.message)
    const slotKey = headDigest(encoded) === cut.head ? await key(head.slot) : undefined
    if (slotKey === undefined) return undefined
    under = head.slot
    digest.update(encoded)
    const isOwn = proverOf(cut, slotKey, head)
    for await (const chunk of chunks) {
      if (!isOwn(found.chunks, chunk)) break
      for (const part of chunk.written) digest.update(part)
      found.bytes += chunk.bytes
      found.chunks += 1
      found.end = chunk.end
    }
  } catch (error) {
    // Cut there, or torn: what was written last need not be what is on the disk.
    if (!(error instanceof LedgerError)) throw error
  }
  return under === undefined ? undefined : { ...found, file: digest.digest('base64url'), under }
}

/**
 * @returns whether a chunk is what this ledger wrote there: it opens under the slot's key or,
 * where that is with its readers, has a MAC by it
 */
function proverOf(cut: Cut, slotKey: Uint8Array, { message }: AttachmentHead) {
  const prover = macKey(slotKey, cut.origin, 'chunk')
  return (index: number, chunk: SealedChunk): boolean =>
    message === undefined
      ? openChunk({ ...cut, key: slotKey }, index, chunk.box).length === chunk.bytes
      : isProvenChunk(prover, cut, index, chunk)
}

/** An entry came to speak of it meanwhile. */
function unlessGone(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
