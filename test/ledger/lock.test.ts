import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { lockDirectory } from '../../lib/ledger/lock.ts'
import { compiledScript } from '../support/compiled.ts'
import { allEntries, crashImage, ledgerOptions, settled, temporaryDirectory } from '../support/directory-ledger.ts'

describe('the lock of a ledger', () => {
  it('refuses a second opening in the same process, and names it', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await expect(openDirectoryLedger(options)).rejects.toMatchObject({
      code: 'ERR_LEDGER_LOCKED',
      data: { pid: process.pid },
    })
    await ledger.close()
    await (await openDirectoryLedger(options)).close()
  })

  it('is held no more once it is released', () => {
    const lock = lockDirectory(temporaryDirectory())
    lock.requireHeld()
    lock.release()
    expect(() => lock.requireHeld()).toThrow('the ledger is closed')
  })

  it('refuses while another process holds it, and lets in when that one is killed', async () => {
    const directory = temporaryDirectory()
    const script = compiledScript(new URL('children/hold-lock.ts', import.meta.url))
    const child = spawn(process.execPath, [script, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    expect(() => lockDirectory(directory)).toThrow(
      expect.objectContaining({ code: 'ERR_LEDGER_LOCKED', data: { pid: child.pid } }),
    )
    child.kill('SIGKILL')
    await once(child, 'exit')
    const held = lockDirectory(directory)
    expect(readFileSync(join(directory, 'LOCK'), 'utf8')).toBe(`${process.pid}\n`)
    held.release()
  })

  it.each([
    ['removed', (path: string) => rmSync(path)],
    ['replaced', (path: string) => renameSync(`${path}.other`, path)],
    ['moved away', (path: string) => renameSync(path, `${path}.away`)],
  ])('whose file is %s keeps nobody out: nothing more is acknowledged by who had it', async (_, take) => {
    const options = ledgerOptions()
    const path = join(options.directory, 'LOCK')
    const first = await openDirectoryLedger({ ...options, writer: 'first' })
    await first.append([settled()])
    writeFileSync(`${path}.other`, '')
    take(path)
    const second = await openDirectoryLedger({ ...options, writer: 'second' })
    const [stored] = await second.append([settled()])
    for (const level of ['durable', 'written'] as const) {
      await expect(first.append([settled()], { level })).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    }
    await first.close().catch(() => undefined)
    const image = crashImage(options)
    await second.close()
    const found = await openDirectoryLedger(image)
    expect(await allEntries(found)).toContainEqual(stored)
    await found.close()
  })

  it('is seen by flock itself', () => {
    const directory = temporaryDirectory()
    const held = lockDirectory(directory)
    const attempt = () => spawnSync('flock', ['-xn', join(directory, 'LOCK'), 'true']).status
    expect(attempt()).toBe(1)
    held.release()
    expect(attempt()).toBe(0)
  })

  it('says which program is missing where there is no flock', () => {
    const path = process.env.PATH
    onTestFinished(() => {
      process.env.PATH = path
    })
    process.env.PATH = temporaryDirectory()
    expect(() => lockDirectory(temporaryDirectory())).toThrow(
      expect.objectContaining({ code: 'ERR_PACKAGE_MISSING', message: expect.stringContaining('flock') }),
    )
  })
})
