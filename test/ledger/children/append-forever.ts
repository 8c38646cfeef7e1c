/**
 * Appends until it is killed, and says on its standard output what was acknowledged: `index id` for each entry, `= checkpoint` in
 * base64 for each publication. Reads a JSON line of settings: the key and the directory.
 */
import { createPrivateKey } from 'node:crypto'
import { writeSync } from 'node:fs'
import { formatCheckpoint } from '../../../lib/format/checkpoint.ts'
import { openDirectoryLedger } from '../../../lib/ledger/directory.ts'
import type { Draft } from '../../../lib/ledger/ledger.ts'

const { directory, key, level } = JSON.parse(process.argv[2]!) as {
  directory: string
  key: string
  level: 'durable' | 'written'
}
const ledger = await openDirectoryLedger({
  directory,
  origin: 'crm.example/counterfoil',
  writer: 'crm-gateway',
  noteKey: createPrivateKey(key),
  wrappingKey: new Uint8Array(32).fill(7),
  software: 'counterfoil/test',
  placement: 'gateway',
  publishMs: 15,
  segmentBytes: 20_000,
  create: true,
})
// Written at once: what is still in a buffer of ours when the kill comes would look as if it had not been acknowledged.
const say = (line: string) => writeSync(1, `${line}\n`)
const draft = (): Draft => ({ kind: 'settled', exchanges: [], result: 'committed', disclose: { name: 'x' } })

const client = async (each: number) => {
  for (;;) {
    const stored = await ledger.append(Array.from({ length: each }, draft), { level })
    say(stored.map(({ index, entry }) => `${index} ${entry.id}`).join('\n'))
  }
}
const publisher = async () => {
  for (;;) {
    const checkpoint = Math.random() < 0.2 ? await ledger.seal() : await ledger.publish()
    say(`= ${Buffer.from(formatCheckpoint(checkpoint)).toString('base64')}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
say('ready')
await Promise.all([client(1), client(1), client(3), client(40), publisher()])
