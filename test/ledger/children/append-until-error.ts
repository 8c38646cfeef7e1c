/** Appends until the disk refuses, and prints as JSON what was acknowledged, and how it was refused then and later. */
import { createPrivateKey } from 'node:crypto'
import { openDirectoryLedger } from '../../../lib/ledger/directory.ts'
import type { Draft } from '../../../lib/ledger/ledger.ts'

const { directory, key } = JSON.parse(process.argv[2]!) as { directory: string; key: string }
const ledger = await openDirectoryLedger({
  directory,
  origin: 'crm.example/counterfoil',
  writer: 'crm-gateway',
  noteKey: createPrivateKey(key),
  wrappingKey: new Uint8Array(32).fill(7),
  software: 'counterfoil/test',
  placement: 'gateway',
  publishMs: 1e6,
  create: true,
})
const draft = (): Draft => ({
  kind: 'settled',
  exchanges: [],
  result: 'committed',
  disclose: { name: 'x'.repeat(30_000) },
})
const acknowledged: (readonly [number, string])[] = []
const codes: string[] = []
const client = async () => {
  while (codes.length < 8) {
    try {
      for (const { index, entry } of await ledger.append([draft()])) acknowledged.push([index, entry.id])
    } catch (error) {
      codes.push((error as { code: string }).code)
    }
  }
}
await Promise.all(Array.from({ length: 8 }, client))
const attempts = [() => ledger.append([draft()]), () => ledger.publish(), () => ledger.seal()]
const later: string[] = []
for (const attempt of attempts) await attempt().catch((error: { code: string }) => later.push(error.code))
await ledger.close()
process.stdout.write(JSON.stringify({ acknowledged, codes, later }))
