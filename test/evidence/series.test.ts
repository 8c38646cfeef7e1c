/** What holds between the ledgers of a series, each case made by somebody who has all keys but the pin. */
import { cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readPin, type VerifyOptions, verifySeries } from '../../evidence/index.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectory, openDirectoryLedger, openForKeys, publishCertificate } from '../../lib/ledger/directory.ts'
import type { Draft, DraftOf } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openNewest, rollOver } from '../../lib/ledger/rollover.ts'
import { keyHistory, rotationDraft } from '../../lib/ledger/rotation.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { memberOf, newestIn } from '../../lib/ledger/series.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { ledgerOptions, origin, settled, temporaryDirectory } from '../support/directory-ledger.ts'

const newKey = async () => openpgpSealer(await readPrivateKey((await generateKey({ name: 'seal' })).privateKey))
const sealer = await newKey()
const { fingerprint } = sealer
const alice = 'A'.repeat(22)

const names: Draft = { kind: 'principal', subject: alice, type: 'person', disclose: { name: 'alice' } }
const hold: Draft = { kind: 'hold-placed', hold: 'h-1', scope: 'ledger', by: alice, disclose: { reason: 'suit' } }

async function append(options: DirectoryOptions, ...drafts: readonly Draft[]): Promise<void> {
  const ledger = await openNewest(options, {}, openDirectoryLedger)
  await ledger.append(drafts)
  await ledger.close()
}
const roll = async (options: DirectoryOptions) => rollOver(options, await newestIn(options.directory))

/** Two ledgers, the first of them concluded. */
async function two(parts: Partial<DirectoryOptions> = {}): Promise<DirectoryOptions> {
  const options = ledgerOptions({ sealer, ...parts })
  await append(options, names, hold, settled())
  await roll(options)
  await append(options, settled())
  return options
}

async function told({ directory }: Pick<DirectoryOptions, 'directory'>, more: Partial<VerifyOptions> = {}) {
  const verified = await verifySeries({ directory, fingerprint, ...more })
  return verified.map(({ verification: { verdict, findings } }) =>
    [verdict, ...new Set(findings.map(({ code }) => code))].join(' '),
  )
}

/** The second ledger made anew, beginning as given. @param begin from how it rightly begins */
async function begunAs(
  options: DirectoryOptions,
  begin: (right: DraftOf<'continued'>, carried: readonly Draft[]) => readonly Draft[],
) {
  const second = memberOf(options, 2)
  const before = await openForKeys(second)
  const entries: Draft[] = []
  for await (const { entry } of before.entries()) {
    const { v: _v, id: _id, time: _time, writer: _writer, seq: _seq, sd: _sd, ...draft } = entry
    entries.push(draft as Draft)
  }
  await before.close()
  rmSync(second.directory, { recursive: true })
  const right = entries[1] as DraftOf<'continued'>
  const fresh = begin(right, entries.slice(2, 2 + right.carried))
  const forged = await openDirectory({ ...second, create: true }, { owed: () => [], fresh: () => fresh })
  await forged.close()
}

describe('a series of ledgers', () => {
  it('is verified as one, by one key and one pin, which goes on to the newest', async () => {
    const options = ledgerOptions({ sealer })
    const pin = join(temporaryDirectory(), 'pin')
    await append(options, names)
    expect(await told(options, { pin, first: true })).toEqual(['OK'])
    await roll(options)
    expect(await told(options, { pin })).toEqual(['OK', 'OK'])
    expect((await readPin(pin))?.origin).toBe(`${origin}/2`)
    await append(options, settled())
    expect(await told(options, { pin, incremental: true })).toEqual(['OK', 'OK'])
    await roll(options)
    await append(options, settled())
    expect(await told(options, { pin, incremental: true })).toEqual(['OK', 'OK', 'OK'])
    expect((await readPin(pin))?.origin).toBe(`${origin}/3`)
    expect(await told({ directory: memberOf(options, 2).directory })).toEqual(['OK'])
  })

  it('is verified at an address', async () => {
    const options = await two()
    const server = createServer((request, response) => {
      try {
        response.end(readFileSync(join(options.directory, request.url!)))
      } catch {
        response.writeHead(404).end()
      }
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => void server.close())
    const directory = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await told({ directory })).toEqual(['OK', 'OK'])
  })

  it('is led by the pinned key to a later one, from ledger to ledger', async () => {
    const options = await two()
    const later = await newKey()
    for (const number of [1, 2]) {
      const member = memberOf(options, number)
      const ledger = await openForKeys(member)
      const keys = (one: typeof sealer) => ({ noteKey: noteKeyOf(member.noteKey, member.origin), sealer: one })
      const [before, after] = [keys(sealer), keys(later)]
      const history = await keyHistory(ledger.entries())
      await ledger.rotate([await rotationDraft({ origin: member.origin, history, before, after })], after)
      await publishCertificate(member.directory, later)
      await ledger.close()
    }
    const now = { ...options, sealer: later }
    await roll(now)
    await append(now, settled())
    expect(await told(options)).toEqual(['OK', 'OK', 'OK'])
    expect(await told(options, { fingerprint: later.fingerprint })).toEqual(['OK', 'OK', 'OK'])
  })
})

describe('between two ledgers', () => {
  it('is missed, where the second is taken away', async () => {
    const options = await two()
    const pin = join(temporaryDirectory(), 'pin')
    expect(await told(options, { pin, first: true })).toEqual(['OK', 'OK'])
    rmSync(join(options.directory, 'series'), { recursive: true })
    expect(await told(options)).toEqual(['INCOMPLETE SUCCESSOR_MISSING'])
    expect(await told(options, { pin })).toEqual(['TAMPERED ROLLBACK SUCCESSOR_MISSING'])
  })

  it.each([
    ['all of it', undefined],
    ['all but something in the place of its checkpoint', ''],
  ])('is missed, where the first is taken away, %s', async (_, checkpoint) => {
    const options = await two()
    const pin = join(temporaryDirectory(), 'pin')
    expect(await told(options, { pin, first: true })).toEqual(['OK', 'OK'])
    for (const name of readdirSync(options.directory)) {
      if (name !== 'series') rmSync(join(options.directory, name), { recursive: true })
    }
    if (checkpoint !== undefined) writeFileSync(join(options.directory, 'checkpoint'), checkpoint)
    expect(await told(options)).toEqual(['TAMPERED FILE_MISSING'])
    expect(await told(options, { pin })).toEqual(['TAMPERED FILE_MISSING'])
  })

  it('is told by a pin, where what the first recorded of its vault since is cut off', async () => {
    const options = await two()
    const before = temporaryDirectory()
    cpSync(options.directory, before, { recursive: true })
    await (await openForKeys(options)).close()
    const pin = join(temporaryDirectory(), 'pin')
    expect(await told(options, { pin, first: true })).toEqual(['OK', 'OK'])
    expect(await told({ directory: before })).toEqual(['OK', 'OK'])
    expect(await told({ directory: before }, { pin })).toEqual(['TAMPERED ROLLBACK', 'OK'])
  })

  it('is none, where a link leads to one of the others', async () => {
    const options = await two()
    for (const number of [3, 4]) symlinkSync('..', memberOf(options, number).directory)
    expect(await told(options)).toEqual(['OK', 'OK'])
  })

  it('is told, where the first is put back to before it was concluded', async () => {
    const options = ledgerOptions({ sealer })
    await append(options, names)
    const older = temporaryDirectory()
    cpSync(options.directory, older, { recursive: true })
    await append(options, settled())
    await roll(options)
    cpSync(join(options.directory, 'series'), join(older, 'series'), { recursive: true })
    expect(await told({ directory: older })).toEqual(['TAMPERED ROLLBACK', 'OK'])
  })

  it('is told, where the first is written anew', async () => {
    const options = await two()
    const other = ledgerOptions({ ...options, directory: temporaryDirectory() })
    await append(other, names, hold, settled(), settled())
    await roll(other)
    rmSync(join(other.directory, 'series'), { recursive: true })
    cpSync(join(options.directory, 'series'), join(other.directory, 'series'), { recursive: true })
    expect((await told(other))[0]).toMatch(/^TAMPERED (FORK|ROLLBACK|SUCCESSION_INVALID)/)
  })

  it('is told, where something is recorded in a ledger that was concluded', async () => {
    const options = await two()
    const ledger = await openForKeys(options)
    await ledger.append([settled()])
    await ledger.close()
    expect(await told(options)).toEqual(['TAMPERED SUCCESSION_INVALID', 'OK'])
  })

  // biome-ignore format: a table
  it.each<[string, (right: DraftOf<'continued'>, carried: readonly Draft[]) => readonly Draft[], readonly string[]]>([
    ['says nothing of the first',   (_, carried) => carried,                                                    ['TAMPERED SUCCESSION_INVALID', 'TAMPERED SUCCESSION_INVALID']],
    ['says less again than it says', (right, [, ...carried]) => [right, ...carried],                            ['TAMPERED SUCCESSION_INVALID']],
    ['leaves out a hold',           (right, [one]) => [{ ...right, carried: 1 }, one!],                         ['TAMPERED SUCCESSION_INVALID']],
    ['cites another root',          (right, carried) => [{ ...right, root: right.state }, ...carried],          ['TAMPERED FORK']],
    ['cites more than there is',    (right, carried) => [{ ...right, size: right.size + 9 }, ...carried],       ['TAMPERED ROLLBACK']],
    ['cites what is not concluded', (right, carried) => [{ ...right, size: 1 }, ...carried],                    ['TAMPERED SUCCESSION_INVALID']],
    ['continues it twice',          (right, carried) => [right, ...carried, right],                             ['TAMPERED SUCCESSION_INVALID']],
  ])('is told, where the second %s', async (_, begin, expected) => {
    const options = await two()
    await begunAs(options, begin)
    expect(await told(options)).toEqual(expect.arrayContaining([...expected]))
  })
})

describe('a ledger that is disposed of', () => {
  const disposed = (root: string, approvers: readonly string[]): Draft => ({
    ...{ kind: 'disposed', of: origin, size: 9, root, ground: 'retention', by: alice, approvers: [...approvers] },
  })
  it.each([
    ['nobody has approved it', []],
    ['its approver is nobody that an entry names', ['B'.repeat(22)]],
  ])('is told, where %s', async (_, approvers) => {
    const options = await two()
    await append(options, disposed(Buffer.alloc(32).toString('base64url'), approvers))
    expect((await told(options))[1]).toBe('TAMPERED ERASURE_UNAUTHORISED')
  })
})
