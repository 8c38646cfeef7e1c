/** Signed notes against the C2SP specification's own example, and every way to bend one. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkpointBody, formatTlogProof, parseCheckpoint, parseTlogProof } from '../../lib/format/checkpoint.ts'
import {
  formatNote,
  formatVerifierKey,
  parseNote,
  parseVerifierKey,
  requireSignature,
  signNote,
} from '../../lib/format/note.ts'

const refused = expect.objectContaining({ code: 'ERR_CHECKPOINT_SIGNATURE' })
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const name = 'ledger.example/crm'
const text = 'ledger.example/crm\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n'
const signed = formatNote({ text, signatures: [signNote(text, name, privateKey, publicKey)] })
const verifier = parseVerifierKey(formatVerifierKey(name, publicKey))
const parse = (note: string) => parseNote(Buffer.from(note))

describe('a signed note', () => {
  it("is that of Go's sumdb/note, in its documented example", () => {
    const peter = parseVerifierKey('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW')
    const note =
      "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
      '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'
    expect(requireSignature(parse(note), peter).name).toBe('PeterNeumann')
    expect(() => requireSignature(parse(note.replace('answer', 'Answer')), peter)).toThrowError(refused)
  })

  it('verifies with the key that signed it, and no other', () => {
    requireSignature(parse(signed), verifier)
    const other = parseVerifierKey(formatVerifierKey(name, generateKeyPairSync('ed25519').publicKey))
    expect(() => requireSignature(parse(signed), other)).toThrowError(refused)
    const renamed = parseVerifierKey(formatVerifierKey('ledger.example/api', publicKey))
    expect(() => requireSignature(parse(signed), renamed)).toThrowError(refused)
  })

  it('fails with any character changed', () => {
    for (let at = 0; at < signed.length; at += 1) {
      const changed = `${signed.slice(0, at)}${signed[at] === 'x' ? 'y' : 'x'}${signed.slice(at + 1)}`
      expect(() => requireSignature(parse(changed), verifier), `at ${at}`).toThrowError(refused)
    }
  })

  it('keeps signatures of unknown keys, and fails for a false one of a known key beside a true one', () => {
    const stranger = generateKeyPairSync('ed25519')
    const own = signNote(text, name, privateKey, publicKey)
    const foreign = signNote(text, 'stranger', stranger.privateKey, stranger.publicKey)
    requireSignature(parse(formatNote({ text, signatures: [foreign, own] })), verifier)
    const forged = { ...own, signature: Buffer.alloc(64) }
    expect(() => requireSignature(parse(formatNote({ text, signatures: [own, forged] })), verifier)).toThrowError(
      refused,
    )
  })

  // biome-ignore format: a table
  const malformed: [string, string | Uint8Array][] = [
    ['nothing',                    ''],
    ['no blank line',              text],
    ['no signature line',          `${text}\n`],
    ['no final newline',           signed.slice(0, -1)],
    ['a control character',        signed.replace('3', '\u0000')],
    ['a carriage return',          signed.replaceAll('\n', '\r\n')],
    ['a hyphen for the dash',      signed.replace('\u2014', '-')],
    ['a signature of no bytes',    `${text}\n\u2014 a AAAA\n`],
    ['a signature cut short',      signed.replace(/.\n$/, '')],
    ['over a megabyte',            `${'x'.repeat(1_000_000)}\n\n\u2014 a AAAAAAAA\n`],
    ['over a hundred signatures',  `${text}\n${'\u2014 a AAAAAAAA\n'.repeat(101)}`],
    ['invalid UTF-8',              Uint8Array.of(0xff, 0x0a, 0x0a)],
  ]
  it.each(malformed)('is refused with %s', (_, note) => {
    expect(() => parseNote(Buffer.from(note as string))).toThrowError(refused)
  })

  it('is refused or read, and never anything else, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        try {
          parseNote(bytes)
        } catch (error) {
          expect(error).toEqual(refused)
        }
      }),
    )
  })
})

describe('a verifier key', () => {
  it('is refused when it is cut, of another type, or has a wrong id', () => {
    const key = formatVerifierKey(name, publicKey)
    for (const bad of [
      '',
      name,
      key.slice(0, -4),
      key.replace(/\+[0-9a-f]{8}\+/, '+00000000+'),
      key.replace('+A', '+B'),
      `a b${key}`,
      `${key}+x`,
    ]) {
      expect(() => parseVerifierKey(bad), bad).toThrowError(refused)
    }
  })

  it('is its name, the first bytes of a hash, and the key, as the specification says', () => {
    const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url')
    const typed = Buffer.concat([Buffer.of(1), raw])
    const id = createHash('sha256').update(`${name}\n`).update(typed).digest('hex').slice(0, 8)
    expect(formatVerifierKey(name, publicKey)).toBe(`${name}+${id}+${typed.toString('base64')}`)
  })
})

describe('a checkpoint', () => {
  const root = Buffer.alloc(32, 9)

  it('is three lines, and read back', () => {
    const body = checkpointBody({ origin: name, size: 17, root })
    const note = formatNote({ text: body, signatures: [signNote(body, name, privateKey, publicKey)] })
    expect(parseCheckpoint(Buffer.from(note))).toMatchObject({ origin: name, size: 17, root })
  })

  // biome-ignore format: a table
  const bodies: [string, string][] = [
    ['a fourth line',       `${name}\n1\n${root.toString('base64')}\nx\n`],
    ['a line missing',      `${name}\n1\n`],
    ['a size with a zero',  `${name}\n01\n${root.toString('base64')}\n`],
    ['a negative size',     `${name}\n-1\n${root.toString('base64')}\n`],
    ['a size too large',    `${name}\n9007199254740993\n${root.toString('base64')}\n`],
    ['a short root',        `${name}\n1\n${root.subarray(1).toString('base64')}\n`],
    ['a root in base64url', `${name}\n1\n${Buffer.alloc(32, 255).toString('base64url')}=\n`],
    ['a name with a space', `a b\n1\n${root.toString('base64')}\n`],
  ]
  it.each(bodies)('is refused with %s', (_, body) => {
    const note = formatNote({ text: body, signatures: [signNote(body, name, privateKey, publicKey)] })
    expect(() => parseCheckpoint(Buffer.from(note))).toThrowError(refused)
  })

  it('travels in a tlog-proof', () => {
    const proof = { index: 5, hashes: [root, Buffer.alloc(32, 1)], checkpoint: signed }
    expect(parseTlogProof(formatTlogProof(proof))).toEqual(proof)
    expect(parseTlogProof(formatTlogProof({ ...proof, hashes: [] })).hashes).toEqual([])
    for (const bad of [
      '',
      'x',
      formatTlogProof(proof).replace('index 5', 'index 05'),
      formatTlogProof(proof).replace('v1', 'v2'),
    ]) {
      expect(() => parseTlogProof(bad)).toThrowError(expect.objectContaining({ code: 'ERR_PROOF_INVALID' }))
    }
  })
})
