/**
 * Leads a shared ledger, and kills itself just before one of the calls that change files: the N-th from when a line
 * with N has come on its standard input. Says `ready`, and `counting` when it counts. Reads JSON of settings.
 */
import { createPrivateKey } from 'node:crypto'
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { openpgpSealer } from '../../../lib/ledger/sealer.ts'
import { openSharedLedger } from '../../../lib/ledger/shared/open.ts'
import { readPrivateKey } from '../../../lib/openpgp.ts'
import { beforeEachCall } from '../../support/crash-point.ts'

const { directory, note, seal } = JSON.parse(process.argv[2]!) as Record<'directory' | 'note' | 'seal', string>
await openSharedLedger({
  ...{ directory, origin: 'crm.example/counterfoil', writer: 'leader', create: true },
  ...{ noteKey: createPrivateKey(note), sealer: openpgpSealer(await readPrivateKey(seal)) },
  ...{ wrappingKey: new Uint8Array(32).fill(7), software: 'counterfoil/test', placement: 'gateway' },
  // No call is made by a timer.
  publishMs: 1e8,
})
writeSync(1, 'ready\n')
for await (const line of createInterface({ input: process.stdin })) {
  let left = Number(line)
  await beforeEachCall(() => {
    left -= 1
    if (left === 0) process.kill(process.pid, 'SIGKILL')
  })
  writeSync(1, 'counting\n')
}
