/**
 * One test for each row of the ledger's threats, named after it: what is detected of somebody
 * without the keys, of somebody with the log's own keys, and what cannot be. What is undetected is
 * asserted to be, and to be told in `undetectable`.
 *
 * `outside.test.ts` has what somebody else answers: one honest witness against a split view; an anchor against a
 * rewritten whole; the holder of a bundle; the salt of what was erased.
 */
import { generateKeyPairSync } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Verification, type VerifyOptions, verifyLedger } from '../../evidence/verify.ts'
import { formatCheckpoint, parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { commitment, decodeDisclosure, encodeDisclosure } from '../../lib/format/disclosure.ts'
import { encodeEntry, parseEntry } from '../../lib/format/entry.ts'
import { checkpointFile, entryBundle, vaultBundle } from '../../lib/format/layout.ts'
import { macKey } from '../../lib/format/mac.ts'
import { encodeBundle } from '../../lib/format/tile.ts'
import { createSlot, encodeSealed, sealDisclosure } from '../../lib/format/vault.ts'
import { signCheckpoint, noteKeyOf as signingKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectoryLedger, openForKeys } from '../../lib/ledger/directory.ts'
import { keyHistory, rotationDraft } from '../../lib/ledger/rotation.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { revoke } from '../../lib/openpgp.ts'
import { crashImage, fileDigests, ledgerOptions, settled } from '../support/directory-ledger.ts'
import { type BuilderKeys, builderKeys, LedgerBuilder, noteKeyOf } from '../support/ledger-builder.ts'
import { goingOn, plantFrame } from '../support/planted-log.ts'

let scratch: string
let keys: BuilderKeys
let count = 0

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'counterfoil-threats-'))
  keys = await builderKeys()
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const path = (name: string) => {
  count += 1
  return join(scratch, `${count}-${name}`)
}
const pinnedSize = 6
const bundle = entryBundle(0, 9)

/** Nine entries: an opening, a start, a person, and heartbeats that can be told apart. */
async function story(with_: BuilderKeys = keys, origin?: string): Promise<LedgerBuilder> {
  const builder = await new LedgerBuilder({ keys: with_, ...(origin === undefined ? {} : { origin }) }).open()
  builder.principal('dba@crm.example', 'person')
  for (let open = 1; open <= 6; open += 1) builder.add('heartbeat', { open, interval: 60 })
  return builder
}

const now = Date.parse('2026-08-01T00:00:00Z')
const verify = (directory: string, more: Partial<VerifyOptions> = {}): Promise<Verification> =>
  verifyLedger({ directory, fingerprint: keys.seal.fingerprint, certificate: keys.seal.certificate, now, ...more })
const codes = ({ findings }: Verification) => [...new Set(findings.map(({ code }) => code))]

/** A monitor's checkpoint, taken when the ledger had so many entries. */
async function pinOf(builder: LedgerBuilder, size: number): Promise<string> {
  const [directory, pin] = [path('pinned'), path('pin')]
  await builder.write(directory, { size })
  await verify(directory, { pin, first: true })
  return pin
}

/** @returns the verdict of somebody who holds no checkpoint, and of somebody who holds one */
async function both(directory: string, pin: string): Promise<{ alone: Verification; monitor: Verification }> {
  return { alone: await verify(directory), monitor: await verify(directory, { pin, renew: false }) }
}

/** Bundle bytes changed and nothing else: what somebody without the keys can do. */
async function withoutKeys(change: (entries: Buffer[]) => Buffer[]): Promise<Verification> {
  const builder = await story()
  const directory = path('without-keys')
  await builder.write(directory)
  writeFileSync(join(directory, bundle), encodeBundle(change([...builder.entries])))
  return verify(directory)
}

/** Entries changed, and everything signed anew with the log's own keys. */
async function withKeys(change: (builder: LedgerBuilder) => void) {
  // The same ledger, and not one that is told alike: the signature in entry 0 is another each time.
  const builder = await story()
  const pin = await pinOf(builder, pinnedSize)
  const directory = path('with-keys')
  change(builder)
  await builder.write(directory)
  return both(directory, pin)
}

const edited = (entry: Buffer) => Buffer.from(entry.toString().replace(/"open":\d/, '"open":9'))
const renumber = (builder: LedgerBuilder) => {
  for (const [i, bytes] of builder.entries.entries()) {
    builder.entries[i] = encodeEntry({ ...parseEntry(bytes), seq: i + 1 } as never)
  }
}

describe('edit, delete, insert, reorder a sealed entry', () => {
  // biome-ignore format: a table
  const changes: readonly (readonly [what: string, change: (entries: Buffer[]) => Buffer[]])[] = [
    ['edit',    e => e.with(4, edited(e[4]!))],
    ['delete',  e => e.toSpliced(4, 1)],
    ['insert',  e => e.toSpliced(4, 0, e[5]!)],
    ['reorder', e => e.with(4, e[5]!).with(5, e[4]!)],
  ]

  it.each(changes)('%s: without the key, detected', async (_, change) => {
    const { verdict, findings } = await withoutKeys(change)
    expect(verdict).toBe('TAMPERED')
    expect(findings[0]?.file).toBe(bundle)
  })

  it.each(changes)(
    '%s: with the log’s keys, detected where an older checkpoint is held elsewhere',
    async (_, change) => {
      const { alone, monitor } = await withKeys(builder => {
        builder.entries.splice(0, builder.entries.length, ...change([...builder.entries]))
        renumber(builder)
        // An id stands once, and time goes on, in a history that was rewritten with care.
        builder.entries.splice(0, builder.entries.length, ...careful(builder.entries))
      })
      expect(codes(alone)).toEqual([])
      expect(alone.undetectable).toContain('could have rewritten all of it')
      expect(codes(monitor)).toEqual(['FORK'])
    },
  )

  const careful = (entries: readonly Buffer[]) => {
    const seen = new Set<string>()
    return entries.map((bytes, i) => {
      const entry = parseEntry(bytes)
      const id = seen.has(entry.id) ? entry.id.replace(/.{4}$/, `ff0${i}`) : entry.id
      seen.add(id)
      return encodeEntry({ ...entry, id } as never)
    })
  }
})

describe('cut the tail past the last checkpoint', () => {
  it('is detected by the holder of a newer one, with or without the keys', async () => {
    const builder = await story()
    const directory = path('cut')
    await builder.write(directory, { size: pinnedSize - 2 })
    const { alone, monitor } = await both(directory, await pinOf(builder, pinnedSize))
    expect(alone.verdict).toBe('OK')
    expect(alone.undetectable).toContain('have cut its end, undetected')
    expect(codes(monitor)).toEqual(['ROLLBACK'])
  })

  it('of which only the checkpoint was left is detected by everybody', async () => {
    expect((await withoutKeys(entries => entries.slice(0, -2))).verdict).toBe('TAMPERED')
  })
})

describe('cut and replay an old checkpoint', () => {
  it('is undetected from the directory alone, which is told, and detected by a pin', async () => {
    const builder = await story()
    const [older, directory] = [path('older'), path('newer')]
    await builder.write(older, { size: pinnedSize - 1 })
    await builder.write(directory)
    rmSync(directory, { recursive: true })
    cpSync(older, directory, { recursive: true })
    const { alone, monitor } = await both(directory, await pinOf(builder, pinnedSize))
    expect(alone.verdict).toBe('OK')
    expect(alone.undetectable).toContain('have cut its end, undetected')
    expect(codes(monitor)).toEqual(['ROLLBACK'])
  })
})

describe('fork, split view', () => {
  it('is not possible without the key: a checkpoint of other entries has no signature', async () => {
    const [mine, theirs] = [await story(), await story({ ...keys, note: noteKeyOf('a thief’s') })]
    const directory = path('fork')
    for (const [i, entry] of mine.entries.entries()) theirs.replace(i, i === 5 ? edited(entry) : entry)
    await mine.write(directory)
    writeFileSync(join(directory, checkpointFile), formatCheckpoint(await theirs.checkpoint(9, false)))
    expect(codes(await verify(directory))).toContain('CHECKPOINT_SIGNATURE')
  })

  it('with the log’s keys shows to each only what it is shown, and to who holds both checkpoints', async () => {
    const { alone, monitor } = await withKeys(builder => builder.replace(5, edited(builder.entries[5]!)))
    expect([alone.verdict, monitor.verdict]).toEqual(['OK', 'TAMPERED'])
    expect(codes(monitor)).toEqual(['FORK'])
  })
})

describe('rewrite everything', () => {
  it('with the log’s keys is undetected without a checkpoint held elsewhere, and that is told', async () => {
    const { alone, monitor } = await withKeys(builder => {
      for (let i = 3; i < 9; i += 1) builder.replace(i, edited(builder.entries[i]!))
    })
    expect([alone.verdict, alone.integrity.verdict]).toEqual(['OK', 'whole'])
    expect(alone.undetectable).toContain('could have rewritten all of it')
    expect(codes(monitor)).toEqual(['FORK'])
  })

  it('the first pin is told as what it is: nothing was compared yet, and from the next run on it shows what is rewritten', async () => {
    const [directory, pin] = [path('first'), path('first-pin')]
    const builder = await story()
    await builder.write(directory)
    const first = await verify(directory, { pin, first: true })
    expect(first.undetectable).toMatch(
      /no earlier checkpoint to compare with.* all of it before now.* This run makes the first/,
    )
    expect(first.undetectable).not.toContain('was given')
    // Where none is made, or there is one to compare with, it is not promised.
    expect((await verify(directory, { pin, first: true })).undetectable).toMatch(/after the \d+ entries pinned/)
    for (const more of [{}, { pin: path('none'), first: true, renew: false }])
      expect((await verify(directory, more)).undetectable).toMatch(/^No checkpoint held elsewhere was given/)
    builder.replace(8, edited(builder.entries[8]!))
    await builder.write(directory)
    expect(codes(await verify(directory, { pin }))).toEqual(['FORK'])
  })

  it('after the pin is undetected as well, and told: nothing is shown of what is newer than it', async () => {
    const { alone, monitor } = await withKeys(builder => builder.replace(8, edited(builder.entries[8]!)))
    expect([alone.verdict, monitor.verdict]).toEqual(['OK', 'OK'])
    expect(monitor.undetectable).toContain(`what was appended after the ${pinnedSize} entries pinned`)
  })

  it('without the key is not possible: another note key is not the one that entry 0 certifies', async () => {
    const directory = path('rewritten')
    await (await story({ ...keys, note: noteKeyOf('a thief’s') })).write(directory)
    const bytes = await story()
    const honest = path('honest')
    await bytes.write(honest)
    // Entry 0 of the honest ledger, and everything else of the thief's.
    const own = readFileSync(join(honest, bundle))
    writeFileSync(join(directory, bundle), own)
    expect((await verify(directory)).verdict).toBe('TAMPERED')
  })
})

describe('substitute the key', () => {
  it('is detected by the fingerprint pinned from outside, however much else was signed anew', async () => {
    const other = await builderKeys('another')
    const directory = path('substituted')
    await (await story(other)).write(directory)
    const result = await verify(directory)
    expect(result.verdict).toBe('TAMPERED')
    expect(codes(result)).toContain('KEY_SUBSTITUTED')
  })

  it('is detected where only the certificate was replaced, and none was given from outside', async () => {
    const other = await builderKeys('another')
    const directory = path('certificate')
    await (await story()).write(directory)
    writeFileSync(join(directory, 'keys/seal.pub.asc'), other.seal.certificate)
    const { fingerprint } = keys.seal
    expect(codes(await verifyLedger({ directory, fingerprint, now }))).toContain('KEY_SUBSTITUTED')
  })
})

describe('signature by a revoked key', () => {
  it('is no signature, though it verifies: its key’s status is looked at', async () => {
    const { generateKey, readPrivateKey } = await import('../../lib/openpgp.ts')
    const files = await generateKey({ name: 'Revoked', date: new Date('2026-01-01T00:00:00Z') })
    const revoked = { ...keys, seal: await readPrivateKey(files.privateKey) }
    const directory = path('revoked')
    await (await story(revoked)).write(directory)
    const given = { directory, fingerprint: files.fingerprint, now }
    expect((await verifyLedger({ ...given, certificate: files.certificate })).verdict).toBe('OK')
    const certificate = await revoke(files.certificate, files.revocation)
    const result = await verifyLedger({ ...given, certificate })
    expect([result.verdict, result.integrity.verdict]).toEqual(['TAMPERED', 'broken'])
  })
})

describe('drop an event before append', () => {
  it('shows as a gap in the writer’s counter, and as silence; neither says that anything was altered', async () => {
    const builder = await story()
    builder.add('heartbeat', { open: 0, interval: 60 }, {}, { seq: 12 })
    builder.now += 600_000
    builder.add('heartbeat', { open: 0, interval: 60 }, {}, { seq: 13 })
    const directory = path('dropped')
    await builder.write(directory)
    const result = await verify(directory)
    expect(codes(result)).toEqual(['SEQUENCE_GAP', 'SILENCE'])
    expect([result.verdict, result.integrity.verdict]).toEqual(['INCOMPLETE', 'whole'])
  })

  it('by a compromised writer that counts on as if nothing had been is undetected', async () => {
    const directory = path('silent')
    const builder = await new LedgerBuilder({ keys }).open()
    for (let i = 0; i < 3; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
    await builder.write(directory)
    expect((await verify(directory)).completeness.detail).toContain('that the ledger itself can show')
  })
})

describe('swap the payload under an intact leaf', () => {
  it('is detected, with or without the keys: the entry commits to what it disclosed', async () => {
    const builder = await story()
    const directory = path('swapped')
    await builder.write(directory)
    const { wrappingKey } = builder
    expect((await verify(directory, { wrappingKey })).verdict).toBe('OK')
    const { id } = parseEntry(builder.entries[2]!)
    // Whoever holds the vault's key can seal another name, under the same slot.
    const slot = createSlot(wrappingKey, builder.origin, 0)
    writeFileSync(join(directory, 'vault/slots/000'), Buffer.concat([slot.bytes, Buffer.alloc(4096 - 64)]))
    const texts = builder.disclosuresOf(2).map(text => {
      const disclosed = decodeDisclosure(text)
      return disclosed.name === 'name' ? encodeDisclosure({ ...disclosed, value: 'somebody@else.example' }) : text
    })
    const sealed = texts.map(text => ({ slot: 0, box: sealDisclosure(slot.key, builder.origin, id, text) }))
    const all = builder.entries.map((_, i) => encodeSealed(i === 2 ? sealed : []))
    writeFileSync(join(directory, vaultBundle(0, 9)), Buffer.concat(all))
    const result = await verify(directory, { wrappingKey })
    expect(result.verdict).toBe('TAMPERED')
    expect(result.findings[0]).toMatchObject({ code: 'DISCLOSURE_MISMATCH', index: 2 })
  })
})

describe('guess a low-entropy value', () => {
  it('does not succeed by its digest: the same value under two salts has nothing in common', () => {
    const value = Buffer.from('078-05-1120')
    const [one, other] = [commitment('A'.repeat(22), value), commitment('B'.repeat(22), value)]
    expect(one).not.toBe(other)
  })
})

describe('torn write, crash', () => {
  it('is recovered, and what was acknowledged is there: faults.test.ts and recovery.test.ts show the rest', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const [stored] = await ledger.append([settled()])
    const image = crashImage(options)
    await ledger.close()
    const again = await openDirectoryLedger(image)
    for await (const { index, entry } of again.entries(stored!.index)) {
      expect([index, entry.id]).toEqual([stored!.index, stored!.entry.id])
      break
    }
    await again.close()
  })
})

describe('entries forged into the directory, for the ledger to sign', () => {
  it('are refused, and nothing is written: each frame of the write-ahead log is made with the key of the vault', async () => {
    const options = ledgerOptions()
    await (await openDirectoryLedger(options)).close()
    const forged = goingOn(options.directory, [{ kind: 'heartbeat', open: 0, interval: 60 }, { kind: 'stopped' }])
    const intruders = macKey(new Uint8Array(32), options.origin, 'wal')
    const planted = plantFrame(options.directory, forged, intruders)
    const before = fileDigests(options.directory)
    await expect(openDirectoryLedger(options)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
    expect(fileDigests(options.directory)).toEqual({ ...before, LOCK: expect.anything() })
    rmSync(planted)
    await (await openDirectoryLedger(options)).close()
  })
})

describe('two writers, stale lock, restore', () => {
  it('a second writer is refused while the first lives', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await expect(openDirectoryLedger(options)).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' })
    await ledger.close()
  })

  it('a writer that lost its lock signs nothing more once another opened', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    await ledger.append([settled()])
    writeFileSync(join(options.directory, 'epoch'), '2\n')
    await expect(ledger.publish()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await ledger.close()
  })

  it('entries restored from a backup under a newer checkpoint are refused, so that no fork is signed', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    const backup = crashImage(options)
    await ledger.append([settled()])
    await ledger.publish()
    const newer = readFileSync(join(options.directory, 'checkpoint'))
    await ledger.close()
    writeFileSync(join(backup.directory, 'checkpoint'), newer)
    await expect(openDirectoryLedger(backup)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_ROLLBACK' })
  })
})

describe('replay across ledgers', () => {
  it('is detected: the origin is signed', async () => {
    const [here, there] = [await story(), await story(keys, 'other.crm.example')]
    const directory = path('replayed')
    await here.write(directory)
    writeFileSync(join(directory, checkpointFile), formatCheckpoint(await there.checkpoint(9, true)))
    expect(codes(await verify(directory))).toContain('CHECKPOINT_SIGNATURE')
    await there.write(directory)
    expect(codes(await verify(directory, { origin: here.origin }))).toContain('ORIGIN')
    expect(codes(await verify(directory, { pin: await pinOf(here, pinnedSize), renew: false }))).toContain(
      'KEY_SUBSTITUTED',
    )
  })
})

describe('traps that chain designs fell into', () => {
  // biome-ignore format: a table
  const members: readonly (readonly [what: string, change: (entry: string) => string])[] = [
    ['the time',                entry => entry.replace(/"time":"2026/, '"time":"2025')],
    ['the writer, its scope',   entry => entry.replace('"writer":"gateway-1"', '"writer":"gateway-2"')],
    ['the sequence number',     entry => entry.replace(/"seq":\d/, '"seq":9')],
    ['the kind',                entry => entry.replace('"heartbeat"', '"heartbeap"')],
    ['the version',             entry => entry.replace('"v":1', '"v":2')],
    ['the id',                  entry => entry.replace(/"id":"(.)/, (_, one) => `"id":"${one === '0' ? '1' : '0'}`)],
  ]
  it.each(members)('a hash that omits %s: it is in the leaf', async (_, change) => {
    const { verdict, findings } = await withoutKeys(e => e.with(4, Buffer.from(change(e[4]!.toString()))))
    expect(verdict).toBe('TAMPERED')
    expect(findings.some(({ code, index }) => code === 'ENTRY_ALTERED' && index === 4)).toBe(true)
  })

  it('no key id for each entry, so that a rotation looks like tampering: which keys spoke at what size follows from entries', async () => {
    const options = ledgerOptions({ sealer: openpgpSealer(keys.seal), publishMs: 1e6 })
    const before = { noteKey: signingKeyOf(options.noteKey, options.origin), sealer: options.sealer! }
    const after = { ...before, noteKey: signingKeyOf(generateKeyPairSync('ed25519').privateKey, options.origin) }
    const ledger = await openForKeys(options)
    const [first] = await ledger.append([settled()])
    const history = await keyHistory(ledger.entries())
    await ledger.rotate([await rotationDraft({ origin: options.origin, history, before, after })], after)
    await ledger.append([settled()])
    await ledger.close()
    const given = { directory: options.directory, fingerprint: keys.seal.fingerprint }
    const result = await verifyLedger(given)
    expect([result.verdict, result.findings]).toEqual(['OK', []])
    // And the old key, which signs no more, is none for what came after it.
    const old = signCheckpoint(parseCheckpoint(readFileSync(join(options.directory, checkpointFile))), before.noteKey)
    expect(old.size).toBeGreaterThan(first!.index + 1)
    writeFileSync(join(options.directory, checkpointFile), formatCheckpoint(old))
    expect(codes(await verifyLedger(given))).toContain('CHECKPOINT_SIGNATURE')
  })

  it('a verdict changed after hashing: every member of a decision is in the leaf', async () => {
    const builder = await story()
    const exchange = builder.uuid()
    const digest = 'A'.repeat(43)
    builder.add('decision', {
      ...{ exchange, protocol: 'postgres', target: 'crm', action: digest, accesses: [], controls: [], risk: 'low' },
      ...{ read: false, verdict: 'deny', durability: 'durable' },
    })
    const directory = path('verdict')
    await builder.write(directory)
    const changed = Buffer.from(builder.entries[9]!.toString().replace('"deny"', '"permit"'))
    writeFileSync(join(directory, entryBundle(0, 10)), encodeBundle(builder.entries.with(9, changed)))
    expect(codes(await verify(directory))).toContain('ENTRY_ALTERED')
  })

  it('a cut tail that verifies: the size is signed', async () => {
    const builder = await story()
    const directory = path('size')
    await builder.write(directory)
    const checkpoint = readFileSync(join(directory, checkpointFile), 'utf8')
    writeFileSync(join(directory, checkpointFile), checkpoint.replace('\n9\n', '\n7\n'))
    expect(codes(await verify(directory))).toContain('CHECKPOINT_SIGNATURE')
  })

  it('a key shipped inside what it signs: what is pinned comes from outside, or nothing is verified', async () => {
    const other = await builderKeys('another')
    const directory = path('shipped')
    await (await story(other)).write(directory)
    const { fingerprint } = keys.seal
    expect((await verifyLedger({ directory, fingerprint, now })).verdict).toBe('TAMPERED')
    await expect(verifyLedger({ directory, fingerprint: '', now })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
  })

  it('a sequence number trusted without the tree: counters without a gap make no altered entry right', async () => {
    const result = await withoutKeys(entries => entries.with(4, edited(entries[4]!)))
    expect(result.gaps).toEqual([])
    expect(result.verdict).toBe('TAMPERED')
  })
})
