/** Bundles made to break the verifier: each ends in a verdict, within bounds of memory, and none makes it run what was not signed. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, open, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BundleVerification } from '../../evidence/bundle/verify-bundle.ts'
import { compiledScript } from '../support/compiled.ts'
import { interop } from '../support/interop.ts'
import { BundleFixture } from './bundle-fixture.ts'

let fixture: BundleFixture

beforeAll(async () => {
  fixture = await BundleFixture.make()
})
afterAll(() => fixture.remove())

const codesOf = ({ findings }: Pick<BundleVerification, 'findings'>) =>
  findings.map(({ code, file }) => (file === undefined ? code : `${code} ${file}`))
const stepOf = ({ steps }: Pick<BundleVerification, 'steps'>, name: string) => steps.find(step => step.name === name)

const script = compiledScript(new URL('children/verify-bundle.ts', import.meta.url))
type Said = Pick<BundleVerification, 'verdict' | 'findings' | 'steps'> & { readonly mostKiB: number }

/** Verifies in a process of its own, with a heap of so many megabytes. */
function verifyApart(directory: string, heap = 192): Said {
  const options = JSON.stringify({ directory, fingerprint: fixture.keys.seal.fingerprint })
  const node = [`--max-old-space-size=${heap}`, script, options]
  const child = spawnSync(process.execPath, node, { encoding: 'utf8', timeout: 300_000 })
  expect(child.stderr).toBe('')
  return JSON.parse(child.stdout) as Said
}

async function sparse(file: string, bytes: number): Promise<void> {
  await (await open(file, 'w')).close()
  await truncate(file, bytes)
}

/** SHA-256 of so many zeros. */
function digestOfZeros(bytes: number): string {
  const digest = createHash('sha256')
  const piece = Buffer.alloc(1024 * 1024)
  for (let left = bytes; left > 0; left -= piece.length) digest.update(piece.subarray(0, Math.min(left, piece.length)))
  return digest.digest('hex')
}

describe('memory', () => {
  test('a listed file of 900 MB is hashed, and named as what follows from nothing, in little more memory than without it', async () => {
    const bytes = 900 * 1024 * 1024
    const large = { path: 'recordings/session.bin', bytes, sha256: digestOfZeros(bytes), rows: 0 }
    const directory = await fixture.forge(() => undefined, [large])
    await mkdir(join(directory, 'recordings'), { recursive: true })
    await sparse(join(directory, large.path), bytes)
    const without = verifyApart(fixture.built.directory)
    const said = verifyApart(directory)
    expect(without.verdict).toBe('OK')
    expect(codesOf(said)).toEqual([`NOT_DERIVED ${large.path}`])
    expect(said.mostKiB - without.mostKiB).toBeLessThan(100 * 1024)
  }, 300_000)

  test('what would be parsed, and is too long for it, is not: where all of it is what was signed, that is no tampering', async () => {
    const bytes = 300 * 1024 * 1024
    const entries = { path: 'log/entries.jsonl', bytes, sha256: digestOfZeros(bytes), rows: 0 }
    const directory = await fixture.forge(files => files.delete(entries.path), [entries])
    await sparse(join(directory, entries.path), bytes)
    const said = verifyApart(directory)
    expect([said.verdict, said.findings]).toEqual(['INCOMPLETE', []])
    expect(stepOf(said, 'material')).toMatchObject({ status: 'not-examined' })
    expect(stepOf(said, 'material')?.detail).toContain('log/entries.jsonl has 314572800 bytes')
  }, 300_000)

  // biome-ignore format: a table
  const floods: readonly (readonly [string, string, string])[] = [
    ['a manifest of empty lists',      'MANIFEST.json',                  `[${'[],'.repeat(4_000_000)}[]]`],
    ['a manifest nested a million deep', 'MANIFEST.json',                `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`],
    ['sums of empty lines',            'SHA256SUMS',                     '\n'.repeat(60_000_000)],
    ['sums without a line\'s end',     'SHA256SUMS',                     'a'.repeat(60_000_000)],
    ['entries of empty lines',         'log/entries.jsonl',              '\n'.repeat(100_000_000)],
    ['entries nested deep',            'log/entries.jsonl',              `${'['.repeat(30_000)}${']'.repeat(30_000)}\n`],
    ['disclosures of empty objects',   'disclosures/disclosures.jsonl',  '{}\n'.repeat(30_000_000)],
    ['a disclosure nested deep',       'disclosures/disclosures.jsonl',  deepDisclosure(1_000_000)],
    ['a state nested a million deep',  'state/opening.json',             `{"entries":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)},"size":1}\n`],
    ['a mapping nested deep',          'mapping/controls.json',          `{"unreadable":[],"versions":[{"policy":"x","controls":[{"id":"A","covers":${'{"a":'.repeat(500_000)}1${'}'.repeat(500_000)}}]}]}\n`],
    ['imports nested deep',            'imports/imports.json',           `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}\n`],
  ]

  test.each(floods)(
    '%s',
    async (_, path, content) => {
      const directory = await fixture.copy()
      await mkdir(join(directory, path, '..'), { recursive: true })
      await writeFile(join(directory, path), content)
      const said = verifyApart(directory, 512)
      expect(said.verdict).toBe('TAMPERED')
      expect(said.findings.some(({ file }) => file === path || path === 'SHA256SUMS')).toBe(true)
    },
    300_000,
  )
})

function deepDisclosure(depth: number): string {
  const disclosure = Buffer.from(`["c2FsdA","reason",${'['.repeat(depth)}${']'.repeat(depth)}]`).toString('base64url')
  return `${JSON.stringify({ disclosure, index: 0 })}\n`
}

describe('what is no file', () => {
  interop(
    'mkfifo',
    'pipes, sockets, links and folders in the place of files, and beside them, are named',
    async mkfifo => {
      const directory = await fixture.copy()
      const at = (path: string) => join(directory, path)
      await rm(at('views/gaps.jsonl'))
      execFileSync(mkfifo, [at('views/gaps.jsonl'), at('pipe')])
      await rename(at('report'), at('elsewhere'))
      await symlink('elsewhere', at('report'))
      await rm(at('log/note.key'))
      await mkdir(at('log/note.key'))
      await symlink('/dev/zero', at('zero'))
      const server = createServer()
      await new Promise<void>(resolve => server.listen(at('socket'), resolve))
      try {
        const result = await fixture.verify(directory)
        expect(result.verdict).toBe('TAMPERED')
        expect(codesOf(result)).toEqual(
          expect.arrayContaining([
            'FILE_EXTRA elsewhere',
            'FILE_EXTRA pipe',
            'FILE_EXTRA report',
            'FILE_EXTRA socket',
            'FILE_EXTRA views/gaps.jsonl',
            'FILE_EXTRA zero',
            'FILE_UNREADABLE log/note.key',
            'FILE_UNREADABLE views/gaps.jsonl',
          ]),
        )
      } finally {
        await new Promise(resolve => server.close(resolve))
      }
    },
  )

  test('a link that leads out of the bundle is not followed, to a file or to a folder', async () => {
    const directory = await fixture.copy()
    await rename(join(directory, 'views'), join(fixture.scratch, 'views-outside'))
    await symlink(join(fixture.scratch, 'views-outside'), join(directory, 'views'))
    const result = await fixture.verify(directory)
    expect(codesOf(result)).toEqual(
      expect.arrayContaining(['FILE_EXTRA views', 'FILE_UNREADABLE views/operations.jsonl']),
    )
  })

  test('folders in folders in folders are not gone into, and more files than can be listed are counted to a bound', async () => {
    const directory = await fixture.copy()
    let deep = join(directory, 'a')
    while (deep.length < 3900) deep = join(deep, 'b'.repeat(200))
    await mkdir(deep, { recursive: true })
    await mkdir(join(directory, 'empty'))
    for (let i = 0; i < 1500; i += 1) await writeFile(join(directory, 'views', `x${i}`), '')
    const result = await fixture.verify(directory)
    const extra = result.findings.filter(({ code }) => code === 'FILE_EXTRA')
    expect(extra.map(({ file }) => file)).toContain('a')
    expect(extra.map(({ file }) => file)).not.toContain('empty')
    expect(extra).toHaveLength(101)
    expect(extra.at(-1)?.what).toMatch(/^and \d+ more of these$/)
  })
})

describe('what was not signed', () => {
  test('is not run: queries put into the mapping of a bundle, or into one of another key, go nowhere', async () => {
    const directory = await fixture.copy()
    const evil = fixture.built.files
      .get('mapping/controls.json')!
      .replace('"tests":"auto"', '"tests":[{"exceptions":"select 1 as index","population":"select 1 as index"}]')
    await writeFile(join(directory, 'mapping/controls.json'), evil)
    const result = await fixture.verify(directory)
    expect(codesOf(result)).toContain('FILE_CHANGED mapping/controls.json')
    expect([result.results, stepOf(result, 'results')?.status]).toEqual([[], 'not-examined'])
  })

  test('a text of controls that cannot be read again is a finding, not an end of the verification', async () => {
    const directory = fixture.built.directory
    const { verifyBundle } = await import('../../evidence/bundle/verify-bundle.ts')
    const { Misuse } = await import('../../lib/errors.ts')
    const readControls = () => {
      throw new Misuse('ERR_OPTION_INVALID', 'not controls')
    }
    const result = await verifyBundle({ directory, fingerprint: fixture.keys.seal.fingerprint, readControls })
    expect(new Set(codesOf(result))).toEqual(new Set(['MAPPING mapping/controls.json']))
  })

  test('a mapping that calls unreadable what the ledger disclosed is named', async () => {
    const directory = await fixture.forge(files => {
      const { versions } = JSON.parse(files.get('mapping/controls.json')!) as { versions: { policy: string }[] }
      const unreadable = versions.map(({ policy }) => policy)
      files.set('mapping/controls.json', `${JSON.stringify({ unreadable, versions: [] })}\n`)
    })
    expect(codesOf(await fixture.verify(directory))).toContain('MAPPING mapping/controls.json')
  })

  test('a mapping that has a policy twice, the second time with softer controls to test by, is named', async () => {
    const directory = await fixture.forge(files => {
      const mapping = JSON.parse(files.get('mapping/controls.json')!) as { versions: object[] }
      const versions = [...mapping.versions, { ...mapping.versions[0], controls: [] }]
      files.set('mapping/controls.json', `${JSON.stringify({ ...mapping, versions })}\n`)
    })
    const said = await fixture.verify(directory)
    expect(said.findings.map(({ what }) => what)).toContainEqual(
      expect.stringMatching(/^the mapping has a policy twice/),
    )
  })

  test('controls of which the text is withheld are on nobody but the maker: the mapping is not examined, and no pass', async () => {
    const directory = await fixture.forge(files => {
      const path = 'disclosures/disclosures.jsonl'
      const isText = (line: string) =>
        line !== '' &&
        Buffer.from((JSON.parse(line) as { disclosure: string }).disclosure, 'base64url')
          .toString()
          .includes('"controls"')
      const lines = files.get(path)!.split('\n')
      expect(lines.some(isText)).toBe(true)
      files.set(path, lines.filter(line => !isText(line)).join('\n'))
    })
    const said = await fixture.verify(directory)
    expect(stepOf(said, 'mapping')).toMatchObject({ status: 'not-examined' })
    expect(said.verdict).not.toBe('OK')
  })

  test('a period that ends before it begins, or of days that never were, ends in a verdict, whoever wrote it', async () => {
    // biome-ignore format: a table
    const lies: readonly ((manifest: string) => string)[] = [
      text => text.replace(/("to": ")2026-10-01/, '$12026-07-01'),
      text => text.replace(/("to": ")2026-10-01/, '$12026-06-01'),
      text => text.replace(/("from": ")2026-07-01/, '$12026-06-31'),
      text => text.replace(/("to": ")2026-10-01/, '$12026-09-31'),
      text => text.replace(/("asOf": ")2026-10-02/, '$12026-02-30'),
    ]
    const honest = fixture.built.files.get('MANIFEST.json')!
    for (const lie of lies) {
      expect(lie(honest)).not.toBe(honest)
      const unsigned = await fixture.copy()
      await writeFile(join(unsigned, 'MANIFEST.json'), lie(honest))
      for (const directory of [unsigned, await fixture.relist(lie)]) {
        const said = await fixture.verify(directory)
        expect(said.verdict, String(lie)).toBe('TAMPERED')
        expect(codesOf(said), String(lie)).toContain('MANIFEST MANIFEST.json')
      }
    }
  })

  test('what MANIFEST.json says of the ledger and of the rows follows from the files too', async () => {
    // biome-ignore format: a table
    const lies: readonly ((manifest: string) => string)[] = [
      text => text.replace(/("opening": \{\s+"size": \d+,\s+"root": ")[^"]/, '$1!'),
      text => text.replace(/"origin": "[^"]+"/, '"origin": "other.example"'),
      text => text.replace(/("fingerprint": ")[0-9A-F]/, '$1X'),
      text => text.replace(/("rows": )[1-9]/, '$12'),
      text => text.replace('"format": 1', '"format": 2'),
    ]
    for (const lie of lies) {
      const directory = await fixture.relist(lie)
      expect(codesOf(await fixture.verify(directory)), String(lie)).toContain('MANIFEST MANIFEST.json')
    }
  })
})
