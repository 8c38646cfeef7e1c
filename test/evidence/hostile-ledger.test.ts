/** Ledger directories made to break the verifier: each ends in a verdict, with findings that someone can read. */
import { execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, open, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDirectory } from '../../evidence/read.ts'
import { verifyLedger } from '../../evidence/verify.ts'
import { interop } from '../support/interop.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'

let scratch: string
let whole: string
let builder: LedgerBuilder
let count = 0

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'hostile-'))
  whole = join(scratch, 'whole')
  builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
  builder.principal('dba@crm.example', 'person')
  for (let i = 0; i < 297; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
  await builder.write(whole, { seals: [2, 300] })
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

async function copy(): Promise<string> {
  count += 1
  const directory = join(scratch, String(count))
  await cp(whole, directory, { recursive: true })
  return directory
}

const verify = (directory: string) => {
  const { fingerprint, wrappingKey } = builder
  return verifyLedger({ directory, fingerprint, wrappingKey, now: Date.parse('2026-08-01T00:00:00Z') })
}
const files = ({ findings }: { findings: readonly { file?: string }[] }) => findings.map(({ file }) => file)

describe('a folder that is a link', () => {
  test('to itself holds no files: of a few of them it would have as many as anybody likes to say', async () => {
    const directory = await copy()
    await symlink('.', join(directory, 'tile/entries/x000'))
    const reader = await openDirectory(directory)
    const linked = 'tile/entries/x000/000'
    await expect(reader.read(linked, 1e6)).rejects.toThrowError(`${linked} lies in a folder that is a link`)
    expect([reader.readNow(linked, 1e6), reader.readNow('tile/entries/000', 1e6)]).toEqual([
      undefined,
      expect.any(Buffer),
    ])
  })

  test('to another within the ledger is read by no way', async () => {
    const directory = await copy()
    await rename(join(directory, 'checkpoint.d'), join(directory, 'other'))
    await symlink('other', join(directory, 'checkpoint.d'))
    const { verdict, findings } = await verify(directory)
    expect([verdict, findings[0]]).toEqual(['TAMPERED', expect.objectContaining({ what: 'checkpoint.d is a link' })])
  })
})

describe('among the seals', () => {
  test('copies of a seal under other names are none, and after fifty no more are looked at', async () => {
    const directory = await copy()
    const seal = await readFile(join(directory, 'checkpoint.d/300'))
    for (let size = 3; size < 299; size += 1) await writeFile(join(directory, `checkpoint.d/${size}`), seal)
    const { verdict, findings } = await verify(directory)
    expect(verdict).toBe('TAMPERED')
    expect(findings).toHaveLength(51)
    expect(new Set(findings.map(({ code }) => code))).toEqual(new Set(['SEAL_INVALID']))
    expect(findings[0]).toMatchObject({ file: 'checkpoint.d/3', what: 'a seal under the name of another size' })
    expect(findings.at(-1)?.what).toContain('was not looked at')
  })

  test('files that are no seals, of whatever name, are counted to the same bound', async () => {
    const directory = await copy()
    for (let i = 0; i < 150; i += 1) await writeFile(join(directory, `checkpoint.d/junk-${i}`), 'junk')
    const { findings } = await verify(directory)
    expect(findings).toHaveLength(51)
    expect(findings.at(-1)).toMatchObject({ code: 'SEAL_INVALID', file: 'checkpoint.d' })
  })

  test.each([
    ['note', 'checkpoint', 'CHECKPOINT_SIGNATURE'],
    ['OpenPGP', 'checkpoint', 'CHECKPOINT_SIGNATURE'],
    ['note', 'checkpoint.d/2', 'SEAL_INVALID'],
  ])('a signature by the %s key that stands twice in %s is named', async (key, file, code) => {
    const directory = await copy()
    const text = await readFile(join(directory, file), 'utf8')
    const [own, openpgp] = text.split('\n').filter(line => line.startsWith('\u2014 '))
    const line = key === 'note' ? own : openpgp
    await writeFile(join(directory, file), `${text}${line}\n`)
    const { verdict, findings } = await verify(directory)
    expect([verdict, findings[0]]).toMatchObject(['TAMPERED', { code, file, what: 'two signature lines by one key' }])
  })

  test('a folder of seals that is a file, or leads elsewhere, is named', async () => {
    const file = await copy()
    await rm(join(file, 'checkpoint.d'), { recursive: true })
    await writeFile(join(file, 'checkpoint.d'), '')
    expect((await verify(file)).verdict).toBe('TAMPERED')
    const link = await copy()
    await rename(join(link, 'checkpoint.d'), join(scratch, 'seals-outside'))
    await symlink(join(scratch, 'seals-outside'), join(link, 'checkpoint.d'))
    const result = await verify(link)
    expect(result.verdict).toBe('TAMPERED')
    expect(files(result)).toContain('checkpoint.d')
  })
})

describe('in the place of files', () => {
  const places = [
    'checkpoint',
    'checkpoint.d/300',
    'keys/seal.pub.asc',
    'tile/0/000',
    'tile/1/000.p/1',
    'tile/entries/000',
    'vault/slots/000',
  ]

  test.each(places)('a file as large as can be, for %s', async place => {
    const directory = await copy()
    await (await open(join(directory, place), 'w')).close()
    await truncate(join(directory, place), 2 ** 40)
    const result = await verify(directory)
    expect(result.verdict).not.toBe('OK')
    expect(files(result)).toContain(place)
  })

  interop('mkfifo', 'pipes, folders and links to themselves', async mkfifo => {
    for (const place of places) {
      const directory = await copy()
      const path = join(directory, place)
      await rm(path)
      execFileSync(mkfifo, [path])
      expect(files(await verify(directory)), `a pipe for ${place}`).toContain(place)
      await rm(path)
      await mkdir(path)
      expect(files(await verify(directory)), `a folder for ${place}`).toContain(place)
      await rm(path, { recursive: true })
      await symlink(path, path)
      expect(files(await verify(directory)), `a link for ${place}`).toContain(place)
    }
  })

  test('entries that say again and again that one key was destroyed', async () => {
    const hostile = await new LedgerBuilder({ keys: builder.keys }).open()
    const [of, by, approver] = ['a', 'b', 'c'].map(name => hostile.principal(name, 'person'))
    const slots = Array.from({ length: 4096 }, () => 0)
    const erasure = { scope: 'principal', of: of!, ground: 'x', by: by!, approvers: [approver!], slots } as const
    for (let i = 0; i < 256; i += 1) hostile.add('erasure', erasure)
    const directory = join(scratch, 'repeated')
    await hostile.write(directory)
    const told = (await verify(directory)).findings.filter(({ code }) => code.startsWith('ERASURE'))
    expect(told.map(({ what }) => what)).toEqual([
      expect.stringContaining('says that slot 0 was erased, and it is not'),
    ])
  })
})
