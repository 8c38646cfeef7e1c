import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readPin, writePin } from '../../evidence/pin.ts'
import { type Verification, type VerifyOptions, verifyLedger } from '../../evidence/verify.ts'
import { parseEntry } from '../../lib/format/entry.ts'
import { type BuilderKeys, builderKeys, digestOf, LedgerBuilder } from '../support/ledger-builder.ts'

let keys: BuilderKeys
let scratch: string
let count = 0

beforeAll(async () => {
  keys = await builderKeys()
  scratch = await mkdtemp(join(tmpdir(), 'verify-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const folder = () => {
  count += 1
  return join(scratch, String(count))
}

async function build(heartbeats: number): Promise<LedgerBuilder> {
  const builder = await new LedgerBuilder({ keys }).open()
  builder.principal('dba@crm.example', 'person')
  for (let i = 0; i < heartbeats; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
  return builder
}

function permitted(builder: LedgerBuilder): string {
  const exchange = builder.uuid()
  builder.add('decision', {
    ...{ exchange, protocol: 'postgres', target: 'crm', action: digestOf('x'), accesses: [], controls: [] },
    ...{ risk: 'low', read: true, verdict: 'permit', durability: 'durable' },
  })
  return exchange
}

const options = (builder: LedgerBuilder, directory: string, more: Partial<VerifyOptions> = {}): VerifyOptions => ({
  directory,
  fingerprint: builder.fingerprint,
  now: Date.parse('2026-08-01T00:00:00Z'),
  ...more,
})
const codes = ({ findings }: { findings: readonly { code: string }[] }) => findings.map(finding => finding.code)

async function files(directory: string): Promise<string[]> {
  const all = await readdir(directory, { recursive: true, withFileTypes: true })
  return all.filter(f => f.isFile()).map(f => join(f.parentPath, f.name).slice(directory.length + 1))
}

describe('verifyLedger', () => {
  test.each([1, 253, 254, 255, 600])('accepts a whole ledger of 3 + %i entries, vault included', async heartbeats => {
    const builder = await build(heartbeats)
    const directory = folder()
    await builder.write(directory, { seals: [2, builder.entries.length] })
    const result = await verifyLedger(options(builder, directory, { wrappingKey: builder.wrappingKey }))
    expect(result.findings).toEqual([])
    expect(result.verdict).toBe('OK')
    expect(result.size).toBe(3 + heartbeats)
    expect(result.seal?.size).toBe(3 + heartbeats)
    expect(result.undetectable).toContain('could have rewritten all of it')
  })

  test('names the file of one changed byte, whichever it is', async () => {
    const builder = await build(2)
    const directory = folder()
    await builder.write(directory)
    const given = options(builder, directory, { wrappingKey: builder.wrappingKey })
    for (const file of await files(directory)) {
      const whole = await readFile(join(directory, file))
      // Slots that were never used are zeros, and stand for nothing.
      const length = file.startsWith('vault/slots') ? 64 : whole.length
      for (let at = 0; at < length; at += Math.max(1, Math.floor(length / 37))) {
        const changed = Buffer.from(whole)
        changed[at] = changed[at]! ^ 0x01
        await writeFile(join(directory, file), changed)
        const result = await verifyLedger(given)
        // The armor of a certificate has bytes that stand for nothing: its comment lines and line ends.
        if (file === 'keys/seal.pub.asc') expect(['OK', 'TAMPERED']).toContain(result.verdict)
        else {
          expect(result.verdict, `${file} at ${at}`).toBe('TAMPERED')
          const named = result.findings.some(finding => finding.file === file || finding.index === 0)
          expect(named, `${file} at ${at}: ${JSON.stringify(result.findings)}`).toBe(true)
        }
      }
      await writeFile(join(directory, file), whole)
    }
    expect((await verifyLedger(given)).verdict).toBe('OK')
  })

  test('names the missing file, whichever it is', async () => {
    const builder = await build(300)
    const directory = folder()
    await builder.write(directory)
    for (const file of await files(directory)) {
      const whole = await readFile(join(directory, file))
      await rm(join(directory, file))
      const given = options(builder, directory, { wrappingKey: builder.wrappingKey })
      const result = await verifyLedger(given)
      const optional = file.startsWith('checkpoint.d/')
      expect(result.verdict, file).toBe(optional ? 'OK' : file === 'checkpoint' ? 'INCOMPLETE' : 'TAMPERED')
      await writeFile(join(directory, file), whole)
    }
  })

  test('names the entry that was altered, and the two that changed places', async () => {
    const builder = await build(4)
    const directory = folder()
    const [four, five] = [builder.entries[4]!, builder.entries[5]!]
    await builder.write(directory)
    const { encodeBundle } = await import('../../lib/format/tile.ts')
    const bundle = join(directory, 'tile/entries/000.p/7')
    const altered = Buffer.from(four.toString().replace('"open":0', '"open":1'))
    await writeFile(bundle, encodeBundle(builder.entries.with(4, altered)))
    const result = await verifyLedger(options(builder, directory))
    expect(result.findings[0]).toMatchObject({ code: 'ENTRY_ALTERED', index: 4, file: 'tile/entries/000.p/7' })
    expect(codes(result)).toContain('LEDGER_ROOT')
    await writeFile(bundle, encodeBundle(builder.entries.with(4, five).with(5, four)))
    const moved = await verifyLedger(options(builder, directory))
    expect(moved.findings.slice(0, 2)).toMatchObject([
      { code: 'ENTRY_MOVED', index: 4 },
      { code: 'ENTRY_MOVED', index: 5 },
    ])
  })

  test('a rewritten history passes without a pin, which is said, and is a fork with one', async () => {
    const [honest, rewritten] = [await build(6), await build(6)]
    const [directory, pin] = [folder(), join(scratch, 'pins', 'fork.json')]
    await honest.write(directory)
    const given = options(honest, directory, { pin })
    expect((await verifyLedger({ ...given, first: true })).verdict).toBe('OK')
    const kept = await readFile(pin, 'utf8')
    const entry = parseEntry(rewritten.entries[5]!)
    rewritten.replace(5, Buffer.from(JSON.stringify({ ...entry, open: 7 })))
    rewritten.add('heartbeat', { open: 0, interval: 60 })
    await rewritten.write(directory)
    const plain = await verifyLedger(options(honest, directory))
    expect(plain.verdict).toBe('OK')
    expect(plain.undetectable).toContain('could have rewritten all of it')
    const pinned = await verifyLedger(given)
    expect(pinned.verdict).toBe('TAMPERED')
    expect(codes(pinned)).toContain('FORK')
    expect(await readFile(pin, 'utf8')).toBe(kept)
  })

  test('a ledger that grew in order replaces the pin; a shorter one is a rollback and does not', async () => {
    const builder = await build(3)
    const [directory, pin] = [folder(), join(scratch, 'pins', 'grow.json')]
    await builder.write(directory)
    const given = options(builder, directory, { pin })
    await verifyLedger({ ...given, first: true })
    for (let i = 0; i < 5; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
    await builder.write(directory)
    const grown = await verifyLedger(given)
    expect(grown.verdict).toBe('OK')
    const kept = await readFile(pin, 'utf8')
    expect(JSON.parse(kept).size).toBe(11)
    await builder.write(directory, { size: 8 })
    const cut = await verifyLedger(given)
    expect(cut.verdict).toBe('TAMPERED')
    expect(codes(cut)).toContain('ROLLBACK')
    expect(await readFile(pin, 'utf8')).toBe(kept)
  })

  test('whatever a heartbeat promises, the pin that is kept can be read again, and is replaced by nothing that cannot', async () => {
    const builder = await build(1)
    const [directory, pin] = [folder(), join(scratch, 'pins', 'promised.json')]
    const given = options(builder, directory, { pin })
    await builder.write(directory)
    await verifyLedger({ ...given, first: true })
    // As milliseconds these are none that come back as seconds.
    for (const interval of [138_809_705_344_633, Number.MAX_SAFE_INTEGER]) {
      builder.add('heartbeat', { open: 0, interval })
      await builder.write(directory)
      for (const incremental of [false, true]) expect(codes(await verifyLedger({ ...given, incremental }))).toEqual([])
      expect((await readPin(pin))?.state?.writers[0]?.interval).toBe(interval)
    }
    const kept = await readPin(pin)
    const unreadable = writePin(pin, { ...kept!, size: 0.5 })
    await expect(unreadable).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_ROLLBACK' })
    expect(await readPin(pin)).toEqual(kept)
  })

  test('a pin that is gone is no first run, and a pin that is garbage is not one to compare with', async () => {
    const builder = await build(1)
    const [directory, pin] = [folder(), join(scratch, 'gone.json')]
    await builder.write(directory)
    const gone = await verifyLedger(options(builder, directory, { pin }))
    expect([gone.verdict, gone.integrity.verdict]).toEqual(['INCOMPLETE', 'undetermined'])
    expect(codes(gone)).toEqual(['PIN_MISSING'])
    const what = `no pin at ${pin}; if this is the first verification, a person says --first`
    expect(gone.findings[0]?.what).toBe(what)
    await writeFile(pin, '{"size":')
    expect(codes(await verifyLedger(options(builder, directory, { pin })))).toEqual(['PIN_UNREADABLE'])
    expect(await readFile(pin, 'utf8')).toBe('{"size":')
  })

  test('another key than the pinned one is a substitution, also where it signed everything anew', async () => {
    const builder = await build(1)
    const other = new LedgerBuilder({ keys: await builderKeys('another') })
    const directory = folder()
    await (await other.open()).write(directory)
    const result = await verifyLedger(options(builder, directory))
    expect(result.verdict).toBe('TAMPERED')
    expect(result.findings.find(({ code }) => code === 'KEY_SUBSTITUTED')).toMatchObject({
      expected: builder.keys.seal.fingerprint,
      actual: other.keys.seal.fingerprint,
    })
    expect(codes(await verifyLedger(options(other, directory, { origin: 'other.example' })))).toContain('ORIGIN')
  })

  test('a gap in a counter and a silence are completeness, and leave integrity whole', async () => {
    const builder = await build(1)
    builder.add('heartbeat', { open: 0, interval: 60 }, {}, { seq: 9 })
    builder.now += 600_000
    builder.add('heartbeat', { open: 0, interval: 60 }, {}, { seq: 10 })
    builder.now -= 900_000
    builder.add('heartbeat', { open: 0, interval: 60 }, {}, { seq: 11 })
    const directory = folder()
    await builder.write(directory)
    const result = await verifyLedger(options(builder, directory))
    expect(codes(result)).toEqual(['SEQUENCE_GAP', 'SILENCE', 'TIME_ORDER'])
    expect([result.verdict, result.integrity.verdict, result.completeness.verdict]).toEqual([
      'INCOMPLETE',
      'whole',
      'gaps',
    ])
    expect(result.gaps.map(gap => gap.kind)).toEqual(['sequence', 'silence'])
  })

  test('a pin is written and renewed on OK alone: behind a gap it would hide that from who goes on from there', async () => {
    const builder = await build(1)
    const [directory, pin, other] = [folder(), join(folder(), 'pin'), join(folder(), 'pin')]
    await builder.write(directory)
    await verifyLedger(options(builder, directory, { pin, first: true }))
    const before = await readFile(pin, 'utf8')
    builder.now += 600_000
    builder.add('heartbeat', { open: 0, interval: 60 })
    await builder.write(directory)
    expect(await verifyLedger(options(builder, directory, { pin }))).toMatchObject({ verdict: 'INCOMPLETE' })
    expect(await readFile(pin, 'utf8')).toBe(before)
    const first = await verifyLedger(options(builder, directory, { pin: other, first: true }))
    expect(first.steps.at(-1)).toMatchObject({ name: 'new pin', status: 'not-examined' })
    await expect(readFile(other)).rejects.toThrow('ENOENT')
  })

  test('nothing reassures of a ledger that is not what was pinned, or of a pin that nothing was held against', async () => {
    const [builder, other] = [await build(3), await new LedgerBuilder({ keys, origin: 'other.example' }).open()]
    const [directory, pin] = [folder(), join(folder(), 'pin')]
    await builder.write(directory)
    await verifyLedger(options(builder, directory, { pin, first: true }))
    const undetectable = async (by: LedgerBuilder, more: Partial<VerifyOptions> = {}) =>
      (await verifyLedger(options(by, directory, { pin, ...more }))).undetectable
    const none =
      /^Not even the 6 entries pinned at \S+ are shown to be what they were, since what stands here does not agree/
    expect(await undetectable(builder, { fingerprint: 'A'.repeat(40) })).toMatch(/was compared with nothing/)
    await builder.write(directory, { size: 4 })
    expect(await undetectable(builder)).toMatch(none)
    builder.replace(3, Buffer.from(JSON.stringify({ ...parseEntry(builder.entries[3]!), open: 7 })))
    await builder.write(directory)
    expect(await undetectable(builder)).toMatch(none)
    await rm(directory, { recursive: true })
    await other.write(directory)
    expect(await undetectable(other)).toMatch(none)
  })

  test('a stop in order is no silence, an outcome of nothing and a repeated id are named', async () => {
    const builder = await build(1)
    builder.add('stopped', {})
    builder.now += 3_600_000
    builder.add('started', { software: 'builder', placement: 'gateway', epoch: 2, interval: 60 })
    const directory = folder()
    await builder.write(directory)
    const stopped = await verifyLedger(options(builder, directory))
    expect([stopped.verdict, stopped.gaps.map(gap => gap.kind)]).toEqual(['OK', ['stopped']])
    const outcome = { exchange: builder.uuid(), result: 'completed', items: 0, bytes: 0 } as const
    builder.add('outcome', outcome, {}, { id: parseEntry(builder.entries[3]!).id })
    await builder.write(directory)
    expect(codes(await verifyLedger(options(builder, directory)))).toEqual(['ENTRY_REPEATED', 'OUTCOME_ORPHAN'])
  })

  describe('a writer that whoever leads gave up after a crash', () => {
    const given = async (before = 5_000) => {
      const builder = await build(1)
      const exchange = permitted(builder)
      builder.now += before
      builder.add('recovered', { epoch: 2, torn: 0 })
      builder.add('outcome', { exchange, result: 'unknown', items: 0, bytes: 0 })
      const directory = folder()
      await builder.write(directory)
      return { builder, directory }
    }
    const silences = (result: Verification) => codes(result).filter(code => code === 'SILENCE')
    const start = { software: 'builder', placement: 'gateway', epoch: 2, interval: 60 } as const

    test.each([false, true])(
      'is no silence once it starts again, from a pin: %s; the crash is told',
      async incremental => {
        const { builder, directory } = await given()
        const pin = join(folder(), 'pin')
        if (incremental) await verifyLedger(options(builder, directory, { pin, first: true }))
        builder.now += 3_600_000
        builder.add('started', start)
        await builder.write(directory)
        const result = await verifyLedger(options(builder, directory, incremental ? { pin, incremental } : {}))
        expect(silences(result)).toEqual([])
        expect(result.gaps.map(({ kind, writer }) => [kind, writer])).toEqual([['crash', 'gateway-1']])
      },
    )

    test('is silent where it speaks again and never started, and where nothing came before it was given up', async () => {
      const { builder, directory } = await given()
      builder.now += 3_600_000
      builder.add('heartbeat', { open: 0, interval: 60 })
      await builder.write(directory)
      expect(silences(await verifyLedger(options(builder, directory)))).toEqual(['SILENCE'])
      const late = await given(3_600_000)
      expect(silences(await verifyLedger(options(late.builder, late.directory)))).toEqual(['SILENCE'])
    })
  })

  test('a seal that disagrees with the entries is a fork, and one by another key is no seal', async () => {
    const [honest, rewritten] = [await build(6), await build(6)]
    const directory = folder()
    rewritten.replace(3, Buffer.from(JSON.stringify({ ...parseEntry(rewritten.entries[3]!), open: 7 })))
    await honest.write(directory, { seals: [5] })
    const seal = await readFile(join(directory, 'checkpoint.d/5'))
    await rewritten.write(directory)
    await writeFile(join(directory, 'checkpoint.d/5'), seal)
    expect(codes(await verifyLedger(options(honest, directory)))).toEqual(['FORK'])
    await writeFile(join(directory, 'checkpoint.d/6'), seal)
    await rm(join(directory, 'checkpoint.d/5'))
    expect(codes(await verifyLedger(options(honest, directory)))).toEqual(['SEAL_INVALID'])
  })

  test('an erased slot without an entry that says so is a missing disclosure', async () => {
    const builder = await build(1)
    const directory = folder()
    await builder.write(directory)
    await writeFile(join(directory, 'vault/slots/000'), Buffer.alloc(4096))
    const given = options(builder, directory, { wrappingKey: builder.wrappingKey })
    expect(codes(await verifyLedger(given))).toEqual(['DISCLOSURE_MISSING', 'DISCLOSURE_MISSING'])
    const envelopes = await verifyLedger({ ...given, depth: 'envelopes' })
    expect(envelopes.steps.find(step => step.name === 'disclosures')?.detail).toBe(
      'not examined: that needs the key of the vault',
    )
    await builder.write(directory)
    const wrong = await verifyLedger({ ...given, wrappingKey: Buffer.alloc(32, 7) })
    expect(wrong.findings[0]).toMatchObject({ code: 'DISCLOSURE_MISMATCH', file: 'vault/slots/000' })
    expect(wrong.findings[0]?.what).toContain('another key')
  })

  test('reads no link that leads out of the directory, nothing oversized, and no directory that is none', async () => {
    const builder = await build(1)
    const directory = folder()
    await builder.write(directory)
    await rm(join(directory, 'tile/0/000.p/4'))
    await symlink('/etc/hostname', join(directory, 'tile/0/000.p/4'))
    expect((await verifyLedger(options(builder, directory))).findings[0]).toMatchObject({
      code: 'FILE_UNREADABLE',
      file: 'tile/0/000.p/4',
    })
    await writeFile(join(directory, 'checkpoint'), Buffer.alloc(2_000_000))
    const oversized = await verifyLedger(options(builder, directory))
    expect(oversized.findings[0]?.what).toContain('larger than')
    const nowhere = await verifyLedger(options(builder, join(scratch, 'nowhere')))
    expect(codes(nowhere)).toEqual(['LEDGER_MISSING'])
    expect(nowhere.undetectable).not.toMatch(/rewritten/)
    const around = folder()
    await builder.write(join(around, 'ledger'))
    const named = await verifyLedger(options(builder, around))
    expect(named.findings[0]).toMatchObject({
      code: 'LEDGER_MISSING',
      what: `checkpoint is missing; there is a ledger in ${join(around, 'ledger')}`,
    })
  })

  test('options that do not make sense are refused', async () => {
    const builder = await build(1)
    await expect(verifyLedger(options(builder, 'x', { fingerprint: 'abc' }))).rejects.toThrow('40 hex digits')
    await expect(verifyLedger(options(builder, 'x', { depth: 'all' }))).rejects.toThrow('wrapping key')
    await expect(verifyLedger(options(builder, 'x', { first: true }))).rejects.toThrow('pin')
  })

  test.each(['100000000', '9007199254740991'])(
    'comes to an end where a checkpoint that nobody signed claims %s entries',
    async size => {
      const builder = await build(1)
      const directory = folder()
      await builder.write(directory, { seals: [builder.entries.length] })
      const checkpoint = join(directory, 'checkpoint')
      const lines = (await readFile(checkpoint, 'utf8')).split('\n')
      await writeFile(checkpoint, lines.with(1, size).join('\n'))
      const result = await verifyLedger(options(builder, directory))
      expect(result.verdict).toBe('TAMPERED')
      expect(result.findings.length).toBeLessThan(300)
    },
  )
})
