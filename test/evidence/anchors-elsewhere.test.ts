/** Anchors where a verification does not see everything: behind a pin, and at an address, where no folder can be listed. */
import { execFileSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Examination } from '../../evidence/examination.ts'
import { checkAnchors } from '../../evidence/steps/anchored.ts'
import { establishTrust, openLedger } from '../../evidence/steps/signed.ts'
import type { Verification, VerifyOptions } from '../../evidence/verify.ts'
import { tagIn } from '../../lib/anchors/obtain.ts'
import type { EntryOf } from '../../lib/format/entry.ts'
import { type Anchored, anchoredLedger, cosigned, publish, startWitness } from '../support/anchored-ledger.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { interop } from '../support/interop.ts'

const codes = ({ findings }: Verification) => findings.map(({ code }) => code)
const stepOf = ({ steps }: Verification) => steps.find(({ name }) => name === 'anchors')!
const logOf = ({ options, vkey }: Anchored) => [{ origin: options.origin, vkey }]

/** A ledger of some bundles, cosigned while it was in its first; and the witness's key. */
async function cosignedLedger() {
  const made = await anchoredLedger()
  const witness = await startWitness(logOf(made))
  await made.use(30, ledger => cosigned(made, ledger, [witness]))
  await made.use(600)
  return { made, witness, keys: { anchors: { witnesses: [witness.verifierKey] } } satisfies Partial<VerifyOptions> }
}

const foldersIn = ({ options: { directory } }: Anchored) =>
  readdirSync(join(directory, 'anchors')).filter(name => /^\d+$/.test(name))

/** The files of the newest size that is vouched for. */
function newestAnchors(made: Anchored): string[] {
  const size = String(Math.max(...foldersIn(made).map(Number)))
  return readdirSync(join(made.options.directory, 'anchors', size)).map(name => `anchors/${size}/${name}`)
}

describe('a verification that goes on from a pin', () => {
  const pinned = async () => {
    const ledger = await cosignedLedger()
    const pin = join(temporaryDirectory(), 'pin')
    expect((await ledger.made.verify({ pin, first: true, ...ledger.keys })).verdict).toBe('OK')
    const again = (more: Partial<VerifyOptions> = {}) =>
      ledger.made.verify({ pin, incremental: true, renew: false, ...more })
    return { ...ledger, again }
  }

  it('counts anchors of before, by what the tiles prove, and misses none of those that it did not read of', async () => {
    const { made, keys, again } = await pinned()
    await made.use(300)
    const result = await again(keys)
    expect([result.verdict, codes(result), result.from > 256]).toEqual(['OK', [], true])
    expect(result.anchors[0]!.size).toBeLessThan(100)
    expect(stepOf(result)).toMatchObject({ status: 'ok', detail: expect.stringContaining('was not examined') })
    rmSync(join(made.options.directory, 'anchors'), { recursive: true })
    expect(codes(await again())).toEqual([])
    expect(codes(await made.verify())).toEqual(['ANCHOR_MISSING'])
    const absent = await again(keys)
    expect([absent.verdict, codes(absent)]).toEqual(['INCOMPLETE', ['ANCHOR_ABSENT']])
  })

  it('misses those that were recorded since', async () => {
    const { made, witness, again } = await pinned()
    await made.use(10, ledger => cosigned(made, ledger, [witness]))
    for (const file of newestAnchors(made)) rmSync(join(made.options.directory, file))
    const result = await again()
    expect([result.verdict, codes(result)]).toEqual(['TAMPERED', ['ANCHOR_MISSING']])
  })

  it('tells a fork from a tile that was altered, though the entries of either are before the pin', async () => {
    const { made, keys, again } = await pinned()
    const { directory } = made.options
    const tile = join(directory, 'tile/0/000')
    const bytes = readFileSync(tile)
    writeFileSync(
      tile,
      bytes.map((byte, i) => (i === 70 ? byte ^ 1 : byte)),
    )
    const altered = await again(keys)
    expect([altered.verdict, codes(altered)]).toEqual(['TAMPERED', ['TILE_ALTERED', 'ANCHOR_ABSENT']])
    rmSync(tile)
    expect(codes(await again())).toEqual(['FILE_MISSING'])
    writeFileSync(tile, bytes)
    const other = await anchoredLedger({ ...made.options, directory: temporaryDirectory() })
    const deceived = await startWitness(logOf(other))
    await other.use(40, ledger => cosigned(other, ledger, [deceived]))
    cpSync(join(other.options.directory, 'anchors'), join(directory, 'anchors'), { recursive: true })
    const forked = await again(keys)
    expect([forked.verdict, codes(forked)]).toEqual(['TAMPERED', ['FORK']])
  })
})

describe('at an address', () => {
  it('those are looked up that entries tell of, and it is said that others cannot be listed', async () => {
    const { made, keys } = await cosignedLedger()
    const directory = await publish(made)
    const result = await made.verify({ directory, ...keys })
    expect([result.verdict, codes(result)]).toEqual(['OK', []])
    expect(result.anchors).toMatchObject([{ anchor: 'witness', by: 'witness.example/w1' }])
    expect(stepOf(result)).toMatchObject({ status: 'ok', detail: expect.stringContaining('cannot be listed') })
    const [file] = newestAnchors(made)
    const path = join(made.options.directory, file!)
    writeFileSync(
      path,
      readFileSync(path).map((byte, i) => (i === 40 ? byte ^ 1 : byte)),
    )
    expect(codes(await made.verify({ directory }))).toEqual(['ANCHOR_INVALID'])
  })

  it('one that is not published is no finding, but for who expects it; one that cannot be had tells nothing', async () => {
    const { made, keys } = await cosignedLedger()
    const hidden = { path: /^\/anchors\//, status: 404 }
    const directory = await publish(made, hidden)
    const plain = await made.verify({ directory })
    expect([plain.verdict, codes(plain)]).toEqual(['OK', []])
    expect(stepOf(plain)).toMatchObject({
      status: 'not-examined',
      detail: expect.stringContaining('1 of them are not published'),
    })
    const expecting = await made.verify({ directory, ...keys })
    expect([expecting.verdict, codes(expecting)]).toEqual(['INCOMPLETE', ['ANCHOR_ABSENT']])
    hidden.status = 403
    const unreachable = await made.verify({ directory, ...keys })
    expect([unreachable.verdict, codes(unreachable)]).toEqual(['INCOMPLETE', ['LEDGER_UNREACHABLE']])
  })

  it('from a pin, those of before are not known of, and nobody is said to be silent', async () => {
    const { made, witness, keys } = await cosignedLedger()
    const directory = await publish(made)
    const pin = join(temporaryDirectory(), 'pin')
    expect((await made.verify({ directory, pin, first: true, ...keys })).verdict).toBe('OK')
    await made.use(300)
    const result = await made.verify({ directory, pin, incremental: true, ...keys })
    expect([result.verdict, codes(result)]).toEqual(['OK', []])
    expect(stepOf(result)).toMatchObject({
      status: 'not-examined',
      detail: expect.stringContaining('no entry since the pin tells of one'),
    })
    await made.use(10, ledger => cosigned(made, ledger, [witness]))
    const next = await made.verify({ directory, pin, incremental: true, ...keys })
    expect([next.verdict, next.anchors.length]).toEqual(['OK', 1])
  })

  interop('git', 'a tag counts whose size only the repository outside tells', async git => {
    const made = await anchoredLedger()
    const outside = temporaryDirectory()
    execFileSync(git, ['init', '--quiet', outside])
    await made.use(30, async () => void (await tagIn(made.options, outside)))
    const directory = await publish(made)
    const pin = join(temporaryDirectory(), 'pin')
    await made.use(600)
    expect((await made.verify({ directory, pin, first: true })).verdict).toBe('OK')
    await made.use(10)
    const result = await made.verify({ directory, pin, incremental: true, anchors: { git: outside } })
    expect([result.verdict, codes(result)]).toEqual(['OK', []])
    expect(result.anchors).toMatchObject([{ anchor: 'git' }])
  })
})

describe('anchors without end', () => {
  it('are missed up to a bound, and that some were not looked up is told', async () => {
    const made = await anchoredLedger()
    await made.use(3)
    const { fingerprint } = made.options.sealer!
    const x = new Examination({ directory: made.options.directory, fingerprint }, false)
    await openLedger(x)
    await establishTrust(x)
    const digest = 'A'.repeat(43)
    const entry = { kind: 'anchored', anchor: 'git', size: 1, file: digest } as EntryOf<'anchored'>
    for (let i = 0; i < 262_146; i += 1) x.add(i, new Uint8Array(), entry)
    await checkAnchors(x)
    expect(x.findings.all().at(-1)).toMatchObject({
      code: 'ANCHOR_ABSENT',
      what: expect.stringContaining('2 entries tell of more anchors than 262144'),
    })
  })
})
