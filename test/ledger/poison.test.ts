import { spawnSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { compiledScript } from '../support/compiled.ts'
import { allEntries, ledgerOptions, settled, temporaryDirectory } from '../support/directory-ledger.ts'
import { findTool } from '../support/interop.ts'

const script = compiledScript(new URL('children/append-until-error.ts', import.meta.url))

interface Said {
  readonly acknowledged: readonly (readonly [number, string])[]
  readonly codes: readonly string[]
  readonly later: readonly string[]
}

/** @param shell runs the child as `$0 "$@"`, under whatever limit it sets before */
function appendUntilError(
  shell: readonly string[],
  options: DirectoryOptions,
  directory: string,
  env: Readonly<Record<string, string>> = {},
): Said {
  const key = options.noteKey.export({ type: 'pkcs8', format: 'pem' })
  const [program, ...before] = shell
  const command = [process.execPath, script, JSON.stringify({ directory, key })]
  const child = spawnSync(program!, [...before, ...command], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, ...env },
  })
  expect(child.stderr).not.toContain('Error')
  return JSON.parse(child.stdout) as Said
}

async function expectKept(options: DirectoryOptions, { acknowledged, codes, later }: Said): Promise<void> {
  expect(new Set([...codes, ...later])).toEqual(new Set(['ERR_LEDGER_UNAVAILABLE']))
  expect(later).toHaveLength(3)
  expect(acknowledged.length).toBeGreaterThan(10)
  const ledger = await openDirectoryLedger(options)
  const entries = await allEntries(ledger)
  for (const [index, id] of acknowledged) expect(entries[index]?.entry.id).toBe(id)
  await ledger.append([settled()])
  await ledger.close()
}

/** A file system of one megabyte and a half, in a namespace of its own, where the system lets us have one. */
const small = [
  'unshare',
  '-rm',
  'sh',
  '-c',
  'mount -t tmpfs -o size=1536k tmpfs "$SMALL" && "$0" "$@"; s=$?; cp -a "$SMALL/." "$KEPT"; exit $s',
]
const canMount = () => {
  const directory = temporaryDirectory()
  const mount = ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=64k tmpfs "$0"', directory]
  return findTool('unshare') !== undefined && spawnSync('unshare', mount).status === 0
}

describe('after an error of the disk', () => {
  it('nothing more is accepted, and what was acknowledged is there when it is opened again (file too large)', async () => {
    const options = ledgerOptions()
    // 2048 blocks of 512 bytes: the first step of the log fits, the second does not.
    const shell = ['sh', '-c', 'ulimit -f 2048; exec "$0" "$@"']
    await expectKept(options, appendUntilError(shell, options, options.directory))
  })

  it('the same holds on a full disk', async context => {
    if (!canMount()) return context.skip('this system mounts no file system for us')
    const options = ledgerOptions()
    const mounted = temporaryDirectory()
    const said = appendUntilError(small, options, mounted, { SMALL: mounted, KEPT: options.directory })
    await expectKept(options, said)
  })

  it('a publication that fails stops the ledger too', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    await ledger.append([settled()])
    const kept = temporaryDirectory()
    cpSync(options.directory, kept, { recursive: true })
    const { rmSync, writeFileSync } = await import('node:fs')
    rmSync(join(options.directory, 'tile'), { recursive: true })
    writeFileSync(join(options.directory, 'tile'), 'in the way')
    await expect(ledger.publish()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await expect(ledger.append([settled()])).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await ledger.close()
    const again = await openDirectoryLedger({ ...options, directory: kept })
    expect(again.size).toBe(5)
    await again.close()
  })

  it('a follower that throws stops the ledger, since what it folds would be wrong from then on', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    ledger.follow(() => {
      throw new Error('a fold that fails')
    })
    await ledger.append([settled()])
    await expect(ledger.append([settled()])).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await ledger.close()
    const again = await openDirectoryLedger(options)
    expect((await allEntries(again)).map(({ entry }) => entry.kind)).toEqual([
      'opened',
      'started',
      'settled',
      'recovered',
      'started',
    ])
    await again.close()
  })
})
