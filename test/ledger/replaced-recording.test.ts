/**
 * A recording that a crash cut, and that somebody without any key replaced before the ledger
 * was opened again: nothing of theirs is signed.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { encodeAttachmentHead, encodeChunk, encodeContentKey, readAttachment } from '../../lib/format/attachment.ts'
import { attachingFile, attachingFolder, attachmentFile } from '../../lib/format/layout.ts'
import { macKey } from '../../lib/format/mac.ts'
import { openDirectoryLedger, openForKeys } from '../../lib/ledger/directory.ts'
import type { DirectoryLedger } from '../../lib/ledger/directory-ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { attachedOf, shownPart } from '../support/cut-recording.ts'
import { allEntries, crashImage } from '../support/directory-ledger.ts'
import { type Erasable, erasableLedger, erasure, session, verified } from '../support/erasable-ledger.ts'
import { reader } from '../support/reader.ts'

/** Noted, for two chunks of it are on the disk, and under a key of its own. */
async function begunBy(ledger: DirectoryLedger) {
  const writer = await ledger.attachments.begin({ writer: 'web-1', slot: undefined, of: attachedOf.of, isTold: true })
  for (let i = 0; i < 4; i += 1) await writer.write(shownPart(i))
  return { id: writer.id, close: () => writer.close() }
}

interface Cut extends Erasable {
  readonly id: string
  readonly path: string
}

/** Killed while a session was recorded, with two whole chunks on the disk. */
async function cutRecording(more: Partial<DirectoryOptions> = {}): Promise<Cut> {
  const at = await erasableLedger(undefined, more)
  const ledger = await openDirectoryLedger(at.options)
  const writer = await ledger.attach(attachedOf)
  for (let i = 0; i < 4; i += 1) await writer.write(shownPart(i))
  const options = crashImage(at.options)
  await writer.close()
  await ledger.close()
  return { ...at, options, id: writer.id, path: join(options.directory, attachmentFile(writer.id)) }
}

/** Opened again, and closed. @returns what it says of the recording */
async function told({ options, id }: Cut) {
  const ledger = await openDirectoryLedger(options)
  const entries = await allEntries(ledger)
  await ledger.close()
  return entries.flatMap(({ entry }) => (entry.kind === 'attachment-cut' && entry.attachment === id ? [entry] : []))
}

/** What somebody makes who knows no key: to readers of their own, under a slot and a MAC of their own. */
function forged({ options: { origin }, id }: Cut, slot: number): { head: Buffer; chunk: Buffer } {
  const [key, salt] = [randomBytes(32), 'salt']
  const message = encodeContentKey({ origin, attachment: id, key, salt })
  const prover = macKey(randomBytes(32), origin, 'chunk')
  const chunk = encodeChunk({ origin, id, key }, 0, Buffer.from('rm -rf /var/backups\n'), prover)
  return { head: encodeAttachmentHead(slot, message), chunk }
}

const nothingLeft = { attachment: expect.any(String), bytes: 0, chunks: 0 }

describe.each(['the vault', 'readers'])('a recording under the key of %s, cut by a crash', whose => {
  const made = async () => cutRecording(whose === 'readers' ? { readers: (await reader()).readers } : {})

  it('is not replaced by another version, slot or message: none of it is left, and its session can be erased', async () => {
    const at = await made()
    const { head, chunk } = forged(at, 0)
    writeFileSync(at.path, Buffer.concat([head, chunk]))
    expect(await told(at)).toEqual([expect.objectContaining(nothingLeft)])
    expect(existsSync(at.path)).toBe(false)
    const ledger = await openDirectoryLedger(at.options)
    const { by, approvers } = erasure()
    const person = (subject: string) => ({ kind: 'principal', subject, type: 'person' }) as const
    await ledger.append([person(by), person(approvers[0]!)])
    const [stored] = await ledger.erase!(erasure({ scope: 'session', of: session }))
    expect(stored!.entry.kind).toBe('erasure')
    await ledger.close()
    expect((await verified(at)).verdict).toBe('OK')
  })

  it('is kept up to a chunk that somebody else put there, or that stands in another place', async () => {
    const at = await made()
    const genuine = readFileSync(at.path)
    const { head, chunks } = await readAttachment(Readable.from([genuine]))
    const own: Buffer[] = []
    for await (const { written } of chunks) own.push(Buffer.concat(written))
    const [first, second] = own
    const begin = genuine.subarray(0, head.length)
    const { chunk } = forged(at, head.slot)
    const cases = [
      [[first!, chunk], 1],
      [[chunk, second!], 0],
      [[second!, first!], 0],
    ] as const
    for (const [parts, left] of cases) {
      const image = { ...at, options: crashImage(at.options) }
      const path = join(image.options.directory, attachmentFile(at.id))
      writeFileSync(path, Buffer.concat([begin, ...parts]))
      const [entry] = await told(image)
      expect(entry).toMatchObject({ chunks: left })
      if (left > 0) expect(entry!.file).toBe(createHash('sha256').update(readFileSync(path)).digest('base64url'))
      expect((await verified(image)).verdict).toBe('OK')
    }
  })

  it('has a note with the digest of its head that nobody without the key changes', async () => {
    const at = await made()
    const [id] = readdirSync(join(at.options.directory, attachingFolder))
    const path = join(at.options.directory, attachingFile(id!))
    const { head, chunk } = forged(at, 0)
    const other = createHash('sha256').update(head).digest('base64url')
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"head":"[^"]*"/, `"head":"${other}"`))
    writeFileSync(at.path, Buffer.concat([head, chunk]))
    await expect(openDirectoryLedger(at.options)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
  })
})

it('a recording that nobody came to speak of is erased by what was noted, whatever its file says by then', async () => {
  const at = await erasableLedger()
  const ledger = await openForKeys(at.options)
  const { id, ...writer } = await begunBy(ledger)
  await writer.close()
  ledger.attachments.forget(id)
  const path = join(at.options.directory, attachmentFile(id))
  const genuine = readFileSync(path)
  const { head } = await readAttachment(Readable.from([genuine]))
  writeFileSync(path, Buffer.concat([encodeAttachmentHead(0, undefined), genuine.subarray(head.length)]))
  const [stored] = await ledger.erase(erasure({ scope: 'session', of: session }))
  expect(stored!.entry).toMatchObject({ slots: expect.arrayContaining([head.slot]) })
  await ledger.close()
})

it('a recording to readers is whole to an opening that changes the key of the vault', async () => {
  const at = await cutRecording({ readers: (await reader()).readers })
  const options = { ...at.options, wrappingKey: randomBytes(32), formerWrappingKey: at.options.wrappingKey }
  expect(await told({ ...at, options })).toMatchObject([{ chunks: 2 }])
})
