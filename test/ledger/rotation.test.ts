/** Rotations in the store: which key a directory opens with, wherever the write-ahead log ends. */
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { entryBundle } from '../../lib/format/layout.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectoryLedger, openForKeys } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { trimZeros } from '../../lib/ledger/recovery.ts'
import { keyHistory, rotationDraft } from '../../lib/ledger/rotation.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { crashImage, ledgerOptions, origin } from '../support/directory-ledger.ts'

const sealer = async () => openpgpSealer(await readPrivateKey((await generateKey({ name: 'Test ledger' })).privateKey))

async function signers() {
  const options = ledgerOptions({ sealer: await sealer(), publishMs: 60_000 })
  const before = { noteKey: noteKeyOf(options.noteKey, origin), sealer: options.sealer! }
  const next = noteKeyOf(generateKeyPairSync('ed25519').privateKey, origin)
  return { options, before, note: { ...before, noteKey: next }, seal: { ...before, sealer: await sealer() } }
}

const opens = (options: DirectoryOptions) =>
  openDirectoryLedger(options).then(
    async ledger => {
      await ledger.close()
      return 'opens'
    },
    error => error.code as string,
  )

/** With each of the keys, every time on a copy of its own. */
const opensWith = (options: DirectoryOptions, more: readonly Partial<DirectoryOptions>[]) =>
  Promise.all(more.map(each => opens({ ...crashImage(options), ...each })))

describe('a rotation that nothing has published yet', () => {
  it('of the note key counts where its entry is whole, and not where it was torn', async () => {
    const { options, before, note } = await signers()
    const ledger = await openForKeys(options)
    const history = await keyHistory(ledger.entries())
    await ledger.append([await rotationDraft({ origin, history, before, after: note })])
    const whole = crashImage(options)
    const torn = crashImage(options)
    await ledger.abandon()
    const keys = [{}, { noteKey: note.noteKey.privateKey }]
    expect(await opensWith(whole, keys)).toEqual(['ERR_LEDGER_INCONSISTENT', 'opens'])
    const segment = join(torn.directory, 'wal', readdirSync(join(torn.directory, 'wal')).at(-1)!)
    truncateSync(segment, trimZeros(readFileSync(segment)).length - 3)
    expect(await opensWith(torn, keys)).toEqual(['opens', 'ERR_CHECKPOINT_SIGNATURE'])
  })

  it('of the OpenPGP key counts too', async () => {
    const { options, before, seal } = await signers()
    const ledger = await openForKeys(options)
    const history = await keyHistory(ledger.entries())
    await ledger.append([await rotationDraft({ origin, history, before, after: seal })])
    const image = crashImage(options)
    await ledger.abandon()
    expect(await opensWith(image, [{}, { sealer: seal.sealer }])).toEqual(['ERR_LEDGER_INCONSISTENT', 'opens'])
  })
})

describe('a rotation that is published', () => {
  it.each(['note', 'seal'] as const)(
    'of the %s key, as the last entry of a full bundle, is found where both keys sign',
    async key => {
      const { options, before, ...after } = await signers()
      const ledger = await openForKeys(options)
      const beats = Array.from({ length: 253 }, () => ({ kind: 'heartbeat', open: 0, interval: 60 }) as const)
      await ledger.append(beats)
      const history = await keyHistory(ledger.entries())
      const draft = await rotationDraft({ origin, history, before, after: after[key] })
      const { size, note } = await ledger.rotate([draft], after[key])
      expect([size, note.signatures.length]).toEqual([256, 3])
      const image = crashImage(options)
      const given = { noteKey: after[key].noteKey.privateKey, sealer: after[key].sealer }
      expect(await opensWith(image, [{}, given])).toEqual(['ERR_LEDGER_INCONSISTENT', 'opens'])
      await ledger.append(beats)
      const later = await ledger.seal()
      expect(later.note.signatures).toHaveLength(2)
      await ledger.close()
      expect((await opensWith(options, [given, {}]))[0]).toBe('opens')
      expect((await opensWith(options, [{}]))[0]).not.toBe('opens')
    },
  )
})

describe('the OpenPGP key that speaks', () => {
  it('is known from a snapshot to who is refused: what it stands for is not read', async () => {
    const { options, before, seal } = await signers()
    const ledger = await openForKeys(options)
    for await (const _ of ledger.state());
    const beats = Array.from({ length: 600 }, () => ({ kind: 'heartbeat', open: 0, interval: 60 }) as const)
    await ledger.append(beats)
    const history = await keyHistory(ledger.entries())
    await ledger.rotate([await rotationDraft({ origin, history, before, after: seal })], seal)
    await ledger.append(beats)
    await ledger.close()
    rmSync(join(options.directory, entryBundle(3)))
    const expected = seal.sealer.fingerprint
    for (const stranger of [before.sealer, await sealer()]) {
      const refused = openDirectoryLedger({ ...options, sealer: stranger })
      await expect(refused).rejects.toMatchObject({ code: 'ERR_LEDGER_INCONSISTENT', data: { expected } })
    }
    expect(await opens({ ...options, sealer: seal.sealer })).toBe('opens')
  })
})

describe('a rotation is not made', () => {
  it('of no key, of both, or to one that spoke before', async () => {
    const { before, note, seal } = await signers()
    const history = { turns: 1, used: new Set([note.noteKey.verifierKey]) }
    const both = { noteKey: note.noteKey, sealer: seal.sealer }
    for (const after of [before, both, note])
      await expect(rotationDraft({ origin, history, before, after })).rejects.toMatchObject({
        code: 'ERR_OPTION_INVALID',
      })
  })
})
