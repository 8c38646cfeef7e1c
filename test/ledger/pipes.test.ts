/** Named pipes and sockets in the place of a ledger's files, laid by who writes there and has no key: nothing waits for them. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { attachingFolder, checkpointFile, segmentFile, slotFile } from '../../lib/format/layout.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { readIfThere } from '../../lib/ledger/files.ts'
import type { Stored } from '../../lib/ledger/ledger.ts'
import { allEntries, crashImage, ledgerOptions, settled, temporaryDirectory } from '../support/directory-ledger.ts'
import { erasableLedger, erased, erasure, verified } from '../support/erasable-ledger.ts'

function lay(directory: string, name: string): void {
  mkdirSync(dirname(join(directory, name)), { recursive: true })
  rmSync(join(directory, name), { force: true })
  execFileSync('mkfifo', [join(directory, name)])
}

const refused = (name: string) => ({
  code: 'ERR_LEDGER_CORRUPT',
  data: { file: expect.stringContaining(basename(name)) },
})

describe('a named pipe', () => {
  it.each([
    checkpointFile,
    'LOCK',
    'epoch',
    slotFile(0),
    'vault/erasing',
    'vault/rotating',
    segmentFile(0),
    `${attachingFolder}/0190b0a0-0000-7000-8000-00000000bbbb`,
  ])('in the place of %s keeps the ledger from being opened, and is named', async name => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await ledger.append([settled()])
    const image = crashImage(options)
    await ledger.close()
    lay(image.directory, name)
    await expect(openDirectoryLedger(image)).rejects.toMatchObject(refused(name))
  })

  it('where an open ledger looks stops it; none of what it held is lost', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    const [epoch, aside] = ['epoch', 'aside'].map(name => join(options.directory, name))
    renameSync(epoch!, aside!)
    lay(options.directory, 'epoch')
    const [{ entry }] = (await ledger.append([settled()])) as [Stored]
    await expect(ledger.publish()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE', cause: refused('epoch') })
    await ledger.close()
    renameSync(aside!, epoch!)
    const again = await openDirectoryLedger(options)
    expect((await allEntries(again)).map(({ entry: { id } }) => id)).toContain(entry.id)
    await again.close()
  })

  it('or a folder among what is erased is no recording and holds no ciphertext: all there is goes', async () => {
    const at = await erasableLedger()
    const { directory } = at.options
    lay(directory, 'vault/attachments/zz/0')
    mkdirSync(join(directory, 'vault/attachments/zz/1'))
    lay(directory, 'vault/entries/900')
    await erased(at, erasure())
    for (const name of ['vault/attachments/zz', 'vault/entries/900']) rmSync(join(directory, name), { recursive: true })
    expect((await verified(at)).verdict).toBe('OK')
  })

  it('in the place of a recording is not waited for by who reads it', async () => {
    const { options } = await erasableLedger()
    const ledger = await openDirectoryLedger(options)
    const recordings = join(options.directory, 'vault/attachments')
    const [file] = readdirSync(recordings, { recursive: true, withFileTypes: true }).filter(each => each.isFile())
    lay(file!.parentPath, file!.name)
    const reading = ledger.attachment(file!.name)[Symbol.asyncIterator]()
    await expect(reading.next()).rejects.toMatchObject(refused(file!.name))
    await ledger.close()
  })
})

it('a socket and a device are no files either', async () => {
  const path = join(temporaryDirectory(), 'socket')
  const server = createServer().listen(path)
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  for (const at of [path, '/dev/zero']) await expect(readIfThere(at)).rejects.toMatchObject(refused(at))
})
