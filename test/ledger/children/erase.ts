/** Opens a ledger, erases a principal and a session, and ends without closing it: to be killed at any of its system calls. */
import { createPrivateKey } from 'node:crypto'
import { openDirectoryLedger } from '../../../lib/ledger/directory.ts'
import type { Erasure } from '../../../lib/ledger/ledger.ts'
import { openpgpSealer } from '../../../lib/ledger/sealer.ts'
import { readPrivateKey } from '../../../lib/openpgp.ts'

const { directory, note, seal, erasures } = JSON.parse(process.argv[2]!) as {
  directory: string
  note: string
  seal: string
  erasures: Erasure[]
}
const ledger = await openDirectoryLedger({
  directory,
  origin: 'crm.example/counterfoil',
  writer: 'crm-gateway',
  noteKey: createPrivateKey(note),
  sealer: openpgpSealer(await readPrivateKey(seal)),
  wrappingKey: new Uint8Array(32).fill(7),
  software: 'counterfoil/test',
  placement: 'gateway',
})
for (const erasure of erasures) await ledger.erase!(erasure)
process.exit(0)
