/** Version 1 of the entries is frozen: a golden vector that changes is a format that changed. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import canonicalizeByOthers from 'canonicalize'
import { describe, expect, it } from 'vitest'
import { type Vector, vectors } from '../../fixtures/vectors/generate.ts'
import { encodeEntry, kindNames, kinds, parseEntry } from '../../lib/format/entry.ts'
import { leafHash } from '../../lib/format/merkle.ts'

const golden = JSON.parse(
  await readFile(new URL('../../fixtures/vectors/entries.json', import.meta.url), 'utf8'),
) as Vector[]
const byOthers = canonicalizeByOthers as unknown as (value: unknown) => string
const named = golden.map(vector => [vector.entry.kind, vector] as const)

describe('the golden vectors', () => {
  it('have every kind, with every optional member', () => {
    expect(golden.map(({ entry }) => entry.kind)).toEqual(kindNames)
    for (const { entry } of golden)
      for (const member of Object.keys(kinds[entry.kind])) expect(entry).toHaveProperty(member)
  })

  it.each(named)('of %s are encoded and hashed as they were', (_, { entry, bytes, leaf }) => {
    expect(encodeEntry(entry).toString()).toBe(bytes)
    expect(Buffer.from(leafHash(Buffer.from(bytes))).toString('hex')).toBe(leaf)
    expect(parseEntry(Buffer.from(bytes))).toEqual(entry)
  })

  it.each(named)('of %s are what others make of them', (_, { entry, bytes, leaf }) => {
    expect(byOthers(entry)).toBe(bytes)
    expect(createHash('sha256').update(Buffer.of(0)).update(bytes).digest('hex')).toBe(leaf)
  })

  it('are what their script would write', () => {
    expect(vectors()).toEqual(golden)
  })

  it.each(named)('of %s are refused with a member more, one less, or another version', (_, { entry }) => {
    const refused = expect.objectContaining({ code: 'ERR_ENTRY_MALFORMED' })
    const attempt = (changed: object) => () => encodeEntry(changed as typeof entry)
    expect(attempt({ ...entry, extra: 1 })).toThrowError(refused)
    expect(attempt({ ...entry, v: entry.v + 1 })).toThrowError(refused)
    expect(attempt({ ...entry, seq: undefined })).toThrowError(refused)
    expect(attempt({ ...entry, sd: ['b'.repeat(43), 'a'.repeat(43)] })).toThrowError(refused)
    expect(attempt({ ...entry, sd: ['a'.repeat(43), 'a'.repeat(43)] })).toThrowError(refused)
  })

  it.each(named)('of %s are read in their one spelling alone', (_, { bytes }) => {
    const refused = expect.objectContaining({ code: 'ERR_ENTRY_MALFORMED' })
    const members = Object.entries(JSON.parse(bytes) as Record<string, unknown>)
    const spellings = [
      ` ${bytes}`,
      `\ufeff${bytes}`,
      `${bytes}\n`,
      bytes.replace(/"v":(\d)/, '"v":$1.0'),
      bytes.replace(/"v":(\d)/, '"v":$1e0'),
      bytes.replace(/"v":\d/, '"v":9'),
      bytes.replace(/"v":(\d)/, '"v":$1,"v":$1'),
      bytes.replace('"seq":', '"seq":-'),
      bytes.replace('"kind"', '"kin\\u0064"'),
      bytes.replace('{', '{"__proto__":{},'),
      JSON.stringify(Object.fromEntries(members.toReversed())),
      'null',
      '[]',
      '{}',
    ]
    for (const spelling of spellings) {
      expect(spelling).not.toBe(bytes)
      expect(() => parseEntry(Buffer.from(spelling)), spelling).toThrowError(refused)
    }
    expect(() => parseEntry(Buffer.concat([Buffer.from(bytes), Buffer.of(0xff)]))).toThrowError(refused)
  })

  it('hold no entry of an unknown kind, nor one named as a built-in member', () => {
    for (const kind of ['unknown', '__proto__', 'constructor', 'toString', '']) {
      const entry = { ...golden[0]!.entry, kind } as never
      expect(() => encodeEntry(entry)).toThrowError(expect.objectContaining({ code: 'ERR_ENTRY_MALFORMED' }))
    }
  })
})
