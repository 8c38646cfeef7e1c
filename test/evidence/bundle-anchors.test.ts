/** What others vouch for, carried by a bundle: counted by keys from outside, checked with stock tools, and named where it was altered. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bundleConclusion } from '../../cli/conclusion.ts'
import type { BundleResult } from '../../evidence/bundle/build.ts'
import { stampBy, tagIn } from '../../lib/anchors/obtain.ts'
import { type Anchored, anchoredLedger, cosigned, startWitness } from '../support/anchored-ledger.ts'
import { authorities, authority, serveAuthority } from '../support/authority.ts'
import { bundleOf, forgedOf, type Source, verifyOf } from '../support/bundle-of.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { findTool, interop } from '../support/interop.ts'

const sourceOf = ({ options: { directory, sealer } }: Anchored): Source => ({ directory, sealer: sealer! })
const codes = (result: { findings: readonly { code: string }[] }) => result.findings.map(({ code }) => code)
const anchorsIn = ({ manifest }: BundleResult) =>
  manifest.files.map(({ path }) => path).filter(path => /^anchors\/\d/.test(path))
const logOf = ({ options, vkey }: Anchored) => [{ origin: options.origin, vkey }]
const stepOf = (result: { steps: readonly { name: string; status: string; detail: string }[] }) =>
  result.steps.find(({ name }) => name === 'anchors')!

describe('the cosignatures of a ledger, in its bundle', () => {
  it('are counted by the keys of the witnesses, which say how much of it cannot have been rewritten', async () => {
    const made = await anchoredLedger()
    const [one, two] = [
      await startWitness(logOf(made)),
      await startWitness(logOf(made), { name: 'witness.example/w2' }),
    ]
    await made.use(20, ledger => cosigned(made, ledger, [one]))
    await made.use(5, ledger => cosigned(made, ledger, [one, two]))
    const source = sourceOf(made)
    const bundle = await bundleOf(source)
    expect(anchorsIn(bundle)).toHaveLength(3)
    const witnesses = [one.verifierKey, two.verifierKey]
    const result = await verifyOf(bundle.directory, source, { anchors: { witnesses, quorum: 2 } })
    expect([result.verdict, result.findings]).toEqual(['OK', []])
    expect(result.anchors.map(({ by }) => by)).toEqual(['witness.example/w1', 'witness.example/w2'])
    const { size } = result.anchors[1]!
    expect(stepOf(result).detail).toContain(`vouches for ${size} of ${result.manifest!.ledger.closing.size} entries`)
    expect(result.undetectable).toContain(`first ${size} entries that witness.example/w`)

    const plain = await verifyOf(bundle.directory, source)
    expect([plain.verdict, stepOf(plain).detail]).toEqual(['OK', expect.stringContaining('was not examined')])
    expect(plain.undetectable).toContain('against a checkpoint held elsewhere')
    const stranger = await startWitness(logOf(made), { name: 'witness.example/w3' })
    const absent = await verifyOf(bundle.directory, source, { anchors: { witnesses: [stranger.verifierKey] } })
    expect([absent.verdict, codes(absent)]).toEqual(['INCOMPLETE', ['ANCHOR_ABSENT']])
    expect(bundleConclusion(absent)).toContain(
      'could not be told: the given witness has not cosigned what this bundle covers',
    )
    const rows = bundle.files.get('anchors/index.csv')!.trim().split('\n')
    expect(rows.filter(row => row.includes(',witness.example/w1,'))).toHaveLength(2)
    expect(bundle.files.get('report/report.html')).toContain('whose they are, their own keys tell')
  })

  it('that came after the period vouch for it too, by the proof that their tree begins with it', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness(logOf(made))
    await made.use(20)
    const to = new Date(Date.now() + 1).toISOString()
    while (new Date().toISOString() <= to) await new Promise(resolve => setImmediate(resolve))
    for (const _ of [1, 2]) await made.use(5, ledger => cosigned(made, ledger, [witness]))
    const source = sourceOf(made)
    const bundle = await bundleOf(source, { to })
    // The next one is enough.
    expect(anchorsIn(bundle)).toHaveLength(1)
    const anchors = { witnesses: [witness.verifierKey] }
    const result = await verifyOf(bundle.directory, source, { anchors })
    expect([result.verdict, result.findings]).toEqual(['OK', []])
    expect(result.anchors[0]!.size).toBeGreaterThan(result.manifest!.ledger.closing.size)
    expect(result.undetectable).toContain('All that it shows of the log is among the')

    const { trees } = JSON.parse(bundle.files.get('log/later.json')!)
    const other = JSON.stringify({ trees: [{ ...trees[0], hashes: [trees[0].root] }] })
    const forged = await verifyOf(await forgedOf(bundle, source, { 'log/later.json': `${other}\n` }), source, {
      anchors,
    })
    expect(forged.findings).toMatchObject([
      { code: 'ANCHOR_INVALID', file: 'log/later.json' },
      { code: 'ANCHOR_ABSENT' },
    ])
    expect(forged.verdict).toBe('TAMPERED')
  })

  it('are named where one was altered, taken away or put in, though a forger lists and signs all of it anew', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness(logOf(made))
    await made.use(20, ledger => cosigned(made, ledger, [witness]))
    const source = sourceOf(made)
    const bundle = await bundleOf(source)
    const [path] = anchorsIn(bundle) as [string]
    const bytes = readFileSync(join(bundle.directory, path))
    const altered = Buffer.from(bytes.map((byte, i) => (i === bytes.length - 9 ? byte ^ 1 : byte)))
    const found = async (change: Record<string, Uint8Array | undefined>) =>
      (await verifyOf(await forgedOf(bundle, source, change), source)).findings.map(({ code, file }) => [code, file])
    expect(await found({ [path]: altered })).toContainEqual(['ANCHOR_INVALID', path])
    expect(await found({ [path]: undefined })).toContainEqual(['ANCHOR_MISSING', path])
    const misplaced = path.replace(/^anchors\/\d+/, `anchors/${bundle.manifest.ledger.closing.size + 100}`)
    expect(await found({ [misplaced]: bytes })).toContainEqual(['ANCHOR_INVALID', misplaced])
    expect(await found({ [path.replace('.note', '.tsr')]: bytes })).toContainEqual([
      'ANCHOR_INVALID',
      path.replace('.note', '.tsr'),
    ])
    writeFileSync(join(bundle.directory, path), altered)
    const naive = await verifyOf(bundle.directory, source)
    expect(naive.findings).toContainEqual(expect.objectContaining({ code: 'FILE_CHANGED', file: path }))
  })

  it('of another history than the one that it shows are a fork, whoever signed the bundle', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness(logOf(made))
    await made.use(20, ledger => cosigned(made, ledger, [witness]))
    const again = await anchoredLedger({ ...made.options, directory: temporaryDirectory() })
    await again.use(20, ledger => cosigned(again, ledger, []))
    const source = sourceOf(made)
    const [path] = anchorsIn(await bundleOf(source)) as [string]
    const rewritten = await bundleOf(sourceOf(again))
    const note = readFileSync(join(made.options.directory, path))
    const forged = await forgedOf(rewritten, source, { [path]: note })
    expect(codes(await verifyOf(forged, source))).toContain('FORK')
  })
})

interop(
  ['dash', 'openssl'],
  "openssl and a page of sh verify a bundle's time stamp and cosignature, as VERIFY.txt says",
  async dash => {
    const tsa = authority(findTool('openssl')!, 'bundled')
    const made = await anchoredLedger()
    const witness = await startWitness(logOf(made))
    await made.use(20, ledger => cosigned(made, ledger, [witness]))
    const got = await stampBy(made.options, await serveAuthority(tsa), authorities(tsa))
    await made.use(5, ledger => cosigned(made, ledger, []))
    const source = sourceOf(made)
    const bundle = await bundleOf(source)
    const text = bundle.files.get('VERIFY.txt')!
    const commands = text.split('\n').map(line => line.trim())
    const stamp = commands.find(line => line.startsWith('openssl ts -verify'))!.replace('AUTHORITY.pem', tsa.ca)
    const sh = (command: string) => spawnSync(dash, ['-c', command], { cwd: bundle.directory, encoding: 'utf8' })
    const stamped = sh(stamp)
    expect([stamped.status, stamped.stdout.trim() || stamped.stderr]).toEqual([
      0,
      expect.stringContaining('Verification: OK'),
    ])
    const cosignature = commands.find(line => line.startsWith('sh verify-cosignature.sh'))!
    const checked = sh(cosignature.replace('WITNESS-KEY', `'${witness.verifierKey}'`))
    expect([checked.status, checked.stdout]).toEqual([0, expect.stringContaining('cosigned by witness.example/w1 at ')])
    const stranger = await startWitness(logOf(made))
    expect(sh(cosignature.replace('WITNESS-KEY', `'${stranger.verifierKey}'`))).toMatchObject({ status: 1 })
    expect(sh(cosignature.replace('WITNESS-KEY', 'nobody'))).toMatchObject({ status: 2 })

    const anchors = { authorities: readFileSync(tsa.ca, 'utf8') }
    const result = await verifyOf(bundle.directory, source, { anchors })
    expect([result.verdict, result.findings]).toEqual(['OK', []])
    expect(result.anchors).toMatchObject([{ anchor: 'timestamp', by: got.by, size: got.size }])
    const path = anchorsIn(bundle).find(file => file.endsWith('.tsr'))!
    const listed = bundle.files.get('anchors/index.csv')!.trim().split('\n')
    expect(listed.filter(row => row.includes(',timestamp,'))).toEqual([
      expect.stringMatching(
        new RegExp(`,timestamp,${got.by},${got.size},${new Date(got.at).toISOString()},${path},anchors/.*\\.note$`),
      ),
    ])
    const bytes = readFileSync(join(bundle.directory, path))
    const broken = Buffer.from(bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)))
    writeFileSync(join(bundle.directory, path), broken)
    expect(sh(stamp).status).not.toBe(0)
    const forged = await verifyOf(await forgedOf(bundle, source, {}), source, { anchors })
    expect(forged.findings).toContainEqual(expect.objectContaining({ code: 'ANCHOR_INVALID', file: path }))
  },
)

interop('git', 'a tag is named in a bundle, and counts where it was pushed to', async git => {
  const repository = temporaryDirectory()
  execFileSync(git, ['init', '--quiet', repository])
  const made = await anchoredLedger()
  await made.use(20)
  const tagged = await tagIn(made.options, repository)
  await made.use(5, ledger => cosigned(made, ledger, []))
  const source = sourceOf(made)
  const bundle = await bundleOf(source)
  expect(anchorsIn(bundle).filter(path => path.endsWith('.tag'))).toEqual([])
  expect(bundle.files.get('anchors/index.csv')).toContain(`,git,${tagged.by},${tagged.size},`)
  const result = await verifyOf(bundle.directory, source, { anchors: { git: repository } })
  expect([result.verdict, result.findings]).toEqual(['OK', []])
  expect(result.anchors).toMatchObject([{ anchor: 'git', size: tagged.size }])
  const empty = temporaryDirectory()
  execFileSync(git, ['init', '--quiet', empty])
  const absent = await verifyOf(bundle.directory, source, { anchors: { git: empty } })
  expect([absent.verdict, codes(absent)]).toEqual(['INCOMPLETE', ['ANCHOR_ABSENT']])
})
