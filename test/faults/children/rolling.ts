/** Rolls a ledger over when a byte arrives on standard input; says `ready` before, and `done` after. */
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { rollOver } from '../../../lib/ledger/rollover.ts'
import { openpgpSealer } from '../../../lib/ledger/sealer.ts'
import { readPrivateKey } from '../../../lib/openpgp.ts'

const { noteKey, sealKey, wrappingKey, ...options } = JSON.parse(process.argv[2]!)
const sealer = openpgpSealer(await readPrivateKey(sealKey))
process.stdout.write('ready\n')
await once(process.stdin, 'data')
await rollOver(
  { ...options, noteKey: createPrivateKey(noteKey), sealer, wrappingKey: Buffer.from(wrappingKey, 'base64url') },
  1,
)
process.stdout.write('done\n')
process.exit(0)
