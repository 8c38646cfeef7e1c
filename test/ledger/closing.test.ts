/** What is still under way when a ledger is closed or stopped: none of it touches a file any more once the lock is given up. */
import { promises as fs, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { attachingFolder, segmentFile, slotsInFile } from '../../lib/format/layout.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { AttachmentWriter, Draft } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { Segment } from '../../lib/ledger/segment.ts'
import { attachedOf, shownPart } from '../support/cut-recording.ts'
import {
  allEntries,
  crashImage,
  exchangeId,
  ledgerOptions,
  settled,
  temporaryDirectory,
} from '../support/directory-ledger.ts'
import { customer, erasableLedger, erasure, principal, session, verified } from '../support/erasable-ledger.ts'

const unavailable = { name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' }

describe('an erasure that a ledger is closed during', () => {
  it('is over before the lock is given up, and was not done', async () => {
    const at = await erasableLedger()
    const ledger = await openDirectoryLedger(at.options)
    for (let i = 0; i < 4; i += 1) await ledger.append(Array.from({ length: 3000 }, () => settled()))
    let isOver = false
    const erased = ledger.erase!(erasure()).catch((error: unknown) => error)
    void erased.finally(() => {
      isOver = true
    })
    await ledger.close()
    expect(isOver).toBe(true)
    expect(await erased).toMatchObject(unavailable)
    const again = await openDirectoryLedger(at.options)
    await again.append([settled()])
    // As a kill leaves it: every frame is in its place.
    const image = await openDirectoryLedger(crashImage(at.options))
    expect((await allEntries(image)).filter(({ entry }) => entry.kind === 'erasure')).toEqual([])
    await image.close()
    await again.close()
    expect((await verified(at)).verdict).toBe('OK')
  })

  it('leaves no note of itself where the ledger was stopped by an error', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await ledger.append([principal(customer)])
    for (let i = 0; i < 4; i += 1) await ledger.append(Array.from({ length: 3000 }, () => settled()))
    const erased = ledger.erase!(erasure()).catch((error: unknown) => error)
    await replacedLock(options)
    await expect(ledger.append([settled()])).rejects.toMatchObject(unavailable)
    expect(await erased).toMatchObject(unavailable)
    expect(readdirSync(join(options.directory, 'vault'))).not.toContain('erasing')
    await ledger.close()
  })
})

/** Somebody without any key makes another one of it: the ledger stops when it next writes. */
async function replacedLock({ directory }: DirectoryOptions): Promise<void> {
  rmSync(join(directory, 'LOCK'))
  writeFileSync(join(directory, 'LOCK'), '')
}

describe('recordings that begin', () => {
  it('have their slots before anything is waited for, and are over before the lock is given up', async () => {
    let open: () => void = () => undefined
    const opened = new Promise<void>(resolve => {
      open = resolve
    })
    let asked = 0
    const encrypt = async (bytes: Uint8Array) => {
      asked += 1
      await opened
      return bytes
    }
    const options = ledgerOptions({ readers: { fingerprints: ['A'.repeat(40)], encrypt } })
    const ledger = await openDirectoryLedger(options)
    const batches = () =>
      readdirSync(join(options.directory, 'vault/slots'), { recursive: true, encoding: 'utf8' }).length
    const before = batches()
    const over: string[] = []
    const attaching = Array.from({ length: slotsInFile + 1 }, async (_, n) => {
      const of = { ...attachedOf.of, exchange: exchangeId() }
      const writer = await ledger.attach({ slot: `principal:${n}`.padEnd(32, '-'), of })
      over.push('begun')
      return writer
    })
    await expect.poll(batches).toBeGreaterThan(before)
    expect(asked).toBe(attaching.length)
    const closing = ledger.close().then(() => over.push('closed'))
    open()
    await closing
    expect(over).toHaveLength(attaching.length + 1)
    expect(over.at(-1)).toBe('closed')
    for (const writer of await Promise.all(attaching)) await expect(writer.close()).rejects.toMatchObject(unavailable)
    await expect(ledger.attach(attachedOf)).rejects.toMatchObject(unavailable)
  })
})

describe('a recording that goes on', () => {
  it.each([
    ['when its ledger is closed', false],
    ['when its ledger was stopped, and another process has it', true],
  ])('%s: nothing more is written to it', async (_, isStopped) => {
    const at = await erasableLedger()
    const ledger = await openDirectoryLedger(at.options)
    const writer = await ledger.attach(attachedOf)
    for (let i = 0; i < 2; i += 1) await writer.write(shownPart(i))
    if (isStopped) {
      await replacedLock(at.options)
      await expect(ledger.append([settled()])).rejects.toMatchObject(unavailable)
    } else {
      await ledger.close()
    }
    const next = await openDirectoryLedger(at.options)
    const cuts = (await allEntries(next)).filter(({ entry }) => entry.kind === 'attachment-cut')
    expect(cuts).toMatchObject([{ entry: { attachment: writer.id, chunks: 1 } }])
    for (let i = 0; i < 4; i += 1) await expect(writer.write(shownPart(i))).rejects.toMatchObject(unavailable)
    await expect(writer.close()).rejects.toMatchObject(unavailable)
    await ledger.close()
    await next.close()
    expect((await verified(at)).verdict).toBe('OK')
  })

  it.each([
    ['short', 1, 1],
    ['long', 4, 3],
  ])(
    'to its end, %s, and is not spoken of within a minute is said to be cut, and keeps nothing from being erased',
    async (_, parts, chunks) => {
      let ahead = -120_000
      const at = await erasableLedger(undefined, { clock: { now: () => Date.now() + ahead } })
      const ledger = await openDirectoryLedger(at.options)
      const [writer, other] = [await ledger.attach(attachedOf), await ledger.attach(attachedOf)]
      for (let i = 0; i < parts; i += 1) for (const one of [writer, other]) await one.write(shownPart(i))
      const speaks = async (one: AttachmentWriter, more: Partial<Draft> = {}) => {
        const { id, salt, sealed: _, ...closed } = await one.close()
        const said = { kind: 'attachment', attachment: id, ...attachedOf.of, ...closed } as const
        const draft = { ...said, disclose: { contentSalt: salt! }, slot: attachedOf.slot, ...more }
        return ledger.append([draft as Draft])
      }
      await expect(speaks(writer, { type: 'two words' })).rejects.toMatchObject({ code: 'ERR_ENTRY_MALFORMED' })
      await speaks(other)
      const erases = () => ledger.erase!(erasure({ scope: 'session', of: session }))
      await expect(erases()).rejects.toThrow('is being written')
      ahead += 60_000
      await erases()
      const told = (await allEntries(ledger)).filter(({ entry }) => entry.kind === 'attachment-cut')
      expect(told).toMatchObject([{ entry: { attachment: writer.id, chunks } }])
      await expect(speaks(writer)).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
      await ledger.close()
      expect((await verified(at)).verdict).toBe('OK')
    },
  )

  it('and could not be written is said to be cut, and keeps nothing from being erased', async () => {
    const at = await erasableLedger()
    const ledger = await openDirectoryLedger(at.options)
    const writer = await ledger.attach(attachedOf)
    for (let i = 0; i < 2; i += 1) await writer.write(shownPart(i))
    const other = await ledger.attach(attachedOf)
    const folder = join(at.options.directory, attachingFolder)
    await fs.rename(folder, `${folder}.away`)
    writeFileSync(folder, '')
    await expect(
      (async () => {
        for (let i = 0; i < 2; i += 1) await other.write(shownPart(i))
      })(),
    ).rejects.toMatchObject(unavailable)
    rmSync(folder)
    await fs.rename(`${folder}.away`, folder)
    const path = join(at.options.directory, 'vault/attachments')
    expect(readdirSync(path).length).toBeGreaterThan(0)
    await expect(ledger.erase!(erasure({ scope: 'session', of: session }))).rejects.toThrow('is being written')
    const { id, salt, ...closed } = await writer.close()
    const said = { kind: 'attachment', attachment: id, ...attachedOf.of, ...closed } as const
    await ledger.append([{ ...said, disclose: { contentSalt: salt! }, slot: attachedOf.slot }])
    await ledger.erase!(erasure({ scope: 'session', of: session }))
    await ledger.close()
  })
})

it('a segment that is closed is written no more, whose number its descriptor has by then', async () => {
  const path = join(temporaryDirectory(), segmentFile(0))
  await fs.mkdir(dirname(path), { recursive: true })
  const segment = await Segment.open(path, 0)
  await segment.close()
  await expect(segment.write(Buffer.from('x'), true)).rejects.toThrow('closed')
  await expect(segment.sync()).rejects.toThrow('closed')
})
