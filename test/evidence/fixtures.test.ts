import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { verifyLedger } from '../../evidence/verify.ts'

const fixtures = join(import.meta.dirname, '../../fixtures')
const names = ['whole', 'altered', 'truncated', 'reordered', 'forked', 'rolled-back']

describe('the ledgers of the fixtures', () => {
  test.each(names)('%s gets the verdict that is written beside it', async name => {
    const folder = join(fixtures, 'ledgers', name)
    const expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8'))
    const fingerprint = await readFile(join(fixtures, 'keys/test-only.seal.fingerprint'), 'utf8')
    const certificate = await readFile(join(fixtures, 'keys/test-only.seal.pub.asc'), 'utf8')
    const given = {
      directory: join(folder, 'ledger'),
      fingerprint,
      certificate,
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
