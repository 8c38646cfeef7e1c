/** What a writer takes up again is derived again from the entries: a snapshot that says anything else is named, whoever signed it. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Verification, verifyLedger } from '../../evidence/index.ts'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { snapshotFile } from '../../lib/format/layout.ts'
import { Living } from '../../lib/format/living.ts'
import { signNote } from '../../lib/format/note.ts'
import { encodeSnapshot, parseSnapshot, snapshotOf } from '../../lib/format/snapshot.ts'
import { Standing } from '../../lib/format/standing.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectoryLedger, openForKeys } from '../../lib/ledger/directory.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { keyHistory, rotationDraft } from '../../lib/ledger/rotation.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import {
  crashImage,
  decision,
  ledgerOptions,
  origin,
  outcome,
  settled,
  temporaryDirectory,
} from '../support/directory-ledger.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'

const id = (n: number) => `a-${String(n).padStart(10, '0')}`
const exchange = '0190b0a0-0000-7000-8000-00000000abcd'
const asked = {
  action: 'A'.repeat(43),
  accesses: [{ action: 'update', resource: 'crm/public.customers' }],
  controls: ['AC-03'],
}
const approval: Draft = {
  ...{ kind: 'approval-requested', approval: id(1), exchange, subject: 'A'.repeat(22) },
  ...{ ...asked, people: 1, roles: [], until: '2099-01-01T00:00:00.000Z' },
}
const used: Draft = { ...(decision(exchange) as Draft & { kind: 'decision' }), approval: id(1) }

let options: DirectoryOptions
let fingerprint: string

beforeEach(async () => {
  const key = await readPrivateKey((await generateKey({ name: 'Test ledger' })).privateKey)
  fingerprint = key.fingerprint
  options = ledgerOptions({ sealer: openpgpSealer(key) })
  const ledger = await openDirectoryLedger(options)
  await ledger.append([{ kind: 'principal', subject: 'A'.repeat(22), type: 'person' }, approval])
  for (let i = 0; i < 3; i += 1) await ledger.append(Array.from({ length: 200 }, () => settled()))
  await ledger.seal()
  await ledger.append([used, outcome(exchange)])
  await ledger.close()
})

const path = (name: string | number) => join(options.directory, 'snapshot', String(name))
const sizes = () =>
  readdirSync(join(options.directory, 'snapshot'))
    .map(Number)
    .sort((a, b) => a - b)
const verify = (threads = 1) => verifyLedger({ directory: options.directory, fingerprint, threads })
const step = ({ steps }: Verification) => steps.find(({ name }) => name === 'snapshots')
const invalid = async () => {
  const { verdict, findings } = await verify()
  return { verdict, findings: findings.map(({ code, file, what }) => ({ code, file, what })) }
}

describe('the snapshots of a ledger', () => {
  it('are read no further than their signed notes allow, however long their files are', async () => {
    const [older, newest] = sizes()
    truncateSync(path(newest!), 900 * 1024 * 1024)
    truncateSync(path(older!), 0)
    truncateSync(path(older!), 900 * 1024 * 1024)
    const { verdict, findings } = await invalid()
    expect(verdict).toBe('TAMPERED')
    expect(findings).toMatchObject([
      { code: 'SNAPSHOT_INVALID', file: `snapshot/${older}` },
      { code: 'SNAPSHOT_INVALID', file: `snapshot/${newest}`, what: expect.stringContaining('is larger than') },
    ])
  })

  it('are derived again, also by several threads', async () => {
    for (const threads of [1, 2]) {
      const verification = await verify(threads)
      expect(verification.findings).toEqual([])
      expect(step(verification)).toEqual({
        ...{ name: 'snapshots', status: 'ok' },
        detail: `derived again from the entries: those of ${sizes().join(' and ')} entries`,
      })
    }
  })

  it('are named where the keys signed another state: an approval that was used is open again', async () => {
    const last = sizes().at(-1)!
    const of = parseCheckpoint(readFileSync(join(options.directory, 'checkpoint')))
    const { living } = parseSnapshot(readFileSync(path(last)))
    expect(living.entries().map(({ entry }) => entry.kind)).toContain('decision')
    const kept = living.entries().filter(({ entry }) => entry.kind !== 'decision')
    const { text, body } = snapshotOf(of, Living.resume(last, living.latest, living.writers, kept))
    const { privateKey, publicKey } = noteKeyOf(options.noteKey, options.origin)
    writeFileSync(path(last), encodeSnapshot(text, signNote(text, options.origin, privateKey, publicKey), body))
    // It opens as if nothing were wrong: that is why it is examined.
    const what = `a snapshot says other than the first ${last} entries`
    expect(await invalid()).toEqual({
      verdict: 'TAMPERED',
      findings: [{ code: 'SNAPSHOT_INVALID', file: snapshotFile(last), what }],
    })
  })

  it('are named where they are altered, of another tree, of another key, or none at all', async () => {
    const [first, last] = sizes() as [number, number]
    const whole = readFileSync(path(last))
    const stranger = ledgerOptions()
    const other = await openDirectoryLedger(stranger)
    await other.append(Array.from({ length: last - 3 }, () => settled()))
    await other.close()
    const forged = Buffer.from(whole)
    forged[forged.length - 1]! ^= 1
    const otherVersion = Buffer.from(whole.toString('latin1').replace('snapshot 2\n', 'snapshot 9\n'), 'latin1')
    const strange = readFileSync(join(stranger.directory, snapshotFile(last)))
    for (const bytes of [
      forged,
      otherVersion,
      strange,
      whole.subarray(0, 9),
      readFileSync(path(first)),
      Buffer.alloc(0),
    ]) {
      writeFileSync(path(last), bytes)
      expect((await invalid()).findings).toMatchObject([{ code: 'SNAPSHOT_INVALID', file: snapshotFile(last) }])
    }
    writeFileSync(path(last), whole)
    writeFileSync(path(last + 1), whole)
    writeFileSync(path('notes'), 'x')
    expect((await invalid()).findings.map(({ file }) => file)).toEqual(['snapshot/notes', snapshotFile(last + 1)])
  })

  // biome-ignore format: a table
  it.each<[string, day: string, size: (entries: number) => number, expected: readonly string[]]>([
    ['of no entry at all',                      '01', () => 0,      ['SNAPSHOT_INVALID']],
    ['of entries one of whose days never was',  '00', size => size, ['SNAPSHOT_INVALID', 'TIME_ORDER']],
  ])('are named where the keys signed one %s', async (_, day, sizeOf, expected) => {
    const builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
    builder.add('stopped', {}, {}, { time: `2026-07-${day}T00:00:02.000Z` })
    const directory = temporaryDirectory()
    await builder.write(directory)
    const size = sizeOf(builder.entries.length)
    const living = Living.resume(size, 0, new Standing(), [])
    const { text, body } = snapshotOf(await builder.checkpoint(size), living)
    const { note } = builder.keys
    const file = join(directory, snapshotFile(size))
    mkdirSync(dirname(file))
    writeFileSync(file, encodeSnapshot(text, signNote(text, builder.origin, note, createPublicKey(note)), body))
    const { fingerprint } = builder
    const { verdict, findings } = await verifyLedger({ directory, fingerprint, threads: 1 })
    expect(verdict).toBe('TAMPERED')
    expect(findings.map(({ code }) => code)).toEqual(expected)
  })

  it('of rules that this version does not know are told, and not examined', async () => {
    const [first] = sizes() as [number]
    const { note } = parseSnapshot(readFileSync(path(first)))
    const text = note.text.replace('snapshot 2\n', 'snapshot 3\n')
    const { privateKey, publicKey } = noteKeyOf(options.noteKey, options.origin)
    const signature = signNote(text, options.origin, privateKey, publicKey)
    writeFileSync(path(first), encodeSnapshot(text, signature, Buffer.from('whatever')))
    const verification = await verify()
    expect(verification.verdict).toBe('OK')
    expect(step(verification)!.detail).toMatch(/; 1 of another version, not examined$/)
  })

  it('that are gone are missed by nobody: what they stand for is in the entries', async () => {
    rmSync(join(options.directory, 'snapshot'), { recursive: true })
    const verification = await verify()
    expect(verification.verdict).toBe('OK')
    expect(step(verification)).toMatchObject({ status: 'ok', detail: 'none' })
  })
})

describe('a ledger that is taken up from a snapshot', () => {
  it('goes on with the counters of everybody, and knows a new writer without reading what is before', async () => {
    for (const writer of ['another', 'crm-gateway', 'another']) {
      const ledger = await openDirectoryLedger({ ...options, writer })
      await ledger.append([settled()])
      await ledger.close()
    }
    expect((await verify()).findings).toEqual([])
    const bundle = join(options.directory, 'tile/entries/001')
    renameSync(bundle, `${bundle}.away`)
    const ledger = await openDirectoryLedger({ ...options, writer: 'a-third' })
    await ledger.close()
    renameSync(`${bundle}.away`, bundle)
    expect(existsSync(bundle)).toBe(true)
    expect((await verify()).findings).toEqual([])
  })

  it('is taken up after a rotation too, from a snapshot that the new key signed', async () => {
    const { noteKey, sealer } = { noteKey: noteKeyOf(options.noteKey, origin), sealer: options.sealer! }
    const after = { noteKey: noteKeyOf(generateKeyPairSync('ed25519').privateKey, origin), sealer }
    const ledger = await openForKeys(options)
    const history = await keyHistory(ledger.entries())
    const draft = await rotationDraft({ origin, history, before: { noteKey, sealer }, after })
    const { size } = await ledger.rotate([draft], after)
    expect(sizes().at(-1)).toBe(size)
    const image = crashImage({ ...options, noteKey: after.noteKey.privateKey })
    await ledger.close()
    rmSync(join(image.directory, 'tile/entries/001'))
    const again = await openDirectoryLedger(image)
    await again.append([settled()])
    await again.close()
    expect((await verify()).findings).toEqual([])
  })
})
