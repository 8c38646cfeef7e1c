/** Opens a ledger, records a session, and says how far it is when so much of the recording is on the disk: to be killed then. */
import { createPrivateKey } from 'node:crypto'
import { openDirectoryLedger } from '../../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../../lib/ledger/sealer.ts'
import { readPrivateKey } from '../../../lib/openpgp.ts'
import { attachedOf, openingDrafts, shownPart } from '../../support/cut-recording.ts'

const { directory, note, seal, parts } = JSON.parse(process.argv[2]!) as {
  directory: string
  note: string
  seal: string
  parts: number
}
const ledger = await openDirectoryLedger({
  ...{ directory, origin: 'crm.example/counterfoil', writer: 'crm-gateway', create: true },
  ...{ noteKey: createPrivateKey(note), sealer: openpgpSealer(await readPrivateKey(seal)) },
  ...{ wrappingKey: new Uint8Array(32).fill(7), software: 'counterfoil/test', placement: 'gateway' },
})
const { of, slot } = attachedOf
await ledger.append(openingDrafts())
const writer = await ledger.attach({ slot, of })
for (let i = 0; i < parts; i += 1) await writer.write(shownPart(i))
process.stdout.write(`${writer.id}\n`)
setInterval(() => undefined, 60_000)
