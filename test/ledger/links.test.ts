/**
 * Symbolic links in a ledger's directory, laid by who writes there and has no key: what they lead to is never written, cut or removed.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import {
  attachingFolder,
  attachmentFile,
  segmentFile,
  slotsInFile,
  tileWidth,
  vaultBundle,
} from '../../lib/format/layout.ts'
import { decodeSealed } from '../../lib/format/vault.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { destroy } from '../../lib/ledger/erasure.ts'
import { createAnew, replaceFiles } from '../../lib/ledger/files.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openNewest } from '../../lib/ledger/rollover.ts'
import { splitSealed } from '../../lib/ledger/stored-tiles.ts'
import { attachedOf, shownPart } from '../support/cut-recording.ts'
import {
  allEntries,
  crashImage,
  fileDigests,
  kindsOf,
  ledgerOptions,
  settled,
  temporaryDirectory,
} from '../support/directory-ledger.ts'
import { counsel, erasableLedger, erased, erasure, session, verified } from '../support/erasable-ledger.ts'

/** Closed in order. */
async function closed(): Promise<DirectoryOptions> {
  const options = ledgerOptions()
  const ledger = await openDirectoryLedger(options)
  await ledger.append([settled()])
  await ledger.close()
  return options
}

/** A file of the same user's, that is none of the ledger's. @returns its path, and that it is as it was */
function elsewhere(): { path: string; expectUntouched: () => void } {
  const path = join(temporaryDirectory(), 'authorized_keys')
  writeFileSync(path, 'SECRET\n')
  return { path, expectUntouched: () => expect(readFileSync(path, 'utf8')).toBe('SECRET\n') }
}

function lay(directory: string, name: string, target: string): void {
  mkdirSync(dirname(join(directory, name)), { recursive: true })
  rmSync(join(directory, name), { recursive: true, force: true })
  symlinkSync(target, join(directory, name))
}

const refused = (file: string) => ({ code: 'ERR_LEDGER_CORRUPT', data: { file } })
const epochOf = ({ directory }: DirectoryOptions) => Number(readFileSync(join(directory, 'epoch'), 'utf8'))
const segmentOf = ({ directory }: DirectoryOptions) =>
  segmentFile(parseCheckpoint(readFileSync(join(directory, 'checkpoint'))).size)

describe('a link in the directory of a ledger', () => {
  it.each(['LOCK', 'a segment'])('where %s is, is refused, and nothing is written', async where => {
    const options = await closed()
    const { path, expectUntouched } = elsewhere()
    const name = where === 'LOCK' ? 'LOCK' : segmentOf(options)
    lay(options.directory, name, path)
    const before = fileDigests(options.directory)
    await expect(openDirectoryLedger(options)).rejects.toMatchObject(refused(basename(name)))
    expectUntouched()
    const { LOCK: _, ...left } = fileDigests(options.directory)
    const { LOCK: __, ...found } = before
    expect(left).toEqual(found)
    rmSync(join(options.directory, name))
    await (await openDirectoryLedger(options)).close()
  })

  it('where a file is written aside, or a torn tail is kept, is taken away, and so is what a kill left there', async () => {
    const options = await closed()
    const [aside, torn] = [elsewhere(), elsewhere()]
    lay(options.directory, 'epoch.tmp', aside.path)
    lay(options.directory, `wal/torn-${epochOf(options) + 1}`, torn.path)
    writeFileSync(join(options.directory, segmentOf(options)), '\nssh-ed25519 AAAA of an intruder\n')
    writeFileSync(join(options.directory, 'checkpoint.tmp'), 'half a check')
    const ledger = await openDirectoryLedger(options)
    expect(kindsOf(await allEntries(ledger))).toContain('recovered')
    await ledger.close()
    aside.expectUntouched()
    torn.expectUntouched()
    expect(existsSync(join(options.directory, 'checkpoint.tmp'))).toBe(false)
    expect(lstatSync(join(options.directory, `wal/torn-${epochOf(options)}`)).isFile()).toBe(true)
  })

  it.each([
    ...['wal', 'tile', 'checkpoint.d', 'keys', 'snapshot', 'vault/slots', attachingFolder, 'anchors/unrecorded'],
  ])('where the folder %s is, is refused, whatever it leads to', async name => {
    const options = await closed()
    const outside = temporaryDirectory()
    const own = join(options.directory, name)
    if (existsSync(own)) renameSync(own, join(outside, 'moved'))
    else mkdirSync(join(outside, 'moved'))
    lay(options.directory, name, join(outside, 'moved'))
    const before = fileDigests(outside)
    await expect(openDirectoryLedger(options)).rejects.toMatchObject(refused(basename(name)))
    expect(fileDigests(outside)).toEqual(before)
  })

  it.each(['series', 'series/2'])('where %s is, is refused by who opens the newest of a series', async name => {
    const options = await closed()
    const outside = temporaryDirectory()
    lay(options.directory, name, outside)
    const opening = openNewest(options, { entries: 1 }, openDirectoryLedger)
    await expect(opening).rejects.toMatchObject(refused(basename(name)))
    expect(readdirSync(outside)).toEqual([])
  })

  it('that comes while the ledger is open stops it before a tile is written or removed there', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    const { path, expectUntouched } = elsewhere()
    await ledger.append(Array.from({ length: 300 }, () => settled()))
    lay(options.directory, 'tile/entries/000.p', dirname(path))
    await expect(ledger.publish()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE', cause: refused('000.p') })
    await ledger.close()
    expectUntouched()
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
  })

  it('where a recording was that a crash cut, is refused', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const writer = await ledger.attach(attachedOf)
    for (let i = 0; i < 3; i += 1) await writer.write(shownPart(i))
    const image = crashImage(options)
    await writer.close()
    await ledger.close()
    const { path, expectUntouched } = elsewhere()
    lay(image.directory, attachmentFile(writer.id), path)
    await expect(openDirectoryLedger(image)).rejects.toMatchObject(refused(writer.id))
    expectUntouched()
  })

  it('by which the operator names the directory itself, or one above it, is followed', async () => {
    const options = await closed()
    const link = join(temporaryDirectory(), 'ledger')
    symlinkSync(options.directory, link)
    await (await openDirectoryLedger({ ...options, directory: link })).close()
  })
})

it('a file that is created anew is nobody else’s, and replaces what is there only by its name', async () => {
  const folder = temporaryDirectory()
  const { path, expectUntouched } = elsewhere()
  symlinkSync(path, join(folder, 'aside'))
  symlinkSync(path, join(folder, 'place'))
  await (await createAnew(join(folder, 'aside'), 0o600)).close()
  await replaceFiles(folder, [['place', 'new']])
  expect(lstatSync(join(folder, 'aside')).isFile()).toBe(true)
  expect(readFileSync(join(folder, 'place'), 'utf8')).toBe('new')
  expectUntouched()
})

describe('in the place of what is to be erased', () => {
  const inTheWay = (name: string) => ({
    code: 'ERR_LEDGER_CORRUPT',
    message: expect.stringMatching(`^${name} in the ledger's directory is no (folder|file) of its own`),
    data: { file: name },
  })
  const recordingsOf = (directory: string) =>
    readdirSync(join(directory, 'vault/attachments'), { recursive: true, withFileTypes: true }).filter(one =>
      one.isFile(),
    )
  const ciphertextsOf = (directory: string) => {
    const bundle = readFileSync(join(directory, vaultBundle(0)))
    return splitSealed(bundle, tileWidth).flatMap(one => decodeSealed(one).sealed.filter(({ box }) => box.length > 0))
  }

  it.each(['a link', 'a file'])('%s has an erasure refused before it is said; without it, it goes on', async what => {
    const at = await erasableLedger()
    const { directory } = at.options
    const folder = recordingsOf(directory)[0]!.parentPath
    const name = `vault/attachments/${basename(folder)}`
    const aside = join(temporaryDirectory(), 'aside')
    renameSync(folder, aside)
    if (what === 'a link') lay(directory, name, aside)
    else writeFileSync(folder, '')
    writeFileSync(join(directory, 'vault/attachments/.directory'), 'of a desktop')
    const ledger = await openDirectoryLedger(at.options)
    await expect(ledger.erase!(erasure({ of: counsel }))).rejects.toMatchObject(inTheWay(name))
    expect(kindsOf(await allEntries(ledger))).not.toContain('erasure')
    expect(readdirSync(aside)).toHaveLength(1)
    rmSync(folder)
    renameSync(aside, folder)
    await ledger.erase!(erasure({ scope: 'session', of: session }))
    await ledger.close()
    expect(recordingsOf(directory).map(one => one.name)).toEqual(['.directory'])
  })

  // biome-ignore format: a table
  it.each([
    ['vault/entries/900',          '/nowhere'],
    ['vault/entries/900',          '900'],
    ['vault/entries/900',          '/etc/hostname'],
    ['vault/entries/x001',         '/'],
    ['vault/entries/900.p',        '900.p'],
    [attachmentFile('0190b0a0-0000-7000-8000-00000000bbbb'), '/nowhere'],
    [attachmentFile('0190b0a0-0000-7000-8000-00000000bbbb'), '0190b0a0-0000-7000-8000-00000000bbbb'],
  ])('the link %s to %s has it refused too, and nothing else', async (name, target) => {
    const at = await erasableLedger()
    const { directory } = at.options
    lay(directory, name, target)
    const ledger = await openDirectoryLedger(at.options)
    await expect(ledger.erase!(erasure())).rejects.toMatchObject(inTheWay(name))
    await ledger.append([settled()])
    rmSync(join(directory, name))
    await ledger.erase!(erasure())
    await ledger.close()
    expect((await verified(at)).verdict).toBe('OK')
  })

  it('a file that is none of the ledger’s keeps nothing from being erased', async () => {
    const at = await erasableLedger()
    const { directory } = at.options
    writeFileSync(join(directory, 'vault/entries/900'), 'garbage')
    mkdirSync(join(directory, 'vault/attachments/00'), { recursive: true })
    symlinkSync('x', join(directory, 'vault/attachments/00/x'))
    await erased(at, erasure())
    await (await openDirectoryLedger(at.options)).close()
    expect((await verified(at)).verdict).toBe('OK')
  })

  it.each(['vault/attachments/FREE', 'vault/entries/000.p', 'vault/entries/900'])(
    '%s, a link that comes once an erasure was said, has all else destroyed, and is named',
    async place => {
      const { options } = await erasableLedger()
      const { directory } = options
      const used = recordingsOf(directory).map(one => basename(one.parentPath))
      const name = place.replace('FREE', used[0] === '00' ? '01' : '00')
      lay(directory, name, temporaryDirectory())
      expect(ciphertextsOf(directory)).not.toEqual([])
      const all = new Set(Array.from({ length: slotsInFile }, (_, i) => i))
      await expect(destroy(directory, all)).rejects.toMatchObject(inTheWay(name))
      expect(recordingsOf(directory)).toEqual([])
      expect(ciphertextsOf(directory)).toEqual([])
    },
  )
})
