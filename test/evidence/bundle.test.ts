import { execFileSync, spawnSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tarGz } from '../../evidence/bundle/archive.ts'
import { type BundleOptions, type BundleResult, buildBundle } from '../../evidence/bundle/build.ts'
import { primaryPaths } from '../../evidence/bundle/material.ts'
import { verifyBundle } from '../../evidence/bundle/verify-bundle.ts'
import { verifyLedger } from '../../evidence/verify.ts'
import type { Control } from '../../lib/control.ts'
import { interop } from '../support/interop.ts'
import { type BuilderKeys, builderKeys } from '../support/ledger-builder.ts'
import { BundleFixture, readControls } from './bundle-fixture.ts'
import { controls } from './support.ts'

let keys: BuilderKeys
let scratch: string
let ledger: string
let built: BundleResult
let fixture: BundleFixture

beforeAll(async () => {
  fixture = await BundleFixture.make()
  ;({ keys, scratch, ledger, built } = fixture)
})
afterAll(() => fixture.remove())

const folder = () => fixture.folder()
const options = (more: Partial<BundleOptions> = {}) => fixture.options(more)
const verify = (directory: string) => fixture.verify(directory)
/** In the suite a sample; with COUNTERFOIL_TAMPER=all every one. */
const everything = process.env.COUNTERFOIL_TAMPER === 'all'
const forge = (change: (files: Map<string, string>) => void) => fixture.forge(change)

describe('a bundle', () => {
  test('says what came out, and verifies by itself', async () => {
    expect(built.results.map(r => [r.control, r.test, r.word, r.population, r.exceptions])).toEqual([
      ['AC-03', 'grant-window', 'no-exceptions-noted', 1, 0],
      ['AC-03', 'grant-given', 'not-occurring', 0, 0],
      ['AC-03', 'grant-ended', 'no-exceptions-noted', 2, 0],
      ['AC-03', 'identity-complete', 'no-exceptions-noted', 1, 0],
      ['AC-03', 'agent-accountable', 'no-exceptions-noted', 1, 0],
      ['AC-03', 'denial-held', 'no-exceptions-noted', 1, 0],
      ['AC-07', 'approval-by-another', 'exceptions-noted', 2, 1],
      ['AC-07', 'identity-complete', 'no-exceptions-noted', 2, 0],
      ['AC-07', 'agent-accountable', 'no-exceptions-noted', 2, 0],
      ['AC-07', 'denial-held', 'not-occurring', 0, 0],
      ['AC-07', 'policy-in-force', 'no-exceptions-noted', 2, 0],
      ['CF-01', 'masking-applied', 'no-exceptions-noted', 1, 0],
    ])
    expect(built.exceptions).toBe(true)
    const result = await verify(built.directory)
    expect(result.findings).toEqual([])
    expect(result.verdict).toBe('OK')
    expect(result.results).toEqual(built.results)
    expect(built.manifest.ledger.opening.size).toBeGreaterThan(0)
  })

  test('is the same to the byte when it is built again, the signature apart', async () => {
    const again = await buildBundle(options())
    const differing = [...built.files]
      .filter(([path, content]) => again.files.get(path) !== content)
      .map(([path]) => path)
    expect(differing.filter(path => path !== 'SHA256SUMS.asc')).toEqual([])
    expect([...again.files.keys()]).toEqual([...built.files.keys()])
    const time = Date.parse(built.manifest.asOf) / 1000
    expect(tarGz('crm', again.files, time).length).toBeGreaterThan(1000)
    expect(tarGz('crm', built.files, time).equals(tarGz('crm', built.files, time))).toBe(true)
  })

  test('names the missing file and the extra file, whichever it is', async () => {
    const directory = folder()
    await cp(built.directory, directory, { recursive: true })
    const missing = async (paths: readonly string[]) => {
      for (const path of paths) await rm(join(directory, path))
      const { findings } = await verify(directory)
      for (const path of paths) {
        expect(
          findings.some(finding => finding.file === path),
          path,
        ).toBe(true)
        await writeFile(join(directory, path), built.files.get(path)!)
      }
    }
    // Every file that the rest follows from, each alone; what follows from them is missed by one path through the code.
    const all = [...built.files.keys()]
    const first = all.filter(path => primaryPaths.has(path) || !path.includes('/'))
    const derived = all.filter(path => !first.includes(path))
    for (const path of everything ? all : first) await missing([path])
    // Fewer than findings of one kind are told.
    for (let from = 0; from < derived.length; from += 50) await missing(derived.slice(from, from + 50))
    await writeFile(join(directory, 'views/extra.jsonl'), '{}\n')
    await symlink('/etc/hostname', join(directory, 'link'))
    const extra = (await verify(directory)).findings.filter(finding => finding.code === 'FILE_EXTRA')
    expect(extra.map(finding => finding.file)).toEqual(['link', 'views/extra.jsonl'])
  }, 300_000)

  test('an entry that is left out, and everything signed anew, does not lead to the closing root', async () => {
    const forged = await forge(files => {
      const lines = files.get('log/entries.jsonl')!.split('\n')
      lines.splice(3, 1)
      files.set('log/entries.jsonl', lines.join('\n'))
    })
    expect((await verify(forged)).findings.map(finding => finding.code)).toContain('LOG')
    const altered = await forge(files => {
      files.set('log/entries.jsonl', files.get('log/entries.jsonl')!.replace('"risk":"high"', '"risk":"low"'))
    })
    expect((await verify(altered)).findings.map(finding => finding.code)).toContain('LOG')
  })

  test('a result that does not follow from the envelopes is named, though everything is signed anew', async () => {
    const forged = await forge(files => {
      files.set(
        'results/AC-07.json',
        files.get('results/AC-07.json')!.replace('exceptions-noted', 'no-exceptions-noted'),
      )
      files.set('results/exceptions.csv', files.get('results/exceptions.csv')!.split('\n')[0]!.concat('\n'))
      files.set(
        'views/operations.jsonl',
        files.get('views/operations.jsonl')!.split('\n').slice(0, -2).join('\n').concat('\n'),
      )
    })
    const result = await verify(forged)
    expect(result.findings).toMatchObject([
      { code: 'NOT_DERIVED', file: 'views/operations.jsonl' },
      { code: 'NOT_DERIVED', file: 'results/AC-07.json' },
      { code: 'NOT_DERIVED', file: 'results/exceptions.csv' },
    ])
  })

  test('a softened mapping, a disclosure of another name and a state that never was are named, though signed anew', async () => {
    const softened = await forge(files => {
      files.set('mapping/controls.json', files.get('mapping/controls.json')!.replace('"people":1', '"people":0'))
    })
    expect((await verify(softened)).findings.map(finding => finding.code)).toContain('MAPPING')
    const renamed = await forge(files => {
      const [first, ...rest] = files.get('disclosures/disclosures.jsonl')!.split('\n')
      const { index, disclosure } = JSON.parse(first!)
      const [salt, name] = JSON.parse(Buffer.from(disclosure, 'base64url').toString())
      const other = Buffer.from(JSON.stringify([salt, name, 'somebody else'])).toString('base64url')
      files.set('disclosures/disclosures.jsonl', [JSON.stringify({ disclosure: other, index }), ...rest].join('\n'))
    })
    expect((await verify(renamed)).findings.map(finding => finding.code)).toContain('DISCLOSURE')
    const invented = await forge(files => {
      files.set(
        'state/opening.json',
        files
          .get('state/opening.json')!
          .replace('"seconds\\":600', '"seconds\\":900')
          .replace('\\"verdict\\":\\"approve\\"', '\\"verdict\\":\\"deny\\"'),
      )
    })
    expect((await verify(invented)).findings.map(finding => finding.code)).toContain('STATE')
  })

  test('another key than the pinned one is refused, whatever the bundle says', async () => {
    const other = await builderKeys('other')
    const result = await verifyBundle({ directory: built.directory, fingerprint: other.seal.fingerprint })
    expect(result.verdict).toBe('TAMPERED')
    expect(result.findings.map(finding => finding.code)).toEqual(expect.arrayContaining(['SIGNATURE', 'TRUST']))
    await expect(verifyBundle({ directory: built.directory, fingerprint: 'x' })).rejects.toThrow('40 hex digits')
  })

  test('garbage in any primary file is a finding, never a crash', async () => {
    for (const [i, path] of [
      'log/frontier.json',
      'log/consistency.json',
      'state/opening.json',
      'mapping/controls.json',
      'disclosures/disclosures.jsonl',
      'log/entries.jsonl',
      'log/checkpoint.closing',
      'log/verification.json',
    ].entries()) {
      const all = [
        '',
        '{',
        'null\n',
        '[]\n',
        '{"size":-1}\n',
        '{"versions":[{"policy":"x","controls":[null]}],"unreadable":[]}\n',
        '\u0000\n',
      ]
      // Each of them in some of the files, and each file with some of them.
      for (const garbage of everything ? all : all.filter((_, j) => (i + j) % 3 === 0)) {
        const forged = await forge(files => void files.set(path, garbage))
        expect((await verify(forged)).verdict, `${path}: ${garbage}`).toBe('TAMPERED')
      }
    }
  }, 300_000)

  test('a period that has not ended is PROVISIONAL, and a demo says so', async () => {
    const bundle = await buildBundle(options({ asOf: Date.parse('2026-07-02'), demo: true }))
    expect(bundle.manifest.stamps).toEqual(['DEMO', 'PROVISIONAL'])
    expect(bundle.files.get('report/report.html')).toContain('PROVISIONAL')
    expect((await verify(bundle.directory)).verdict).toBe('OK')
  })

  test('the report states facts, and never concludes', () => {
    const banned = /compliant|certified|\baudit|opinion|tamper-proof/i
    for (const path of [
      'report/report.html',
      'README.html',
      'VERIFY.txt',
      'statements/completeness.txt',
      'statements/limitations.txt',
      'statements/representation.txt',
    ]) {
      expect(built.files.get(path), path).not.toMatch(banned)
    }
    const report = built.files.get('report/report.html')!
    expect(report.match(/<tr class="none">/g)).toHaveLength(36)
    expect(report.match(/<tr class="(none|partial|direct)">/g)).toHaveLength(61)
    expect(report).not.toMatch(/<script|https?:|src=/)
  })

  test('what an attacker writes stays text', async () => {
    const evil: Control[] = controls.map(control => ({ ...control, title: '<script>alert(1)</script>\u202e' }))
    const bundle = await buildBundle(options({ controls: evil, organisation: '"><img src=x onerror=alert(1)>' }))
    for (const path of ['report/report.html', 'README.html']) {
      expect(bundle.files.get(path), path).not.toMatch(/<script>|<img|\u202e/)
    }
  })

  test('pseudonyms withhold names and rules, and still join', async () => {
    const bundle = await buildBundle(options({ identities: 'pseudonyms', actions: 'none' }))
    const everything = [...bundle.files.values()].join('\n')
    expect(everything).not.toContain('dba@crm.example')
    expect(everything).not.toContain(Buffer.from('"dba@crm.example"').toString('base64url').slice(2, -2))
    expect(bundle.results.map(result => result.word)).toEqual(built.results.map(result => result.word))
    expect((await verify(bundle.directory)).verdict).toBe('OK')
  })

  test("a control's id leads no file out of the bundle", async () => {
    const tests = [{ population: 'select 1 as index', exceptions: 'select * from population' }]
    const evil = controls.map(control => ({ ...control, id: '../../escaped', tests }))
    await expect(buildBundle(options({ controls: evil }))).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    const forged = await forge(files => {
      files.set('mapping/controls.json', files.get('mapping/controls.json')!.replace('"id":"AC-03"', '"id":"../../x"'))
    })
    expect((await verify(forged)).findings[0]).toMatchObject({ code: 'MANIFEST', file: 'mapping/controls.json' })
  })

  test('a checkpoint held elsewhere is compared with, never written, and the report says that it agreed', async () => {
    const given = options()
    const pin = join(scratch, 'held-elsewhere')
    const at = () => options({ ledger: { ...given.ledger, pin } })
    await expect(buildBundle(at())).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
      message: expect.stringContaining(`no pin at ${pin}`),
    })
    await verifyLedger({ ...given.ledger, pin, first: true, now: Date.parse('2026-10-01') })
    const kept = await readFile(pin, 'utf8')
    const bundle = await buildBundle(at())
    expect(await readFile(pin, 'utf8')).toBe(kept)
    const row = /Checkpoint held elsewhere<\/th><td>([^<]*)/
    expect(row.exec(bundle.files.get('report/report.html')!)?.[1]).toBe('given, and the ledger agreed with it')
    expect(row.exec(built.files.get('report/report.html')!)?.[1]).toBe('none was given')
    expect((await verify(bundle.directory)).verdict).toBe('OK')
    await writeFile(pin, kept.replace(/"size":\d+/, '"size":9999'))
    await expect(buildBundle(at())).rejects.toMatchObject({ code: 'ERR_LEDGER_INCONSISTENT' })
    await writeFile(pin, '{')
    await expect(buildBundle(at())).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    // Who holds none that can be read has found nothing altered.
    for (const none of [pin, scratch]) {
      const { fingerprint } = given.ledger
      const told = await verifyBundle({ directory: built.directory, fingerprint, readControls, pin: none })
      expect(told).toMatchObject({ verdict: 'INCOMPLETE', findings: [{ code: 'PIN_UNREADABLE' }] })
    }
  })

  test.each([
    ['2026-01-01', '2026-02-01', 'the ledger begins on 2026-06-30, after this period'],
    ['2026-06-01', '2026-07-01', 'the ledger begins on 2026-06-30, after the beginning of this period'],
    ['2026-07-01', '2026-10-01', undefined],
  ])('from %s to %s: %s', async (from, to, begins) => {
    const bundle = await buildBundle(options({ from, to }))
    expect((await verify(bundle.directory)).findings).toEqual([])
    expect(bundle.begins).toBe(begins)
    for (const path of ['report/report.html', 'README.html', 'statements/completeness.txt'])
      expect(/(he ledger begins on .*? this period)\./.exec(bundle.files.get(path)!)?.[1], path).toBe(begins?.slice(1))
  })

  test('the first page says what it is, links to nothing that is not there, and names every file or its folder', async () => {
    const imports = [{ name: 'crm-csvlog', text: '', target: 'crm', user: 'gateway' }]
    const more = await buildBundle(options({ imports }))
    for (const { files } of [built, more]) {
      const page = files.get('README.html')!
      expect(page).toContain('<title>CRM Example: evidence of controls, 2026-07-01 to 2026-10-01</title>')
      expect(page).toContain(keys.seal.fingerprint)
      expect(page).toContain('1 exceptions-noted')
      const linked = [...page.matchAll(/href="([^"]+)"/g)].map(([, path]) => path!)
      const covers = (link: string, path: string) => path === link || (link.endsWith('/') && path.startsWith(link))
      expect(linked.filter(link => ![...files.keys()].some(path => covers(link, path)))).toEqual([])
      expect(
        [...files.keys()].filter(path => path !== 'README.html' && !linked.some(link => covers(link, path))),
      ).toEqual([])
    }
  })

  test('a ledger that is not whole gives no bundle, and neither does a place that is taken', async () => {
    const broken = folder()
    await cp(ledger, broken, { recursive: true })
    await writeFile(join(broken, 'checkpoint'), 'garbage')
    const given = options()
    await expect(buildBundle({ ...given, ledger: { ...given.ledger, directory: broken } })).rejects.toMatchObject({
      code: 'ERR_LEDGER_INCONSISTENT',
    })
    await expect(buildBundle(options({ out: built.directory }))).rejects.toThrow('not empty')
    await expect(buildBundle(options({ from: '2026-10-01' }))).rejects.toThrow('ends before it begins')
  })

  test('controls that no text discloses are unable to be tested, and the report says so', async () => {
    const given = options()
    const { wrappingKey: _, ...envelopes } = given.ledger
    const bundle = await buildBundle({ ...given, ledger: envelopes })
    expect(bundle.results).toEqual([])
    expect(bundle.files.get('statements/limitations.txt')).toContain('could not be read')
  })
})

describe('stock tools', () => {
  interop(
    ['sh', 'sha256sum', 'diff'],
    'the commands of VERIFY.txt find nothing in a whole bundle, and the file that is too many',
    async () => {
      const directory = folder()
      await cp(built.directory, directory, { recursive: true })
      const text = built.files.get('VERIFY.txt')!
      const listing = /( {4}\{ cut[\s\S]*?listed\n[\s\S]*?listed\n)/
        .exec(text)![1]!
        .replaceAll('/tmp/listed', join(scratch, 'listed'))
      const run = () =>
        execFileSync('sh', ['-c', listing], {
          cwd: directory,
          encoding: 'utf8',
          stdio: 'pipe',
          env: { ...process.env, LC_ALL: 'C' },
        })
      expect(run()).toBe('')
      await writeFile(join(directory, 'views/extra.jsonl'), '{}\n')
      expect(run).toThrow()
    },
  )

  test('the queries, pasted into DuckDB over the files, give the results again', async () => {
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const instance = await DuckDBInstance.create(':memory:', { file_search_path: built.directory })
    const connection = await instance.connect()
    await connection.run(built.files.get('views/open.sql')!)
    for (const result of built.results) {
      const name = `${result.control}.${result.test}`
      await connection.run(`create or replace table population as ${built.files.get(`populations/${name}.sql`)}`)
      const population = await connection.runAndReadAll('select * from population')
      const exceptions = await connection.runAndReadAll(built.files.get(`results/${name}.sql`)!)
      expect([population.currentRowCount, exceptions.currentRowCount]).toEqual([result.population, result.exceptions])
    }
    connection.closeSync()
    instance.closeSync()
  })

  interop(['sha256sum', 'sh', 'basenc'], 'sha256sum accepts the files, and sh proves a single entry', () => {
    const cwd = built.directory
    execFileSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd })
    const proofs = [...built.files.keys()].filter(path => path.startsWith('proofs/'))
    expect(proofs.length).toBeGreaterThan(2)
    for (const proof of proofs) {
      const index = /\d+/.exec(proof)![0]
      expect(execFileSync('sh', ['verify-inclusion.sh', index], { cwd, encoding: 'utf8' })).toBe(
        `entry ${index}: included\n`,
      )
    }
  })

  interop(['sh', 'basenc'], 'sh refuses an entry that was changed', async () => {
    const directory = folder()
    await cp(built.directory, directory, { recursive: true })
    const proof = [...built.files.keys()].find(path => path.startsWith('proofs/'))!
    const index = /\d+/.exec(proof)![0]
    const file = join(directory, 'log/entries.jsonl')
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll('crm', 'crn'))
    expect(() => execFileSync('sh', ['verify-inclusion.sh', index], { cwd: directory, stdio: 'pipe' })).toThrow()
  })

  interop(
    ['sh', 'basenc'],
    "VERIFY.txt's own line proves an entry of this bundle, and refuses it altered",
    async () => {
      const directory = folder()
      await cp(built.directory, directory, { recursive: true })
      const line = /^ {4}(sh verify-inclusion\.sh (\d+))$/m.exec(built.files.get('VERIFY.txt')!)!
      const run = () => spawnSync('sh', ['-c', line[1]!], { cwd: directory, encoding: 'utf8' })
      expect(run()).toMatchObject({ status: 0, stdout: `entry ${line[2]}: included\n` })
      const file = join(directory, 'log/entries.jsonl')
      const lines = (await readFile(file, 'utf8')).split('\n')
      const opening = (await readFile(join(directory, 'log/checkpoint.opening'), 'utf8')).split('\n')[1]
      const at = Number(line[2]) - Number(opening)
      lines[at] = lines[at]!.replace('"time":"2', '"time":"3')
      await writeFile(file, lines.join('\n'))
      expect(run()).toMatchObject({ status: 1, stdout: `entry ${line[2]}: NOT included\n` })
    },
  )

  interop(['sh', 'basenc'], 'sh without an entry that has a proof says so, and not that it is not included', () => {
    const ask = (...args: string[]) => {
      const ran = spawnSync('sh', ['verify-inclusion.sh', ...args], { cwd: built.directory, encoding: 'utf8' })
      return [ran.status, ran.stdout, ran.stderr]
    }
    const usage = [2, '', 'usage: sh verify-inclusion.sh INDEX\n']
    for (const args of [[], [''], ['1', '2'], ['-1'], ['../x']]) expect(ask(...args)).toEqual(usage)
    expect(ask('99999')).toEqual([2, '', 'no proof for entry 99999 in this bundle\n'])
  })

  interop('gpg', 'gpg says GOODSIG and VALIDSIG with the fingerprint', async gpg => {
    const home = await mkdtemp(join(tmpdir(), 'gpg-'))
    try {
      const run = (...args: string[]) =>
        execFileSync(gpg, ['--homedir', home, '--batch', '--no-autostart', ...args], {
          cwd: built.directory,
          encoding: 'utf8',
          stdio: 'pipe',
        })
      run('--import', 'log/ledger.pub.asc')
      const status = run('--status-fd', '1', '--verify', 'SHA256SUMS.asc', 'SHA256SUMS')
      expect(status).toContain('[GNUPG:] GOODSIG')
      expect(status).toContain(`[GNUPG:] VALIDSIG ${keys.seal.fingerprint}`)
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  })

  interop('sqv', 'sqv accepts the signature', sqv => {
    const printed = execFileSync(sqv, ['--keyring', 'log/ledger.pub.asc', 'SHA256SUMS.asc', 'SHA256SUMS'], {
      cwd: built.directory,
      encoding: 'utf8',
    })
    expect(printed.trim()).toBe(keys.seal.fingerprint)
  })

  interop('tar', 'tar lists the archive', async tar => {
    const file = join(scratch, 'bundle.tar.gz')
    await writeFile(file, tarGz('crm', built.files, 1_790_000_000))
    const names = execFileSync(tar, ['-tzf', file], { encoding: 'utf8' }).trim().split('\n')
    expect(names).toEqual([...built.files.keys()].sort().map(path => `crm/${path}`))
  })
})
