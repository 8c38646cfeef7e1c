/**
 * Tessera's `fsck` reads a ledger as any tlog-tiles log, and recomputes all of its tree. It is no package of a
 * distribution, and takes a minute to build, with Go 1.24 or newer: `go install
 * github.com/transparency-dev/tessera/cmd/fsck@v1.0.4`. COUNTERFOIL_FSCK says where it is.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { ledgerOptions, settled, temporaryDirectory } from '../support/directory-ledger.ts'

const fsck = process.env.COUNTERFOIL_FSCK

describe('Tessera', () => {
  it.skipIf(fsck === undefined).each([2, 255, 256, 257, 1000])(
    'recomputes the tree of a ledger of %i entries, and not that of an altered one (skipped where COUNTERFOIL_FSCK is not set)',
    async size => {
      const options = ledgerOptions({ publishMs: 1e6 })
      const ledger = await openDirectoryLedger(options)
      if (size > ledger.size) await ledger.append(Array.from({ length: size - ledger.size }, () => settled()))
      await ledger.publish()
      const folder = temporaryDirectory()
      writeFileSync(join(folder, 'key'), noteKeyOf(options.noteKey, options.origin).verifierKey)
      const copy = join(folder, 'ledger')
      cpSync(options.directory, copy, { recursive: true })
      await ledger.close()
      const given = ['-public_key', join(folder, 'key'), '-storage_url', `file://${copy}/`, '-ui=false', '-logtostderr']
      // It tries what it cannot read again and again, an altered bundle among it: that it does not succeed is its answer.
      const judge = () => spawnSync(fsck!, given, { encoding: 'utf8', timeout: 15_000 }).stderr
      const { root } = parseCheckpoint(readFileSync(join(copy, 'checkpoint')))
      const good = `Successfully fsck'd log with size ${size} and root ${Buffer.from(root).toString('base64')}`
      expect(judge()).toContain(good)
      if (size !== 257) return
      const bundle = join(copy, 'tile/entries/000')
      const bytes = readFileSync(bundle)
      bytes[100]! ^= 1
      writeFileSync(bundle, bytes)
      expect(judge()).not.toContain('Successfully')
    },
  )
})
