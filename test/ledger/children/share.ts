/**
 * Appends to a shared ledger until it is killed or told to stop (by the end of its standard input), and says on its standard output
 * what was acknowledged: `index id` for each entry. Reads JSON of settings.
 */
import { createPrivateKey } from 'node:crypto'
import { writeSync } from 'node:fs'
import { uuidv7 } from '../../../lib/format/entry.ts'
import type { Draft } from '../../../lib/ledger/ledger.ts'
import { openpgpSealer } from '../../../lib/ledger/sealer.ts'
import { openSharedLedger } from '../../../lib/ledger/shared/open.ts'
import { readPrivateKey } from '../../../lib/openpgp.ts'

const { directory, key, seal, writer } = JSON.parse(process.argv[2]!) as Record<
  'directory' | 'key' | 'seal' | 'writer',
  string
>
// Written at once: what is still in a buffer of ours when the kill comes would look as if it had not been acknowledged.
const say = (line: string) => writeSync(1, `${line}\n`)
const ledger = await openSharedLedger({
  directory,
  origin: 'crm.example/counterfoil',
  writer,
  noteKey: createPrivateKey(key),
  sealer: openpgpSealer(await readPrivateKey(seal)),
  wrappingKey: new Uint8Array(32).fill(7),
  software: 'counterfoil/test',
  placement: 'gateway',
  publishMs: 50,
  graceMs: 2_000,
  takeoverMs: 20_000,
  create: true,
})
let stopping = false
process.stdin.resume().once('end', () => {
  stopping = true
})
const permitted = (exchange: string): Draft => ({
  ...{
    kind: 'decision',
    exchange,
    protocol: 'postgres',
    target: 'crm',
    action: 'A'.repeat(43),
    accesses: [],
    controls: [],
  },
  ...{ risk: 'low', read: false, verdict: 'permit', durability: 'durable', disclose: { action: `by ${writer}` } },
})
const client = async () => {
  while (!stopping) {
    const exchange = uuidv7(Date.now())
    for (const draft of [
      permitted(exchange),
      { kind: 'outcome', exchange, result: 'completed', items: 1, bytes: 1 } satisfies Draft,
    ]) {
      const stored = await ledger.append([draft])
      say(stored.map(({ index, entry }) => `${index} ${entry.id}`).join('\n'))
    }
  }
}
say('ready')
await Promise.all(Array.from({ length: 4 }, client))
await ledger.close()
