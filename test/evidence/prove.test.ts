/** Proofs of single entries: written from a ledger's tiles, checked with nothing but keys from outside, refused when bent. */
import { spawnSync } from 'node:child_process'
import { createHash, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { proofScript } from '../../evidence/proof-script.ts'
import { checkProof, proveEntry } from '../../evidence/prove.ts'
import { anchorFile } from '../../lib/format/anchor.ts'
import { checkpointBody, formatTlogProof, parseTlogProof } from '../../lib/format/checkpoint.ts'
import { cosign, formatCosignerKey } from '../../lib/format/cosignature.ts'
import { inclusionProof, treeRoot, verifyInclusion } from '../../lib/format/merkle.ts'
import { formatNote, formatVerifierKey, type NoteSignature, parseNote } from '../../lib/format/note.ts'
import { decodeBundle, encodeBundle, tileReader } from '../../lib/format/tile.ts'
import { anchoredLedger, cosigned, publish, startWitness } from '../support/anchored-ledger.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { interop } from '../support/interop.ts'
import { type BuilderKeys, builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'
import { uniform, uniformLeaf, uniformTiles } from '../support/uniform-tree.ts'

let keys: BuilderKeys
beforeAll(async () => {
  keys = await builderKeys()
})

async function ledgerOf(
  size: number,
  seals: number[],
  origin?: string,
): Promise<{ builder: LedgerBuilder; directory: string; key: string }> {
  const builder = await new LedgerBuilder({ keys, ...(origin === undefined ? {} : { origin }) }).open()
  while (builder.entries.length < size) builder.add('heartbeat', { open: 0, interval: 60 })
  const directory = temporaryDirectory()
  await builder.write(directory, { seals, vault: false })
  return { builder, directory, key: formatVerifierKey(builder.origin, createPublicKey(keys.note)) }
}

const digestOf = ({ text }: { text: string }, ...lines: NoteSignature[]) =>
  createHash('sha256')
    .update(formatNote({ text, signatures: lines }))
    .digest('base64url')

/** Puts notes among the anchors, as anybody can who writes there. @returns the digest, which is the file's name */
const keeper =
  (directory: string) =>
  (size: number, note: { text: string }, ...lines: NoteSignature[]) => {
    const digest = digestOf(note, ...lines)
    const file = join(directory, anchorFile('witness', size, digest))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, formatNote({ text: note.text, signatures: lines }))
    return digest
  }

/** What the ledger says of one that it asked for. */
const anchoredBy = (by: string, builder: LedgerBuilder, size: number, file: string) => {
  const root = Buffer.from(builder.tree(size).root).toString('base64url')
  return { anchor: 'witness', by, size, root, file, at: '2026-09-21T13:46:40.000Z' } as const
}

const invalid = expect.objectContaining({ code: 'ERR_PROOF_INVALID' })
const unsigned = expect.objectContaining({ code: 'ERR_CHECKPOINT_SIGNATURE' })
const misuse = expect.objectContaining({ code: 'ERR_OPTION_INVALID' })

describe('the proof of an entry', () => {
  it('holds against the published checkpoint and against a seal, by number and by id, beside and inside', async () => {
    const { builder, directory, key } = await ledgerOf(600, [300, 600])
    for (const index of [0, 255, 256, 299, 511, 599]) {
      const { proof, entry } = await proveEntry({ directory, entry: index })
      expect(Buffer.from(entry)).toEqual(builder.entries[index])
      expect(checkProof({ proof, entry, key })).toMatchObject({ index, checkpoint: { size: 600 } })
    }
    const old = await proveEntry({ directory, entry: 17, size: 300, inside: true })
    expect(checkProof({ proof: old.proof, key })).toMatchObject({ index: 17, checkpoint: { size: 300 } })
    const { id } = JSON.parse(builder.entries[290]!.toString())
    expect(await proveEntry({ directory, entry: id })).toMatchObject({ index: 290 })
  })

  it('is refused for another entry, another index, another ledger, and a bent checkpoint', async () => {
    const { builder, directory, key } = await ledgerOf(300, [300])
    const { proof, entry } = await proveEntry({ directory, entry: 17 })
    expect(() => checkProof({ proof, entry: builder.entries[18]!, key })).toThrowError(invalid)
    expect(() => checkProof({ proof: proof.replace('index 17', 'index 18'), entry, key })).toThrowError(invalid)
    expect(() => checkProof({ proof: proof.replace('\n300\n', '\n301\n'), entry, key })).toThrowError(unsigned)
    const elsewhere = await ledgerOf(300, [300], 'other.example')
    expect(() => checkProof({ proof, entry, key: elsewhere.key })).toThrowError(unsigned)
    expect(() => checkProof({ proof, key })).toThrowError(misuse)
  })

  it('is not written where entry and tiles do not lead to the root, nor for what is not there', async () => {
    const { directory } = await ledgerOf(300, [300])
    await expect(proveEntry({ directory, entry: 300 })).rejects.toThrowError(misuse)
    await expect(proveEntry({ directory, entry: 1, size: 17 })).rejects.toThrowError(misuse)
    await expect(proveEntry({ directory, entry: 'no-such-id' })).rejects.toThrowError(misuse)
    const tile = join(directory, 'tile/0/000')
    const bytes = readFileSync(tile)
    bytes[40]! ^= 1
    writeFileSync(tile, bytes)
    await expect(proveEntry({ directory, entry: 17 })).rejects.toThrowError(invalid)
  })

  it('is against the newest checkpoint over the entry that witnesses have cosigned, also at an address', async () => {
    const made = await anchoredLedger()
    const { vkey, options } = made
    const one = await startWitness([{ origin: options.origin, vkey }])
    let size = 0
    await made.use(5, async ledger => {
      await cosigned(made, ledger, [one])
      size = (await ledger.publish()).size
    })
    await made.use(3)
    const check = { key: vkey, witnesses: [one.verifierKey] }
    const vouched = await proveEntry({ directory: options.directory, entry: 3 })
    expect(vouched.checkpoint.size).toBeLessThanOrEqual(size)
    for (const directory of [options.directory, await publish(made)]) {
      const { proof, entry, cosigned } = await proveEntry({ directory, entry: 3 })
      expect(checkProof({ ...check, proof, entry })).toMatchObject({ cosignatures: [{ name: 'witness.example/w1' }] })
      expect(cosigned).toBe(1)
      const newest = await proveEntry({ directory, entry: vouched.checkpoint.size })
      expect(newest.cosigned).toBe(0)
      expect(() => checkProof({ ...check, ...newest })).toThrowError(unsigned)
    }
    expect((await proveEntry({ directory: (await ledgerOf(20, [20])).directory, entry: 3 })).cosigned).toBe(undefined)
    // What was put beside it and leads to another root is passed over: verify tells of it.
    const [name] = readdirSync(join(options.directory, 'anchors', String(vouched.checkpoint.size)))
    const note = join(options.directory, 'anchors', String(vouched.checkpoint.size), name!)
    const root = Buffer.from(vouched.checkpoint.root).toString('base64')
    writeFileSync(note, readFileSync(note, 'utf8').replace(root, Buffer.alloc(32).toString('base64')))
    expect((await proveEntry({ directory: options.directory, entry: 3 })).cosigned).toBe(0)
  })

  it('counts the cosignatures of the witnesses that were given, and is refused where they are too few or false', async () => {
    const { directory, key } = await ledgerOf(20, [20])
    const { proof, entry } = await proveEntry({ directory, entry: 3 })
    const { checkpoint, ...rest } = parseTlogProof(proof)
    const note = parseNote(Buffer.from(checkpoint))
    const witness = (name: string) => {
      const { privateKey, publicKey } = generateKeyPairSync('ed25519')
      return { vkey: formatCosignerKey(name, publicKey), line: cosign(note.text, name, privateKey, 1_790_000_000) }
    }
    const [one, two] = [witness('w1.example'), witness('w2.example')]
    const signed = (...lines: (typeof one.line)[]) =>
      formatTlogProof({ ...rest, checkpoint: formatNote({ ...note, signatures: [...note.signatures, ...lines] }) })
    const witnesses = [one.vkey, two.vkey]
    const both = checkProof({ proof: signed(one.line, two.line), entry, key, witnesses })
    expect(both.cosignatures.map(({ name, time }) => [name, time])).toEqual([
      ['w1.example', 1_790_000_000],
      ['w2.example', 1_790_000_000],
    ])
    expect(() => checkProof({ proof: signed(one.line), entry, key, witnesses })).toThrowError(unsigned)
    expect(checkProof({ proof: signed(one.line), entry, key, witnesses, quorum: 1 }).cosignatures).toHaveLength(1)
    const twice = signed(one.line, one.line)
    expect(() => checkProof({ proof: twice, entry, key, witnesses })).toThrowError(unsigned)
    const false_ = {
      ...one.line,
      signature: Uint8Array.from(one.line.signature, (byte, i) => (i === 7 ? byte ^ 1 : byte)),
    }
    expect(() => checkProof({ proof: signed(false_), entry, key, witnesses, quorum: 0 })).toThrowError(unsigned)
    expect(() => checkProof({ proof, entry, key, witnesses, quorum: 3 })).toThrowError(misuse)
  })

  it('carries what witnesses say in the notes that are kept beside, in no more lines, bytes and files than there can be', async () => {
    const { builder, directory, key } = await ledgerOf(20, [20])
    const note = parseNote(readFileSync(join(directory, 'checkpoint')))
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const lineOf = (name: string) => cosign(note.text, name, privateKey, 1_790_000_000)
    const long = (name: string) => ({ ...lineOf(name), signature: Buffer.alloc(300_000) })
    const kept = (...lines: NoteSignature[]) => formatNote({ ...note, signatures: [...note.signatures, ...lines] })
    const keep = (text: string, digest = createHash('sha256').update(text).digest('base64url')) => {
      const file = join(directory, anchorFile('witness', 20, digest))
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
      return file
    }
    const zeros = Buffer.alloc(32).toString('base64url')
    keep(kept(lineOf('renamed.example')), zeros)
    keep('no note at all')
    keep(kept(lineOf('w1.example')))
    for (const name of ['long-1.example', 'long-2.example']) keep(kept(long(name)))
    const names = async () => {
      const { proof } = await proveEntry({ directory, entry: 3, inside: true })
      checkProof({ proof, key, witnesses: [formatCosignerKey('w1.example', publicKey)], quorum: 0 })
      return parseNote(Buffer.from(parseTlogProof(proof).checkpoint)).signatures.map(({ name }) => name)
    }
    const found = await names()
    expect(found).toHaveLength(note.signatures.length + 2)
    expect(found).toEqual(expect.arrayContaining([builder.origin, 'w1.example', expect.stringMatching(/^long-/)]))
    for (let i = 0; i < 3; i += 1) keep(kept(...Array.from({ length: 60 }, (_, n) => lineOf(`w-${i}-${n}.example`))))
    expect(await names()).toHaveLength(100)
    // Of more files than there can be, those behind them in the order of names are not looked at.
    rmSync(join(directory, 'anchors'), { recursive: true })
    keep(kept(lineOf('w1.example')))
    for (let i = 0; i < 256; i += 1) keep('', Buffer.from(String(i).padStart(64, '0'), 'hex').toString('base64url'))
    expect(await names()).toEqual(note.signatures.map(({ name }) => name))
  })

  it('rests on no checkpoint that the ledger did not sign, however many are said to have cosigned it', async () => {
    const later = { ...keys, note: generateKeyPairSync('ed25519').privateKey }
    const builder = await new LedgerBuilder({ keys }).open()
    const grow = (size: number) => {
      while (builder.entries.length < size) builder.add('heartbeat', { open: 0, interval: 60 })
    }
    const vkeyOf = ({ note }: BuilderKeys) => formatVerifierKey(builder.origin, createPublicKey(note))
    const [former, key] = [vkeyOf(keys), vkeyOf(later)]
    grow(10)
    const rotated = {
      key: 'note',
      turn: 1,
      old: former,
      new: key,
      signature: 'c2ln',
      certification: 'of a test',
    } as const
    builder.add('key-rotated', rotated)
    builder.succeed(later)
    grow(22)
    const directory = temporaryDirectory()
    const put = keeper(directory)
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const witnesses = [formatCosignerKey('w.example', publicKey)]
    const lineFor = ({ text }: { text: string }, name = 'w.example') => cosign(text, name, privateKey, 1_790_000_000)
    await builder.write(directory, { vault: false })
    const [old, whole] = [await builder.checkpoint(5), await builder.checkpoint(22)].map(({ note }) => note)
    const strangers = ['s1.example', 's2.example', 's3.example']
    // By whoever may write there, and has no key: a random signature of the log, a false one beside the true one, none at all.
    const forged = { ...whole!.signatures[0]!, signature: randomBytes(64) }
    const between = { text: checkpointBody({ origin: builder.origin, size: 15, root: builder.tree(15).root }) }
    put(15, between, forged, ...strangers.map(name => lineFor(between, name)))
    put(15, between, ...strangers.map(name => lineFor(between, name)))
    put(22, whole!, ...whole!.signatures, forged, ...strangers.map(name => lineFor(whole!, name)))
    put(22, whole!, ...whole!.signatures, lineFor(whole!))
    const proved = await proveEntry({ directory, entry: 7 })
    expect(proved).toMatchObject({ checkpoint: { size: 22 }, cosigned: 1 })
    expect(checkProof({ ...proved, key, witnesses }).cosignatures).toHaveLength(1)
    await expect(proveEntry({ directory, entry: 7, size: 15 })).rejects.toThrowError(misuse)
    // What was signed by the key before, and cosigned, is found as well.
    const lines = [...old!.signatures, lineFor(old!), lineFor(old!, 'w2.example')]
    builder.add('anchored', anchoredBy('w.example', builder, 5, digestOf(old!, ...lines)))
    await builder.write(directory, { vault: false })
    put(5, old!, ...lines)
    const before = await proveEntry({ directory, entry: 3 })
    expect(checkProof({ ...before, key: former, witnesses })).toMatchObject({ checkpoint: { size: 5 } })
    expect(before.formerKey).toBe(former)
    // A later one that the key in force signed comes first, though fewer have cosigned it.
    const newer = (await builder.checkpoint(20)).note
    const one = [...newer.signatures, lineFor(newer)]
    builder.add('anchored', anchoredBy('w.example', builder, 20, digestOf(newer, ...one)))
    await builder.write(directory, { vault: false })
    put(5, old!, ...lines)
    put(20, newer, ...one)
    const now = await proveEntry({ directory, entry: 3 })
    expect(checkProof({ ...now, key, witnesses })).toMatchObject({ checkpoint: { size: 20 } })
    expect(now).toMatchObject({ cosigned: 1, formerKey: undefined })
  })

  it('is against what the ledger itself says that witnesses have cosigned, whatever strangers put beside it', async () => {
    const builder = await new LedgerBuilder({ keys }).open()
    const grow = (size: number) => {
      while (builder.entries.length < size) builder.add('heartbeat', { open: 0, interval: 60 })
    }
    const directory = temporaryDirectory()
    const put = keeper(directory)
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const lineFor = ({ text }: { text: string }, name: string) => cosign(text, name, privateKey, 1_790_000_000)
    const kept: Parameters<typeof put>[] = []
    for (const size of [5, 12]) {
      grow(size)
      const { note } = await builder.checkpoint(size)
      const lines = [...note.signatures, lineFor(note, 'w.example')]
      kept.push([size, note, ...lines])
      builder.add('anchored', anchoredBy('w.example', builder, size, digestOf(note, ...lines)))
    }
    grow(600)
    await builder.write(directory, { vault: false })
    for (const one of kept) put(...one)
    const proved = async () => {
      const made = await proveEntry({ directory, entry: 3 })
      const witnesses = [formatCosignerKey('w.example', publicKey)]
      const key = formatVerifierKey(builder.origin, createPublicKey(keys.note))
      return checkProof({ ...made, key, witnesses }).checkpoint.size
    }
    expect(await proved()).toBe(12)
    // Each is a checkpoint that the ledger signed; what was copied under it, anybody can write.
    for (const size of [5, 9, 500, 600]) {
      const { note } = await builder.checkpoint(size)
      const strangers = ['s1.example', 's2.example', 's3.example'].map(name => lineFor(note, name))
      for (let i = 0; i < 3; i += 1) put(size, note, ...note.signatures, ...strangers.slice(i))
    }
    expect(await proved()).toBe(12)
    // An entry that says so, and is not of the tree that was signed.
    const { note } = await builder.checkpoint(9)
    const lie = new LedgerBuilder({ keys })
    lie.add(
      'anchored',
      anchoredBy('s1.example', builder, 9, put(9, note, ...note.signatures, lineFor(note, 's1.example'))),
    )
    lie.add(
      'anchored',
      anchoredBy('s2.example', builder, 9, put(9, note, ...note.signatures, lineFor(note, 's2.example'))),
    )
    const last = join(directory, 'tile/entries/002.p/88')
    const bundle = decodeBundle(readFileSync(last), 88)
    writeFileSync(last, encodeBundle([...bundle.slice(0, -2), ...lie.entries]))
    expect(await proved()).toBe(12)
    // Without what was kept of it, it is the next.
    rmSync(join(directory, 'anchors/12'), { recursive: true })
    expect(await proved()).toBe(5)
  })

  it('is against a seal of more entries than are published, where they are there, and else says what is missing', async () => {
    const { directory, key } = await ledgerOf(22, [10, 22])
    writeFileSync(join(directory, 'checkpoint'), readFileSync(join(directory, 'checkpoint.d/10')))
    const { proof, entry } = await proveEntry({ directory, entry: 15, size: 22 })
    expect(checkProof({ proof, entry, key })).toMatchObject({ index: 15, checkpoint: { size: 22 } })
    const bundles = join(directory, 'tile/entries/000.p')
    for (const name of readdirSync(bundles)) if (Number(name) > 10) rmSync(join(bundles, name))
    const missing = expect.objectContaining({ code: 'ERR_LEDGER_MISSING' })
    await expect(proveEntry({ directory, entry: 15, size: 22 })).rejects.toThrowError(missing)
  })

  it('at a billion entries has at most 30 hashes, and takes 4 tiles beside those of the right edge, which all proofs share', async () => {
    const size = 1e9
    const edge = new Set<string>()
    await treeRoot(
      size,
      tileReader(
        size,
        uniformTiles((level, n) => edge.add(`${level}/${n}`)),
      ),
    )
    expect(edge.size).toBeLessThanOrEqual(4)
    const root = await treeRoot(size, uniform())
    for (let i = 0; i < 200; i += 1) {
      const index = i < 100 ? i * 9_999_991 : size - 1 - (i - 100) ** 4
      const tiles = new Set<string>()
      const path = await inclusionProof(
        index,
        size,
        tileReader(
          size,
          uniformTiles((level, n) => tiles.add(`${level}/${n}`)),
        ),
      )
      verifyInclusion(uniformLeaf, index, size, path, root)
      expect(path.length).toBeLessThanOrEqual(30)
      expect([...tiles].filter(tile => !edge.has(tile)).length).toBeLessThanOrEqual(4)
      expect(tiles.size).toBeLessThanOrEqual(7)
    }
  })
})

describe('a proof checked by a stranger', () => {
  interop(['dash', 'openssl'], 'with sh, coreutils and openssl alone: whole, and bent in any way', async dash => {
    const { builder, directory, key } = await ledgerOf(700, [300, 700])
    const folder = temporaryDirectory()
    const file = (name: string, content: string | Uint8Array) => {
      writeFileSync(join(folder, name), content)
      return name
    }
    const script = file('check.sh', proofScript)
    const check = (proof: string | Uint8Array, entry: string | Uint8Array, ...more: string[]) => {
      const given = [script, file('proof', proof), file('entry', entry), ...more]
      const { status, stdout, stderr } = spawnSync(dash, given, { cwd: folder, encoding: 'utf8' })
      return [status, stdout + stderr]
    }
    for (const index of [0, 699]) {
      const { proof, entry } = await proveEntry({ directory, entry: index })
      expect(check(proof, entry, key)).toEqual([
        0,
        `entry ${index}: included in ${builder.origin} at 700 entries\nthe checkpoint is signed by ${builder.origin}\n`,
      ])
      expect(check(proof, builder.entries[(index + 1) % 700]!)).toEqual([1, `entry ${index}: NOT included\n`])
    }
    const { proof, entry } = await proveEntry({ directory, entry: 17, size: 300 })
    expect(check(proof, entry)[1]).toMatch(/included in .*\nthe signature .* was not verified/)
    const lines = proof.split('\n')
    const bent = (i: number, line: string) => lines.toSpliced(i, 1, line).join('\n')
    const none = Buffer.alloc(32).toString('base64')
    for (const i of [2, 4]) expect(check(bent(i, none), entry)[0]).toBe(1)
    expect(check(proof.replace('index 17', 'index 300'), entry)[0]).toBe(1)
    expect(check(proof.replace('\n300\n', '\n301\n'), entry, key)[0]).toBe(1)
    expect(check(proof.replace(/\n(— \S+ )./, '\n$1z'), entry, key)[0]).toBe(1)
    const elsewhere = formatVerifierKey(builder.origin, generateKeyPairSync('ed25519').publicKey)
    expect(check(proof, entry, elsewhere)).toEqual([1, expect.stringContaining('NOT signed')])
    expect(check(proof, entry, 'other.example+00000000+AAAA')[0]).toBe(1)
    expect([check('', entry)[0], check('index 1\n\n', entry)[0]]).toEqual([2, 2])
  })

  interop('dash', 'whose text is obeyed by no terminal, expanded by no shell, and read in one way', async dash => {
    const { builder, directory } = await ledgerOf(20, [20])
    const folder = temporaryDirectory()
    const script = join(folder, 'check.sh')
    writeFileSync(script, proofScript)
    const check = (proof: string, entry: Uint8Array) => {
      for (const [name, content] of [
        ['proof', proof],
        ['entry', entry],
      ] as const)
        writeFileSync(join(folder, name), content)
      const { status, stdout, stderr } = spawnSync(dash, [script, 'proof', 'entry'], { cwd: folder, encoding: 'utf8' })
      return [status, stdout + stderr]
    }
    const none = (what = '') => [2, `this is no proof${what}\n`]
    const { proof, entry } = await proveEntry({ directory, entry: 8 })
    expect(check(proof, entry)).toMatchObject([0, expect.stringContaining(`included in ${builder.origin} at 20`)])
    for (const origin of [
      'crm\\033[2K',
      'crm\\nthe checkpoint is signed by crm',
      'crm\\c',
      'crm\x1b[2K',
      'crm x',
      'crm\u202e',
      '',
    ]) {
      expect(
        check(
          proof.replace(builder.origin, () => origin),
          entry,
        ),
        origin,
      ).toEqual(none(': a malformed origin'))
    }
    // Eight, to a shell.
    expect(check(proof.replace('index 8', 'index 010'), entry)).toEqual(none())
    expect(check(proof.replace('\n20\n', '\n024\n'), entry)).toEqual(none())
    expect(check(proof.replace('index 8', 'index 18446744073709551624'), entry)).toEqual(none())
    // A file whose name is a hash.
    const [first] = parseTlogProof(proof).hashes.map(one => Buffer.from(one).toString('base64'))
    writeFileSync(join(folder, Buffer.alloc(32).toString('base64')), '')
    expect(check(proof.replace(first!, 'AAAAAAAA*'), entry)).toEqual([2, expect.stringContaining('a malformed hash')])
    for (const bent of ['AAAA', `${first} ${first}`]) {
      expect(check(proof.replace(first!, bent), entry), bent).not.toMatchObject([0])
    }
    const root = proof.split('\n').find((_, i, lines) => lines[i - 1] === '20')!
    expect(check(proof.replace(root, 'AAAA'), entry)).toEqual(none(': a malformed root'))
  })
})
