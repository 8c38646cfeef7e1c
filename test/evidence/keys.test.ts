/** Rotations and revocations as a stranger judges them: by the signatures in the entries, and by what is pinned from outside. */
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type VerifyOptions, verifyLedger } from '../../evidence/index.ts'
import { digestOf } from '../../evidence/key-entries.ts'
import { anchorFile } from '../../lib/format/anchor.ts'
import { canonical, type Json, parseJson } from '../../lib/format/canonical.ts'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { cosign, formatCosignerKey } from '../../lib/format/cosignature.ts'
import type { Clear } from '../../lib/format/entry.ts'
import { type Reason, revocationText, rotationText } from '../../lib/format/key-text.ts'
import { certificateOf } from '../../lib/format/layout.ts'
import { formatNote, formatVerifierKey } from '../../lib/format/note.ts'
import { armorSignature, generateKey, readPrivateKey, revoke, revokeOwn, signDetached } from '../../lib/openpgp.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { type BuilderKeys, builderKeys, LedgerBuilder, noteKeyOf } from '../support/ledger-builder.ts'

let first: BuilderKeys
let newNote: BuilderKeys
let newSeal: BuilderKeys
let stranger: BuilderKeys
beforeAll(async () => {
  first = await builderKeys('first')
  newNote = { ...first, note: noteKeyOf('second') }
  newSeal = { ...first, seal: (await builderKeys()).seal }
  stranger = await builderKeys('stranger')
})

const armored = async (keys: BuilderKeys, text: string) =>
  armorSignature(await signDetached(keys.seal, Buffer.from(text)))

interface Signed {
  readonly turn?: number
  readonly origin?: string
  /** Who signs as the note key before, the OpenPGP key after, and the one before. */
  readonly note?: BuilderKeys
  readonly certifier?: BuilderKeys
  readonly endorser?: BuilderKeys | 'nobody'
}

async function rotation(
  { origin }: LedgerBuilder,
  before: BuilderKeys,
  after: BuilderKeys,
  signed: Signed = {},
): Promise<Clear<'key-rotated'>> {
  const pair = ({ note, seal }: BuilderKeys) => ({
    note: formatVerifierKey(origin, createPublicKey(note)),
    seal: seal.fingerprint,
  })
  const [from, to] = [pair(before), pair(after)]
  const key = before.seal === after.seal ? 'note' : 'seal'
  const turn = signed.turn ?? 1
  const text = rotationText({ origin: signed.origin ?? origin, turn, before: from, after: to })
  const endorser = signed.endorser ?? before
  return {
    ...{ key, turn, old: from[key], new: to[key] },
    signature: sign(null, Buffer.from(text), (signed.note ?? before).note).toString('base64'),
    certification: await armored(signed.certifier ?? after, text),
    ...(key === 'note' || endorser === 'nobody' ? {} : { endorsement: await armored(endorser, text) }),
  }
}

async function revocation(
  { origin, now }: LedgerBuilder,
  revoked: BuilderKeys,
  by: BuilderKeys,
  reason: Reason,
  more: { at?: number; key?: 'note' | 'seal' } = {},
): Promise<Clear<'key-revoked'>> {
  const { key = 'seal' } = more
  const id = key === 'seal' ? revoked.seal.fingerprint : formatVerifierKey(origin, createPublicKey(revoked.note))
  const at = new Date(more.at ?? now).toISOString()
  const certification = await armored(by, revocationText({ origin, key, revoked: id, reason, at }))
  return { key, revoked: id, reason, at, certification }
}

const begin = () => new LedgerBuilder({ keys: first, start: Date.now() - 3_600_000 }).open()
const beat = (builder: LedgerBuilder) => builder.add('heartbeat', { open: 0, interval: 3600 })

async function rotated(builder: LedgerBuilder, before: BuilderKeys, after: BuilderKeys, signed: Signed = {}) {
  builder.add('key-rotated', await rotation(builder, before, after, signed))
  builder.succeed(after)
}

async function verdict(
  builder: LedgerBuilder,
  pinned: BuilderKeys,
  more: Partial<VerifyOptions> & { seals?: number[] } = {},
) {
  const { seals = [builder.entries.length], ...options } = more
  const directory = join(temporaryDirectory(), 'ledger')
  await builder.write(directory, { seals })
  const result = await verifyLedger({ directory, fingerprint: pinned.seal.fingerprint, ...options })
  return { verdict: result.verdict, codes: result.findings.map(({ code }) => code), result }
}

describe('a rotation', () => {
  it.each([
    ['of the note key', () => newNote, () => first],
    ['of the OpenPGP key', () => newSeal, () => newSeal],
  ] as const)('%s leads from the old pin to the new key, and back', async (_, after, current) => {
    const builder = await begin()
    beat(builder)
    const sealed = builder.entries.length
    await rotated(builder, first, after())
    beat(builder)
    const seals = [sealed, builder.entries.length]
    expect(await verdict(builder, first, { seals })).toMatchObject({ verdict: 'OK', codes: [] })
    expect(await verdict(builder, current(), { seals })).toMatchObject({ verdict: 'OK', codes: [] })
    expect(await verdict(builder, stranger, { seals })).toMatchObject({
      verdict: 'TAMPERED',
      codes: ['KEY_SUBSTITUTED'],
    })
  })

  it('is looked at only where the pinned key is named: a certificate of its own can make signatures dear', async () => {
    const builder = await begin()
    await rotated(builder, first, newNote, { certifier: stranger })
    expect(await verdict(builder, first)).toMatchObject({ codes: ['ROTATION_INVALID'] })
    expect(await verdict(builder, stranger)).toMatchObject({ codes: ['KEY_SUBSTITUTED'] })
  })

  it('may follow another, of either key', async () => {
    const builder = await begin()
    await rotated(builder, first, newSeal)
    beat(builder)
    const both = { note: newNote.note, seal: newSeal.seal }
    await rotated(builder, newSeal, both, { turn: 2 })
    const third = { note: newNote.note, seal: stranger.seal }
    await rotated(builder, both, third, { turn: 3 })
    for (const pin of [first, newSeal, third]) expect(await verdict(builder, pin)).toMatchObject({ codes: [] })
  })

  // biome-ignore format: a table
  const lies: readonly [what: string, says: RegExp, lie: (b: LedgerBuilder) => Promise<void>][] = [
    ['certified by a stranger',              /false OpenPGP signature/,        b => rotated(b, first, newNote, { certifier: stranger })],
    ['not signed by the note key before',    /note key before did not sign/,   b => rotated(b, first, newNote, { note: newNote })],
    ['of the OpenPGP key, endorsed by none', /signed by one key alone/,        b => rotated(b, first, newSeal, { endorser: 'nobody' })],
    ['endorsed by the new key alone',        /false OpenPGP signature/,        b => rotated(b, first, newSeal, { endorser: newSeal })],
    ['made for another ledger',              /note key before did not sign/,   b => rotated(b, first, newNote, { origin: 'other.example' })],
    ['with another number',                  /number 2, where 1 comes next/,   b => rotated(b, first, newNote, { turn: 2 })],
    ['of a key that does not speak',         /a key that does not speak/,      b => rotated(b, newNote, { ...first, note: stranger.note })],
    ['to itself',                            /to a key that spoke before/,     async b => { b.add('key-rotated', { ...(await rotation(b, first, first)), key: 'note' }) }],
    ['there and back',                       /to a key that spoke before/,     async b => { await rotated(b, first, newNote); await rotated(b, newNote, first, { turn: 2 }) }],
    ['told twice',                           /number 1, where 2 comes next/,   async b => { await rotated(b, first, newNote); b.add('key-rotated', await rotation(b, first, newNote)) }],
    ['back to a revoked key',                /to a key that spoke before/,     async b => {
      await rotated(b, first, newSeal)
      b.add('key-revoked', await revocation(b, first, newSeal, 'superseded'))
      await rotated(b, newSeal, first, { turn: 2 })
    }],
  ]
  it.each(lies)('%s is refused', async (_, says, lie) => {
    const builder = await begin()
    await lie(builder)
    beat(builder)
    const { verdict: told, codes, result } = await verdict(builder, first)
    expect([told, codes]).toEqual(['TAMPERED', ['ROTATION_INVALID']])
    expect(result.findings[0]!.what).toMatch(says)
  })

  it('binds: after it the old key signs nothing, before it the new one', async () => {
    const late = await begin()
    late.add('key-rotated', await rotation(late, first, newNote))
    beat(late)
    expect(await verdict(late, first, { seals: [] })).toMatchObject({ codes: ['CHECKPOINT_SIGNATURE'] })
    const early = await begin()
    early.succeed(newNote)
    beat(early)
    early.add('key-rotated', await rotation(early, first, newNote))
    expect(await verdict(early, first, { seals: [3] })).toMatchObject({ codes: ['SEAL_INVALID'] })
  })
})

describe('at an address', () => {
  it('keys lead on as they do in a directory', async () => {
    const builder = await begin()
    await rotated(builder, first, newSeal)
    for (let i = 0; i < 300; i += 1) beat(builder)
    const directory = join(temporaryDirectory(), 'ledger')
    await builder.write(directory, { seals: [builder.entries.length] })
    const server = createServer(({ url = '' }, response) => {
      const file = join(directory, url)
      if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end()
      response.end(readFileSync(file))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      for (const { seal } of [first, newSeal]) {
        const result = await verifyLedger({ directory: address, fingerprint: seal.fingerprint })
        expect(result).toMatchObject({ verdict: 'OK', findings: [] })
      }
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })
})

describe('a ledger that is put back to before a rotation', () => {
  it.each([
    ['the new', () => newSeal.seal.fingerprint, 'KEY_SUBSTITUTED', /rolled back to before that key came$/],
    ['the old', () => first.seal.fingerprint, 'ROLLBACK', /pinned by a key that has not spoken yet here$/],
  ])('is told as that by its pin, where %s key is given', async (_, fingerprint, code, what) => {
    const builder = await begin()
    const size = builder.entries.length
    const scratch = temporaryDirectory()
    const [directory, pin] = [join(scratch, 'ledger'), join(scratch, 'pin.json')]
    await rotated(builder, first, newSeal)
    beat(builder)
    await builder.write(directory)
    const kept = await verifyLedger({ directory, pin, fingerprint: newSeal.seal.fingerprint, first: true })
    expect(kept.verdict).toBe('OK')
    await builder.write(directory, { size })
    const { verdict, findings } = await verifyLedger({ directory, pin, fingerprint: fingerprint() })
    expect(verdict).toBe('TAMPERED')
    expect(findings[0]).toMatchObject({ code, what: expect.stringMatching(what) })
    expect(findings[0]!.what).toContain(`${size} entries, and had ${kept.size}`)
  })
})

describe('an incremental verification', () => {
  it('knows the keys that spoke before its pin, and goes on in full where it does not', async () => {
    const builder = await begin()
    await rotated(builder, first, newSeal)
    builder.add('key-revoked', await revocation(builder, first, newSeal, 'superseded'))
    for (let i = 0; i < 300; i += 1) beat(builder)
    const scratch = temporaryDirectory()
    const [directory, pin] = [join(scratch, 'ledger'), join(scratch, 'pin.json')]
    const verify = async (more: Partial<VerifyOptions>) => {
      await builder.write(directory)
      const result = await verifyLedger({ directory, pin, fingerprint: newSeal.seal.fingerprint, ...more })
      return [result.verdict, result.findings.map(({ code }) => code), result.from]
    }
    expect(await verify({ first: true })).toEqual(['OK', [], 0])
    const pinned = builder.entries.length
    const kept = readFileSync(pin)
    await rotated(builder, newSeal, { ...newSeal, note: newNote.note }, { turn: 2 })
    beat(builder)
    expect(await verify({ incremental: true })).toEqual(['OK', [], pinned])
    // Behind the second pin too, which is told of both.
    const size = builder.entries.length
    beat(builder)
    expect(await verify({ incremental: true })).toEqual(['OK', [], size])
    const { state, ...rest } = JSON.parse(kept.toString()) as { state: { keys: { digest: string }[] } }
    expect(state.keys).toHaveLength(2)
    const write = (keys: unknown) =>
      writeFileSync(pin, `${canonical({ ...rest, state: { ...state, keys } } as Json)}\n`)
    write([{ ...state.keys[1], index: 1 }, state.keys[1]])
    expect(await verify({ incremental: true, renew: false })).toEqual(['OK', [], 0])
    // Of a pin that leaves one out, nobody is told a lie: the key that is pinned would not lead to what is signed.
    write([state.keys[1]])
    expect((await verify({ incremental: true, renew: false }))[0]).toBe('TAMPERED')
  })
})

describe('a revoked OpenPGP key', () => {
  /** Sealed by the first key at 3 entries, and then compromised; endorsed its successor or not. */
  async function compromised(endorser?: 'nobody') {
    const builder = await begin()
    beat(builder)
    const at = builder.now
    await rotated(builder, first, newSeal, endorser === undefined ? {} : { endorser })
    builder.add('key-revoked', await revocation(builder, first, newSeal, 'compromised', { at }))
    beat(builder)
    return { builder, before: new Date(at - 1).toISOString(), after: new Date(at + 1).toISOString() }
  }

  it('that was compromised leads nowhere, unless something outside shows that its endorsement is older', async () => {
    const { builder, before, after } = await compromised()
    expect(await verdict(builder, first)).toMatchObject({ verdict: 'INCOMPLETE', codes: ['KEY_COMPROMISED'] })
    expect(await verdict(builder, first, { anchoredBefore: () => after })).toMatchObject({ codes: ['KEY_COMPROMISED'] })
    expect(await verdict(builder, first, { anchoredBefore: () => before })).toMatchObject({ verdict: 'OK' })
    const alone = await compromised('nobody')
    const anchored = { anchoredBefore: () => alone.before }
    expect(await verdict(alone.builder, first, anchored)).toMatchObject({
      verdict: 'INCOMPLETE',
      codes: ['KEY_COMPROMISED'],
    })
    expect(await verdict(alone.builder, newSeal)).toMatchObject({ verdict: 'OK', codes: [] })
  })

  it('that was compromised speaks on by the word of a witness, from outside, that has seen it before', async () => {
    const { builder, before, after } = await compromised()
    const witness = 'witness.example/w1'
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const cosigned = async (time: string, size = builder.entries.length) => {
      const directory = join(temporaryDirectory(), 'ledger')
      await builder.write(directory, { seals: [builder.entries.length] })
      const { note } = parseCheckpoint(readFileSync(join(directory, 'checkpoint')))
      const line = cosign(note.text, witness, privateKey, Math.floor(Date.parse(time) / 1000))
      const bytes = Buffer.from(formatNote({ ...note, signatures: [...note.signatures, line] }))
      const file = join(directory, anchorFile('witness', size, digestOf(bytes)))
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, bytes)
      const anchors = { witnesses: [formatCosignerKey(witness, publicKey)] }
      const { verdict, findings } = await verifyLedger({ directory, fingerprint: first.seal.fingerprint, anchors })
      return [verdict, findings.map(({ code }) => code)]
    }
    expect(await cosigned(before)).toEqual(['OK', []])
    expect(await cosigned(new Date(Date.parse(after) + 2000).toISOString())).toEqual([
      'INCOMPLETE',
      expect.arrayContaining(['KEY_COMPROMISED']),
    ])
    // Kept under the name of another size it is nobody's word.
    expect((await cosigned(before, 3))[1]).toContain('KEY_COMPROMISED')
  })

  it('that was compromised has sealed nothing, but what its successor sealed again or what is anchored', async () => {
    const { builder, before } = await compromised()
    const counted = async (more: Parameters<typeof verdict>[2]) => {
      const { codes, result } = await verdict(builder, newSeal, more)
      return [codes, result.steps.find(({ name }) => name === 'seals')?.detail]
    }
    const size = builder.entries.length
    expect(await counted({ seals: [3, size] })).toEqual([[], expect.stringMatching(/^1, .*; 1 more are not counted/)])
    expect(await counted({ seals: [3, size], anchoredBefore: () => before })).toEqual([
      [],
      `2, the newest over ${size} entries`,
    ])
    expect(await counted({ seals: [3] })).toEqual([['KEY_REVOKED'], expect.stringContaining('revoked as compromised')])
  })

  it.each(['superseded', 'retired'] as const)(
    'that was %s leads on all the same, and what it sealed before stays',
    async reason => {
      const builder = await begin()
      beat(builder)
      await rotated(builder, first, newSeal)
      builder.add('key-revoked', await revocation(builder, first, newSeal, reason, { at: Date.now() + 60_000 }))
      const seals = [3, builder.entries.length]
      for (const pin of [first, newSeal])
        expect(await verdict(builder, pin, { seals })).toMatchObject({ verdict: 'OK', codes: [] })
    },
  )

  it("that was compromised by its owner's word is not merely retired by the word of whoever stole it", async () => {
    const stolen = new Date(Date.now() - 1_800_000)
    const said = await revokeOwn(first.seal, 'compromised', stolen)
    const spare = await generateKey({ name: 'spare', date: new Date(Date.now() - 7_200_000) })
    const unsaid = await revoke(spare.certificate, spare.revocation)
    const made: BuilderKeys = { ...first, seal: await readPrivateKey(spare.privateKey) }
    for (const [keys, certificate] of [
      [first, said],
      [made, unsaid],
    ] as const) {
      const told: unknown[] = []
      for (const reason of ['retired', 'compromised'] as const) {
        const builder = await new LedgerBuilder({ keys, start: Date.now() - 3_600_000 }).open()
        beat(builder)
        await rotated(builder, keys, newSeal)
        builder.add('key-revoked', await revocation(builder, keys, newSeal, reason, { at: Date.now() + 1000 }))
        beat(builder)
        // As if a witness had seen it once it was stolen.
        const anchoredBefore = () => new Date(stolen.getTime() + 1000).toISOString()
        told.push((await verdict(builder, keys, { certificate, anchoredBefore })).codes)
        // Who knows the successor knows it from elsewhere, and what it sealed again stands.
        expect(await verdict(builder, newSeal)).toMatchObject({ verdict: 'OK' })
      }
      expect(told).toEqual([['KEY_COMPROMISED'], ['KEY_COMPROMISED']])
    }
  })

  it('that was compromised has sealed what the pin shows to be older, now and whenever it is pinned again', async () => {
    const builder = await begin()
    beat(builder)
    const pin = join(temporaryDirectory(), 'pin')
    expect(await verdict(builder, first, { pin, first: true })).toMatchObject({ verdict: 'OK' })
    const kept = parseJson(readFileSync(pin, 'utf8')) as Record<string, Json>
    writeFileSync(pin, canonical({ ...kept, time: new Date(Date.now() - 2_000_000).toISOString() }))
    const certificate = await revokeOwn(first.seal, 'compromised', new Date(Date.now() - 1_000_000))
    for (const incremental of [false, true, false])
      expect(await verdict(builder, first, { pin, certificate, incremental })).toMatchObject({ codes: [] })
    expect(await verdict(builder, first, { certificate })).toMatchObject({ codes: ['KEY_REVOKED'] })
  })

  it('for which a revocation without a reason was published is what its entry says', async () => {
    const spare = await generateKey({ name: 'spare', date: new Date(Date.now() - 7_200_000) })
    const keys: BuilderKeys = { ...first, seal: await readPrivateKey(spare.privateKey) }
    const builder = await new LedgerBuilder({ keys, start: Date.now() - 3_600_000 }).open()
    beat(builder)
    await rotated(builder, keys, newSeal)
    builder.add('key-revoked', await revocation(builder, keys, newSeal, 'retired', { at: Date.now() + 60_000 }))
    const directory = join(temporaryDirectory(), 'ledger')
    await builder.write(directory, { seals: [3, builder.entries.length] })
    const file = join(directory, certificateOf(spare.fingerprint))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, await revoke(spare.certificate, spare.revocation))
    for (const { seal } of [keys, newSeal]) {
      const { verdict, findings } = await verifyLedger({ directory, fingerprint: seal.fingerprint })
      expect([verdict, findings]).toEqual(['OK', []])
    }
  })

  it('that seals after its revocation is named', async () => {
    const builder = await begin()
    await rotated(builder, first, newSeal)
    builder.add('key-revoked', await revocation(builder, first, newSeal, 'superseded'))
    beat(builder)
    builder.succeed(first)
    beat(builder)
    const size = builder.entries.length
    const { verdict: told, codes, result } = await verdict(builder, newSeal, { seals: [size] })
    expect(told).toBe('TAMPERED')
    expect(codes).toContain('KEY_REVOKED')
    expect(result.findings[0]!.what).toContain('revoked as superseded')
  })

  it('is revoked by the key in force alone, and only when it has a successor', async () => {
    const byItself = await begin()
    await rotated(byItself, first, newSeal)
    byItself.add('key-revoked', await revocation(byItself, first, first, 'retired'))
    expect(await verdict(byItself, newSeal)).toMatchObject({ codes: ['ROTATION_INVALID'] })
    const current = await begin()
    current.add('key-revoked', await revocation(current, first, first, 'retired'))
    expect(await verdict(current, first)).toMatchObject({ verdict: 'TAMPERED', codes: ['KEY_REVOKED'] })
    const never = await begin()
    never.add('key-revoked', await revocation(never, stranger, first, 'retired'))
    expect(await verdict(never, first)).toMatchObject({ codes: ['ROTATION_INVALID'] })
  })
})
