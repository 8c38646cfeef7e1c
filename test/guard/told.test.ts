/** What the operator of an application that guards itself is told: as the gateway's is, by winston; and when witnesses are asked. */
import { generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { expect, it, onTestFinished, vi } from 'vitest'
import { serveWitness } from '../../adapters/witness/index.ts'
import { initialise } from '../../cli/initialise.ts'
import { systemClock } from '../../lib/clock.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { diagnostics } from '../../lib/diagnostics.ts'
import { parseVerifierKey } from '../../lib/format/note.ts'
import { guard } from '../../lib/index.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { settled, temporaryDirectory } from '../support/directory-ledger.ts'

const until = (holds: () => unknown) => vi.waitFor(holds, { timeout: 30_000, interval: 20 })

/** An application's folder, with a witness for its ledger. @returns what was logged, and the witness */
async function application() {
  const folder = temporaryDirectory()
  const people = { user: 'user@example.com', approver: 'approver@example.com' }
  await initialise({ folder, name: 'crm', upstream: 'env:DATABASE_URL', ...people })
  const file = join(folder, 'counterfoil.yaml')
  const { ledger } = await loadConfig(file, { evidence: true })
  const witness = await serveWitness({
    ...{ name: 'w1.example', key: generateKeyPairSync('ed25519').privateKey, state: temporaryDirectory() },
    ...{ clock: systemClock, host: '127.0.0.1', port: 0 },
    logs: new Map([['crm', [parseVerifierKey(noteKeyOf(ledger.noteKey, 'crm').verifierKey)]]]),
  })
  onTestFinished(() => witness.close())
  const listed = `  witnesses: { every: 1h, list: [{ key: "${witness.verifierKey}", url: "http://127.0.0.1:${witness.port}" }] }\n`
  const written = (await readFile(file, 'utf8'))
    .replace(/^listen:\n.*\nadmin:.*\n/m, 'embedded: [crm]\n')
    .replace(/^identity:/m, `${listed}identity:`)
  await writeFile(file, written)
  const lines: Record<string, unknown>[] = []
  const to = new Writable({
    write: (line, _, done) => {
      lines.push(JSON.parse(String(line)))
      done()
    },
  })
  return { file, lines, witness, log: diagnostics('info', to) }
}

it('an embedded guard has each seal cosigned when it is made, and tells it; a witness that is down is told too', async () => {
  const { file, lines, witness, log } = await application()
  const gate = await guard({ config: file, log })
  const told = (message: string) => lines.filter(line => line.message === message)
  await until(() => expect(told('a witness cosigned')).toHaveLength(1))
  await gate.ledger.append([settled()])
  const { size } = await gate.ledger.seal!()
  await until(() => expect(told('a witness cosigned').map(line => line.size)).toContain(size))
  await witness.close()
  await gate.ledger.append([settled()])
  await gate.ledger.seal!()
  await until(() => expect(told('a witness did not cosign')[0]).toMatchObject({ witness: 'w1.example' }))
  await until(() => expect(told('fewer witnesses cosigned than the quorum')).not.toEqual([]))
  await gate.close()
  expect(lines.map(line => line.message)).not.toContain('an anchor is kept and not recorded yet')
}, 60_000)
