/**
 * Attachments that are being written: each is noted before its first bytes are on the disk, and no longer once an entry speaks of it. What
 * is still noted when the ledger is opened again was cut: its whole chunks are kept, and an entry says how many there are.
 */
import { createHash } from 'node:crypto'
import { createReadStream, promises as fs } from 'node:fs'
import { dirname, join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { type AttachmentHead, openChunk, readAttachment } from '../format/attachment.ts'
import { parseJson, utf8 } from '../format/canonical.ts'
import type { Entry } from '../format/entry.ts'
import { attachingFile, attachingFolder, attachmentFile } from '../format/layout.ts'
import { check, oneOf, optional, record } from '../format/shape.ts'
import { namesIn, replaceFiles, syncFolder } from './files.ts'
import type { AttachedOf, DraftOf, Stored } from './ledger.ts'

interface Note extends AttachedOf {
  /** Of the ledger: no entry before it speaks of the attachment. */
  readonly size: number
}

const noteShape = record({
  size: 'count',
  ...{ exchange: 'uuid', session: optional('uuid'), part: oneOf('request', 'response', 'terminal'), type: 'word' },
})

export class Attaching {
  readonly #directory: string
  readonly #noted = new Set<string>()
  #removed: Promise<unknown> = Promise.resolve()

  constructor(directory: string) {
    this.#directory = directory
  }

  async note(id: string, note: Note): Promise<void> {
    this.#noted.add(id)
    await replaceFiles(this.#directory, [[attachingFile(id), JSON.stringify(note)]], 'closed')
  }

  /** To be told of every entry that becomes durable. A note that is left behind for want of time is looked at when the ledger is opened. */
  see(entry: Entry): void {
    if (entry.kind !== 'attachment' && entry.kind !== 'attachment-cut') return
    if (this.#noted.delete(entry.attachment)) this.#remove(entry.attachment)
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
      const note = /^[0-9a-f-]{36}$/.test(name) ? await this.#read(name) : undefined
      if (note !== undefined) notes.set(name, note)
    }
    if (notes.size === 0) return []
    for await (const { entry } of entries(Math.min(...[...notes.values()].map(({ size }) => size)))) {
      if (entry.kind !== 'attachment' && entry.kind !== 'attachment-cut') continue
      if (notes.delete(entry.attachment)) this.#remove(entry.attachment)
    }
    const drafts: DraftOf<'attachment-cut'>[] = []
    for (const [id, { size: _, ...of }] of notes) {
      const left = await leave(this.#directory, { origin, id }, key)
      drafts.push({ kind: 'attachment-cut', attachment: id, ...of, ...left })
      this.#noted.add(id)
    }
    return drafts
  }

  async #read(id: string): Promise<Note> {
    const file = attachingFile(id)
    try {
      const note = parseJson(utf8(await fs.readFile(join(this.#directory, file))))
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

type Left = Pick<DraftOf<'attachment-cut'>, 'bytes' | 'chunks' | 'file' | 'under'>

/** Keeps the whole chunks of a file that was cut, and takes away what is behind them; all of it where there are none. */
async function leave(
  directory: string,
  place: { readonly origin: string; readonly id: string },
  key: (slot: number) => Promise<Uint8Array | undefined>,
): Promise<Left> {
  const path = join(directory, attachmentFile(place.id))
  const { head, ends, bytes } = await wholeChunks(path, place, key)
  const end = ends.at(-1)
  if (end === undefined || head === undefined) {
    await fs.rm(path, { force: true })
    return { bytes: 0, chunks: 0 }
  }
  const file = await fs.open(path, 'r+')
  try {
    await file.truncate(end)
    await file.sync()
  } finally {
    await file.close()
  }
  await syncFolder(dirname(path))
  const digest = createHash('sha256')
  for await (const piece of createReadStream(path)) digest.update(piece)
  return { bytes, chunks: ends.length, file: digest.digest('base64url'), under: head.slot }
}

async function wholeChunks(
  path: string,
  place: { readonly origin: string; readonly id: string },
  key: (slot: number) => Promise<Uint8Array | undefined>,
) {
  let head: AttachmentHead | undefined
  const ends: number[] = []
  let bytes = 0
  try {
    const attachment = await readAttachment(place, createReadStream(path) as AsyncIterable<Uint8Array>)
    head = attachment.head
    // With a message in the head each chunk has a digest, which has been looked at; without one the key is here to try.
    const slotKey = head.message === undefined ? await key(head.slot) : undefined
    for await (const { box, end, bytes: plain } of attachment.chunks) {
      if (head.message === undefined) {
        if (slotKey === undefined) break
        openChunk({ ...place, key: slotKey }, ends.length, box)
      }
      ends.push(end)
      bytes += plain
    }
  } catch (error) {
    // Cut there, or torn: what was written last need not be what is on the disk.
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (!(error instanceof LedgerError) && !isAbsent) throw error
  }
  return { head, ends, bytes }
}
