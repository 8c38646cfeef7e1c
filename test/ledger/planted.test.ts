/**
 * Who writes into a ledger's directory, and has no key: nothing of theirs is taken for the ledger's, and so none of it is ever signed.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { decodeFrame } from '../../lib/format/frame.ts'
import {
  attachingFile,
  attachingFolder,
  checkpointFile,
  entryBundle,
  hashTile,
  segmentFile,
  vaultBundle,
} from '../../lib/format/layout.ts'
import { macKey } from '../../lib/format/mac.ts'
import { Frontier } from '../../lib/format/merkle.ts'
import { encodeBundle } from '../../lib/format/tile.ts'
import { encodeSealed, wrappingKeyId } from '../../lib/format/vault.ts'
import { lookInto, openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { rewrap } from '../../lib/ledger/rewrap.ts'
import { attachedOf, shownPart } from '../support/cut-recording.ts'
import { allEntries, crashImage, fileDigests, kindsOf, ledgerOptions, settled } from '../support/directory-ledger.ts'
import { goingOn, type Planted, plantFrame, withChecksum } from '../support/planted-log.ts'

const wrappingKey = new Uint8Array(32).fill(9)
const rewrapped = (options: DirectoryOptions) => ({ ...options, wrappingKey, formerWrappingKey: options.wrappingKey })
const intrudersKey = new Uint8Array(32).fill(66)
const intruders = macKey(intrudersKey, 'crm.example/counterfoil', 'wal')
const released = [{ kind: 'hold-released', hold: 'h-1', by: 'officer'.padEnd(22, '-') }, { kind: 'stopped' }]

/** Closed in order, so that nothing is left in its write-ahead log. */
async function closed(more: Partial<DirectoryOptions> = {}): Promise<DirectoryOptions> {
  const options = ledgerOptions(more)
  const ledger = await openDirectoryLedger(options)
  await ledger.append([settled()])
  await ledger.close()
  return options
}

/** Killed with frames in its write-ahead log, and where each ends. */
async function killed(more: Partial<DirectoryOptions> = {}): Promise<{ options: DirectoryOptions; ends: number[] }> {
  const options = ledgerOptions({ publishMs: 1e6, heartbeatMs: 1e6, ...more })
  const ledger = await openDirectoryLedger(options)
  for (let i = 0; i < 3; i += 1) await ledger.append([settled()])
  const image = crashImage(options)
  await ledger.close()
  const ends = [0]
  for (const frame of framesOf(readFileSync(join(image.directory, segmentFile(0))))) {
    ends.push(ends.at(-1)! + frame.length)
  }
  return { options: image, ends }
}

function framesOf(log: Buffer): Buffer[] {
  const frames: Buffer[] = []
  let at = 0
  for (let next = decodeFrame(log, at); next !== undefined; next = decodeFrame(log, at)) {
    frames.push(log.subarray(at, next.end))
    at = next.end
  }
  return frames
}

/** Neither opened, nor looked into, nor changed. */
async function expectRefused(options: DirectoryOptions, code = 'ERR_LEDGER_CORRUPT'): Promise<void> {
  const { LOCK: _, ...before } = fileDigests(options.directory)
  await expect(openDirectoryLedger(options)).rejects.toMatchObject({ code })
  await expect(lookInto(options)).rejects.toMatchObject({ code })
  const { LOCK: __, ...after } = fileDigests(options.directory)
  expect(after).toEqual(before)
}

describe('a frame that somebody without the key planted', () => {
  it('into a write-ahead log that had nothing is refused; with the key of the vault it would be taken', async () => {
    const options = await closed()
    const planted = goingOn(options.directory, released)
    const path = plantFrame(options.directory, planted, intruders)
    await expectRefused(options)
    // So it is for its MAC that it was refused.
    plantFrame(options.directory, planted, macKey(options.wrappingKey, options.origin, 'wal'))
    const ledger = await openDirectoryLedger(options)
    expect(kindsOf(await allEntries(ledger, planted.size))).toEqual(['hold-released', 'stopped', 'started'])
    await ledger.close()
    expect(existsSync(path)).toBe(false)
  })

  it('with no entries at all, into a directory where a ledger is to be made, is refused', async () => {
    const options = ledgerOptions()
    const nothing = { ...goingOn((await closed()).directory, []), size: 0 }
    writeFileSync(join(options.directory, 'epoch'), '1\n')
    plantFrame(options.directory, { ...nothing, tree: new Frontier() }, intruders)
    await expect(openDirectoryLedger(options)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
    expect(readFileSync(join(options.directory, 'epoch'), 'utf8')).toBe('1\n')
  })

  it('is refused wherever one byte of a genuine one was altered and the checksum made right', async () => {
    const { options, ends } = await killed()
    const path = join(options.directory, segmentFile(0))
    const genuine = readFileSync(path)
    const [from, end] = ends.slice(-2) as [number, number]
    // Epoch, what was known to be durable, an entry, its sealed disclosures, the MAC.
    for (const at of [from + 11, from + 31, from + 80, end - 38, end - 20]) {
      const altered = Buffer.from(genuine)
      altered[at]! ^= 1
      withChecksum(altered.subarray(from, end))
      writeFileSync(path, altered)
      await expectRefused(options)
    }
    writeFileSync(path, genuine)
    await (await openDirectoryLedger(options)).close()
  })

  it('is refused where another ledger made it, under the same key of the vault', async () => {
    const options = await closed()
    const planted = goingOn(options.directory, released)
    plantFrame(options.directory, planted, macKey(options.wrappingKey, 'crm.example/another', 'wal'))
    await expectRefused(options)
  })

  it('is not what tiles can be planted for: a log that begins behind the checkpoint is refused', async () => {
    const options = await closed()
    const planted = goingOn(options.directory, released)
    plantTiles(options.directory, planted)
    const segment = join(options.directory, segmentFile(planted.tree.size))
    mkdirSync(dirname(segment), { recursive: true })
    writeFileSync(segment, '')
    await expectRefused(options)
  })

  it('leaves it to be told that the key of the vault is a wrong one, or that its change is not finished', async () => {
    const { options } = await killed()
    await expectRefused({ ...options, wrappingKey }, 'ERR_DISCLOSURE_MISMATCH')
    await expectRefused({ ...rewrapped(options), formerWrappingKey: intrudersKey }, 'ERR_DISCLOSURE_MISMATCH')
    await rewrap(rewrapped(options), 5)
    await expect(openDirectoryLedger(options)).rejects.toMatchObject({ code: 'ERR_LEDGER_INCONSISTENT' })
  })
})

describe('a genuine frame of the ledger, put back', () => {
  const log = ({ directory }: DirectoryOptions) => join(directory, segmentFile(0))

  it('twice, behind a gap, or where a checkpoint has another, is refused', async () => {
    const { options, ends } = await killed()
    const genuine = readFileSync(log(options)).subarray(0, ends.at(-1))
    const last = genuine.subarray(ends.at(-2))
    const [twice, gap, lost] = [crashImage(options), crashImage(options), crashImage(options)]
    writeFileSync(log(twice), Buffer.concat([genuine, last]))
    await expectRefused(twice)
    writeFileSync(log(gap), Buffer.concat([genuine.subarray(0, ends.at(-3)), last]))
    await expectRefused(gap)
    // It was torn once, and others came in its place, which are signed.
    writeFileSync(log(lost), genuine.subarray(0, ends.at(-2)))
    const ledger = await openDirectoryLedger({ ...lost, publishMs: 1e6, heartbeatMs: 1e6 })
    const since = crashImage(lost)
    await ledger.close()
    writeFileSync(log(since), genuine)
    await expectRefused(since, 'ERR_CHECKPOINT_ROLLBACK')
  })

  it('from another past, at the index that it says, is refused for its root', async () => {
    const { options } = await killed()
    const [one, two] = await Promise.all([0, 1].map(() => anotherPast(crashImage(options))))
    const [own, others] = [one!, two!].map(at => framesOf(readFileSync(log(at))))
    expect(own!.length).toBe(others!.length)
    const last = others!.at(-1)!
    expect(decodeFrame(last, 0)!.frame.first).toBe(decodeFrame(own!.at(-1)!, 0)!.frame.first)
    writeFileSync(log(one!), Buffer.concat([...own!.slice(0, -1), last]))
    await expectRefused(one!)
    writeFileSync(log(one!), Buffer.concat(own!))
    await (await openDirectoryLedger(one!)).close()
  })

  /** Opened and killed again, with two frames behind the checkpoint. */
  async function anotherPast(options: DirectoryOptions): Promise<DirectoryOptions> {
    const ledger = await openDirectoryLedger({ ...options, publishMs: 1e6, heartbeatMs: 1e6 })
    for (let i = 0; i < 2; i += 1) await ledger.append([settled()])
    const image = crashImage(options)
    await ledger.close()
    return image
  }
})

describe('a change of the key of the vault', () => {
  it('takes the write-ahead log and the notes along, wherever a kill comes, and the new key alone opens them then', async () => {
    const options = ledgerOptions({ publishMs: 1e6, heartbeatMs: 1e6, segmentBytes: 900 })
    const ledger = await openDirectoryLedger(options)
    for (let i = 0; i < 8; i += 1) await ledger.append([settled()])
    const writer = await ledger.attach(attachedOf)
    for (let i = 0; i < 3; i += 1) await writer.write(shownPart(i))
    const image = crashImage(options)
    await writer.close()
    await ledger.close()
    const segments = readdirSync(join(image.directory, 'wal'))
    expect(segments.length).toBeGreaterThan(2)
    const notes = readdirSync(join(image.directory, attachingFolder))
    expect(notes).toHaveLength(1)
    const done = crashImage(image)
    await rewrap(rewrapped(done), 3)
    const files = [...segments.map(name => join('wal', name)), attachingFile(notes[0]!)]
    for (let whole = 0; whole <= files.length; whole += 1) {
      // As a kill leaves it: all of the slots, and the first so many of these, are under the new key.
      const cut = crashImage(done)
      for (const path of files.slice(whole)) cpSync(join(image.directory, path), join(cut.directory, path))
      const again = await openDirectoryLedger({ ...rewrapped(image), directory: cut.directory })
      const entries = await allEntries(again)
      const killedAgain = crashImage(cut)
      await again.close()
      expect(kindsOf(entries)).toContain('attachment-cut')
      expect(entries.at(-1)!.entry).toMatchObject({ kind: 'vault-rewrapped', to: wrappingKeyId(wrappingKey) })
      // Frames of before and after are both in its log.
      const opened = await openDirectoryLedger({ ...killedAgain, wrappingKey })
      expect((await allEntries(opened)).slice(0, entries.length)).toEqual(entries)
      await opened.close()
    }
  })

  it('does not take along what somebody planted', async () => {
    const options = await closed()
    plantFrame(options.directory, goingOn(options.directory, released), intruders)
    await expect(openDirectoryLedger(rewrapped(options))).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
    expect(existsSync(join(options.directory, 'vault/rotating'))).toBe(false)
  })
})

describe('a note of a recording that was cut', () => {
  const id = '0190b0a0-0000-7000-8000-00000000beef'
  const note = JSON.stringify({ ...attachedOf.of, size: 0 })

  it.each([
    ['no MAC', note],
    ['a MAC of nothing', `${note}\n${'A'.repeat(43)}\n`],
    ['an empty MAC', `${note}\n\n`],
  ])('that somebody planted with %s is refused, and no entry tells of it', async (_, text) => {
    const options = await closed()
    const { size } = parseCheckpoint(readFileSync(join(options.directory, checkpointFile)))
    const path = join(options.directory, attachingFile(id))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    await expect(openDirectoryLedger(options)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
    rmSync(path)
    const ledger = await openDirectoryLedger(options)
    expect(kindsOf(await allEntries(ledger, size))).toEqual(['started'])
    await ledger.close()
  })

  it('is of the attachment that it is named after', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const writer = await ledger.attach(attachedOf)
    for (let i = 0; i < 3; i += 1) await writer.write(shownPart(i))
    const image = crashImage(options)
    await writer.close()
    await ledger.close()
    const [own] = readdirSync(join(image.directory, attachingFolder))
    cpSync(join(image.directory, attachingFile(own!)), join(image.directory, attachingFile(id)))
    await expect(openDirectoryLedger(image)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
  })
})

/** What the tiles would be, had the entries been published; the checkpoint stays. */
function plantTiles(directory: string, { size, entries, leaves, tree }: Planted): void {
  const own = (path: string) => readFileSync(join(directory, path))
  const put = (path: string, bytes: Uint8Array) => {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), bytes)
  }
  const none = entries.map(() => encodeSealed([]))
  put(hashTile(0, 0, tree.size), Buffer.concat([own(hashTile(0, 0, size)), ...leaves]))
  put(entryBundle(0, tree.size), Buffer.concat([own(entryBundle(0, size)), encodeBundle(entries)]))
  put(vaultBundle(0, tree.size), Buffer.concat([own(vaultBundle(0, size)), ...none]))
}
