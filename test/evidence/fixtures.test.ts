import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { verifyLedger } from '../../evidence/verify.ts'

const fixtures = join(import.meta.dirname, '../../fixtures')
const names = (await readdir(join(fixtures, 'ledgers'), { withFileTypes: true })).flatMap(entry =>
  entry.isDirectory() ? [entry.name] : [],
)

describe('the ledgers of the fixtures', () => {
  test('are all there', () => {
    expect(names).toHaveLength(11)
  })

  test.each(names)('%s gets the verdict that is written beside it', async name => {
    const folder = join(fixtures, 'ledgers', name)
    const expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8'))
    // From outside the ledger, as always; beside it where it is another key than the others'.
    const own = async (file: string, otherwise: string) =>
      readFile(join(folder, file), 'utf8').catch(() => readFile(join(fixtures, 'keys', otherwise), 'utf8'))
    const fingerprint = await own('fingerprint', 'test-only.seal.fingerprint')
    const certificate = await own('certificate.asc', 'test-only.seal.pub.asc')
    const { wrappingKey } = expected
    const given = {
      directory: join(folder, 'ledger'),
      fingerprint,
      certificate,
      ...(wrappingKey === undefined ? {} : { wrappingKey: Buffer.from(wrappingKey, 'base64') }),
      now: Date.parse('2026-08-01T00:00:00Z'),
    }
    // A verification that succeeds replaces the pin.
    const scratch = await mkdtemp(join(tmpdir(), 'fixture-'))
    try {
      await cp(join(folder, 'pin'), join(scratch, 'pin'))
      const pinned = await verifyLedger({ ...given, pin: join(scratch, 'pin') })
      expect(pinned.findings).toMatchObject(expected.findings)
      expect(pinned.findings).toHaveLength(expected.findings.length)
      expect(pinned.verdict).toBe(expected.verdict)
      expect((await verifyLedger(given)).verdict).toBe(expected.unpinned)
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  })
})
