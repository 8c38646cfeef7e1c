/** A ledger that is erased, rotated and revoked while it is verified: every verification says what holds at its checkpoint. */
import { generateKeyPairSync } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { verifyLedger } from '../../evidence/index.ts'
import { certificateOf } from '../../lib/format/layout.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openForKeys, publishCertificate } from '../../lib/ledger/directory.ts'
import { replaceFiles } from '../../lib/ledger/files.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import { keyHistory, revocationDraft, rotationDraft } from '../../lib/ledger/rotation.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey, revokeOwn } from '../../lib/openpgp.ts'
import { settled } from '../support/directory-ledger.ts'
import { copyOf, customer, type Erasable, erasableLedger, erasure } from '../support/erasable-ledger.ts'

/**
 * One life of the ledger: opened, written, a principal erased, a key rotated (each third: revoked too), closed.
 * @returns with its keys of then
 */
async function live(at: Erasable, turn: number): Promise<Erasable> {
  const { options } = at
  const { directory, origin } = options
  const ledger = await openForKeys(options)
  await ledger.append([
    ...Array.from({ length: 40 }, () => settled()),
    {
      ...{ kind: 'event', source: 'crm', event: 'login', level: 'info', subject: customer },
      ...{ disclose: { message: `came ${turn}` }, slot: `principal:${customer}` },
    },
  ])
  await ledger.publish()
  await ledger.append([settled()])
  await ledger.erase(erasure())
  const before = { noteKey: noteKeyOf(options.noteKey, origin), sealer: options.sealer! }
  const next = await nextKeys(at, turn)
  const after = { noteKey: noteKeyOf(next.options.noteKey, origin), sealer: next.options.sealer! }
  const history = await keyHistory(ledger.entries())
  const drafts: [Draft, ...Draft[]] = [await rotationDraft({ origin, history, before, after })]
  if (turn % 4 === 1) {
    const now = new Date()
    const certificate = await revokeOwn(at.key, 'superseded', now)
    await replaceFiles(directory, [[certificateOf(before.sealer.fingerprint), certificate]])
    const said = { origin, key: 'seal', revoked: before.sealer.fingerprint, reason: 'superseded' } as const
    drafts.push(await revocationDraft({ ...said, at: now.toISOString(), by: after.sealer, certificate }))
  }
  await replaceFiles(directory, [[certificateOf(after.sealer.fingerprint), after.sealer.certificate]])
  await ledger.rotate(drafts, after)
  await publishCertificate(directory, after.sealer)
  await ledger.close()
  return next
}

async function nextKeys({ options, key, sealKey }: Erasable, turn: number): Promise<Erasable> {
  if (turn % 2 === 0) {
    return { key, sealKey, options: { ...options, noteKey: generateKeyPairSync('ed25519').privateKey } }
  }
  const made = (await generateKey({ name: `seal ${turn}` })).privateKey
  const next = await readPrivateKey(made)
  return { sealKey: made, key: next, options: { ...options, sealer: openpgpSealer(next) } }
}

/** A short sample; fifty of them take most of a minute: COUNTERFOIL_LIVE=50 npx vitest run test/evidence/live.test.ts */
const most = Number(process.env.COUNTERFOIL_LIVE ?? 3)

describe('a ledger that is being written', () => {
  it('is OK, however often it is erased, rotated, revoked and reopened while it is verified', async () => {
    let at = copyOf(await erasableLedger())
    const { directory, wrappingKey } = at.options
    const pinned = { fingerprint: at.key.fingerprint, certificate: at.key.certificate }
    let isOver = false
    const writing = async () => {
      for (let turn = 0; !isOver; turn += 1) {
        at = await live(at, turn)
        await setImmediate()
      }
    }
    const verifying = async () => {
      const found: unknown[] = []
      const sizes = new Set<number>()
      // A machine that has much else to do may verify several times before the ledger has grown.
      for (let i = 0; i < most || sizes.size < 2; i += 1) {
        const { verdict, findings, size } = await verifyLedger({ directory, wrappingKey, ...pinned })
        if (verdict !== 'OK') found.push(findings)
        sizes.add(size)
      }
      return found
    }
    const verified = verifying().finally(() => {
      isOver = true
    })
    const [, found] = await Promise.all([writing(), verified])
    expect(found).toEqual([])
  }, 300_000)
})
