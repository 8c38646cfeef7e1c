/**
 * Files of a ledger cut, swapped, put back from earlier, added and replaced by what is no file. Whatever is done is
 * named, never crashes the verifier, and is never called OK but where the tables here say so, and why.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Verification } from '../../evidence/verify.ts'
import { bytesOf, filesOf, Grown, put } from './grown.ts'

let grown: Grown

beforeAll(async () => {
  grown = await Grown.make()
}, 300_000)
afterAll(() => grown.remove())

// Table: what a verification does not examine, so that whatever stands there may be called OK.
// biome-ignore format: a table
const unexamined: readonly (readonly [file: RegExp, why: string])[] = [
  [/^LOCK$/,            'the process that writes, and nothing that entries tell of'],
  [/^wal\//,            'what is not published yet: the next opening examines it'],
]
const isExamined = (file: string) => !unexamined.some(([pattern]) => pattern.test(file))

/** What was found, in words that a failed test can show. */
const told = ({ verdict, findings }: Verification) =>
  `${verdict} ${[...new Set(findings.map(({ code, file }) => `${code}${file === undefined ? '' : `@${file}`}`))].join(' ')}`

/** In the suite a sample; with COUNTERFOIL_TAMPER=all every one. */
const all = process.env.COUNTERFOIL_TAMPER === 'all'
const sample = <T>(list: readonly T[], most: number): readonly T[] => {
  const step = all ? 1 : Math.max(1, Math.ceil(list.length / most))
  return list.filter((_, i) => i % step === 0)
}
const longest = all ? 3_600_000 : 300_000

describe('the ledger that is tampered with', () => {
  it(
    'is whole at each step of its growth, and is the beginning of the pinned one',
    async () => {
      for (const { name, directory } of grown.steps) {
        expect(told(await grown.verify(directory)), name).toBe('OK ')
        expect(told(await grown.pinned(directory)), name).toBe(directory === grown.last ? 'OK ' : 'TAMPERED ROLLBACK')
      }
    },
    longest,
  )
})

describe('a file that is cut', () => {
  it(
    'is named, at whatever offset',
    async () => {
      const directory = grown.copy()
      const unnamed: string[] = []
      let cuts = 0
      for (const file of filesOf(directory).filter(isExamined)) {
        const whole = bytesOf(directory, file)
        const offsets = Array.from({ length: whole.length }, (_, i) => i)
        for (const at of sample(offsets, 4)) {
          put(directory, file, whole.subarray(0, at))
          const result = await grown.verify(directory)
          if (result.verdict !== 'TAMPERED' || !result.findings.some(finding => finding.file === file)) {
            unnamed.push(`${file} cut at ${at}: ${told(result)}`)
          }
          cuts += 1
        }
        put(directory, file, whole)
      }
      expect(unnamed).toEqual([])
      expect(cuts).toBeGreaterThan(50)
    },
    longest,
  )
})

describe('two files that change places', () => {
  it(
    'are not taken for one another',
    async () => {
      const directory = grown.copy()
      const files = filesOf(directory).filter(isExamined)
      const pairs = files.flatMap((a, i) => files.slice(i + 1).map(b => [a, b] as const))
      const unseen: string[] = []
      for (const [a, b] of sample(pairs, 40)) {
        const [first, second] = [bytesOf(directory, a), bytesOf(directory, b)]
        if (first.equals(second)) continue
        put(directory, a, second)
        put(directory, b, first)
        const result = await grown.verify(directory)
        if (result.verdict !== 'TAMPERED') unseen.push(`${a} and ${b}: ${told(result)}`)
        put(directory, a, first)
        put(directory, b, second)
      }
      expect(unseen).toEqual([])
      expect(pairs.length).toBeGreaterThan(60)
    },
    longest,
  )
})

describe('a file put back from an earlier step', () => {
  // Table: what may stand there again and still be OK, and why.
  // biome-ignore format: a table
  const harmless: readonly (readonly [file: RegExp, why: string])[] = [
    ...unexamined,
    [/^tile\/.*\.p\/\d+$/,          'a partial tile that a fuller one has replaced: no tree of this size is made of it'],
    [/^vault\/entries\/.*\.p\/\d+$/, 'the same, of disclosures'],
    [/^snapshot\/\d+$/,            'an older cache: it is still what the entries up to there come to'],
  ]
  const isHarmless = (file: string) => harmless.some(([pattern]) => pattern.test(file))

  it(
    'is named, or replaces nothing that is read',
    async () => {
      const unseen: string[] = []
      const tried = new Set<string>()
      for (const { name, directory: old } of grown.steps.slice(0, -1)) {
        for (const file of filesOf(old)) {
          const [before, now] = [
            bytesOf(old, file),
            existsSync(join(grown.last, file)) ? bytesOf(grown.last, file) : '',
          ]
          if (before.equals(Buffer.from(now))) continue
          tried.add(file)
          const directory = grown.copy()
          put(directory, file, before)
          const result = await grown.verify(directory)
          const good = isHarmless(file) ? result.verdict === 'OK' : result.verdict === 'TAMPERED'
          if (!good) unseen.push(`${file} of "${name}": ${told(result)}`)
          rmSync(directory, { recursive: true })
        }
      }
      expect(unseen).toEqual([])
      expect([...tried]).toEqual(expect.arrayContaining(['checkpoint', 'epoch']))
      expect([...tried].filter(isHarmless).length).toBeGreaterThan(3)
    },
    longest,
  )

  it(
    'is betrayed by the seals, where it is a checkpoint with all that it needs',
    async () => {
      for (const { directory: old } of grown.steps.slice(0, -1)) {
        const directory = grown.copy()
        for (const file of filesOf(old).filter(name => /^(checkpoint|epoch)$|^tile\/|^vault\/entries\//.test(name))) {
          put(directory, file, bytesOf(old, file))
        }
        expect(told(await grown.verify(directory))).toContain('ROLLBACK')
        rmSync(directory, { recursive: true })
      }
    },
    longest,
  )

  it(
    'cannot be told, where it is all of an older ledger, but with a checkpoint held elsewhere',
    async () => {
      for (const { directory: old } of grown.steps.slice(0, -1)) {
        const directory = grown.copy()
        for (const name of ['checkpoint', 'checkpoint.d', 'snapshot', 'tile', 'vault', 'epoch']) {
          rmSync(join(directory, name), { recursive: true })
          if (existsSync(join(old, name))) cpSync(join(old, name), join(directory, name), { recursive: true })
        }
        const alone = await grown.verify(directory)
        expect(told(alone)).toBe('OK ')
        expect(alone.undetectable).toContain('have cut its end, undetected')
        expect(told(await grown.pinned(directory))).toBe('TAMPERED ROLLBACK')
        rmSync(directory, { recursive: true })
      }
    },
    longest,
  )
})

describe('a file more', () => {
  // biome-ignore format: a table
  const added: readonly (readonly [file: string, verdict: 'OK' | 'TAMPERED', why: string])[] = [
    ['notes.txt',              'OK',       'nothing leads to it'],
    ['tile/0/999',             'OK',       'no tree of this size has that tile'],
    ['tile/0/000.p/7',         'OK',       'the full tile stands'],
    ['tile/entries/000.p/7',   'OK',       'the full bundle stands'],
    ['wal/0000000000000000.seg', 'OK',     'the next opening examines it'],
    ['checkpoint.d/7',         'TAMPERED', 'a seal that nobody signed'],
    ['checkpoint.d/notes.txt', 'TAMPERED', 'among seals are seals'],
    ['checkpoint.d/999999',    'TAMPERED', 'a seal of more than there is'],
    ['snapshot/7',             'TAMPERED', 'a cache that nobody signed'],
    ['snapshot/notes.txt',     'TAMPERED', 'among snapshots are snapshots'],
  ]
  it.each(added)('%s is %s: %s', async (file, verdict) => {
    const directory = grown.copy()
    put(directory, file, 'whatever somebody wrote')
    const result = await grown.verify(directory)
    expect(result.verdict).toBe(verdict)
    if (verdict === 'TAMPERED') expect(result.findings.map(finding => finding.file)).toContain(file)
  })
})

describe('what is no file', () => {
  it(
    'in the place of one is named: a link to a copy elsewhere, a link to nothing, a folder, nothing at all',
    async () => {
      const outside = grown.copy()
      // Table: what may be gone, and what is said then.
      // biome-ignore format: a table
      const gone: readonly (readonly [file: RegExp, verdict: string, why: string])[] = [
      [/^checkpoint\.d\//,      'OK',         'no entry tells of a seal: it is missed by whoever kept a copy'],
      [/^keys\/[0-9A-F]{40}\.asc$/, 'OK',   'older versions published the current certificate alone'],
      [/^snapshot\//,          'OK',         'a cache: what it stood for is in the entries'],
      [/^epoch$/,              'OK',         'a copy for readers has none'],
      [/^checkpoint$/,         'INCOMPLETE', 'there is nothing signed to hold the rest against'],
      [/^vault\/slots\/000$/,  'TAMPERED',   'told by the disclosures that it opened'],
      [/^vault\/slots\//,      'OK',         'keys that were made ahead, and used by none'],
    ]
      const unnamed: string[] = []
      for (const file of filesOf(grown.last).filter(isExamined)) {
        const directory = grown.copy()
        const path = join(directory, file)
        const instead: Record<string, () => void> = {
          'a link': () => symlinkSync(join(outside, file), path),
          'a link to nothing': () => symlinkSync(join(directory, 'nothing'), path),
          'a folder': () => mkdirSync(path),
          nothing: () => undefined,
        }
        for (const [what, make] of Object.entries(instead)) {
          rmSync(path, { recursive: true, force: true })
          make()
          const result = await grown.verify(directory)
          const named = result.findings.some(finding => finding.file === file)
          const absent = what === 'nothing' || what === 'a link to nothing'
          const rule = absent ? gone.find(([pattern]) => pattern.test(file)) : undefined
          const good = (named && result.verdict === 'TAMPERED') || result.verdict === rule?.[1]
          if (!good) unnamed.push(`${what} for ${file}: ${told(result)}`)
        }
        rmSync(directory, { recursive: true })
      }
      rmSync(outside, { recursive: true })
      expect(unnamed).toEqual([])
    },
    longest,
  )

  it('reads no copy of a file that a link within the ledger leads to, where that is another file', async () => {
    const directory = grown.copy()
    rmSync(join(directory, 'tile/entries/000'))
    copyFileSync(join(grown.last, 'checkpoint'), join(directory, 'elsewhere'))
    symlinkSync('../../elsewhere', join(directory, 'tile/entries/000'))
    expect((await grown.verify(directory)).findings.map(({ file }) => file)).toContain('tile/entries/000')
  })
})
