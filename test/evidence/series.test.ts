/** What holds between the ledgers of a series, each case made by somebody who has all keys but the pin. */
import { generateKeyPairSync } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readPin, type VerifyOptions, verifySeries } from '../../evidence/index.ts'
import { canonical, type Json, parseJson } from '../../lib/format/canonical.ts'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { memberFolder } from '../../lib/format/layout.ts'
import { formatNote } from '../../lib/format/note.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectory, openDirectoryLedger, openForKeys, publishCertificate } from '../../lib/ledger/directory.ts'
import type { Draft, DraftOf } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openNewest, rollOver } from '../../lib/ledger/rollover.ts'
import { keyHistory, revocationDraft, rotationDraft } from '../../lib/ledger/rotation.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { memberOf, newestIn } from '../../lib/ledger/series.ts'
import { generateKey, readPrivateKey, revokeOwn } from '../../lib/openpgp.ts'
import { cosigned, startWitness } from '../support/anchored-ledger.ts'
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

/** Its checkpoint, signed by the note key alone. */
function unseal({ directory }: Pick<DirectoryOptions, 'directory'>): void {
  const { note } = parseCheckpoint(readFileSync(join(directory, 'checkpoint')))
  const signatures = note.signatures.filter(({ signature }) => signature.length === 64)
  writeFileSync(join(directory, 'checkpoint'), formatNote({ ...note, signatures }))
}

async function told({ directory }: Pick<DirectoryOptions, 'directory'>, more: Partial<VerifyOptions> = {}) {
  const verified = await verifySeries({ directory, fingerprint, ...more })
  return verified.map(({ verification: { verdict, findings } }) =>
    [verdict, ...new Set(findings.map(({ code }) => code))].join(' '),
  )
}

function copied(options: DirectoryOptions): DirectoryOptions {
  const directory = temporaryDirectory()
  cpSync(options.directory, directory, { recursive: true })
  return { ...options, directory }
}

/** What a ledger says, to be said again. */
async function draftsIn(options: DirectoryOptions): Promise<readonly Draft[]> {
  const ledger = await openForKeys(options)
  const drafts: Draft[] = []
  for await (const { entry } of ledger.entries()) {
    const { v: _v, id: _id, time: _time, writer: _writer, seq: _seq, sd: _sd, ...draft } = entry
    drafts.push(draft as Draft)
  }
  await ledger.abandon()
  return drafts
}

/** The second ledger made anew, beginning as given. @param begin from how it rightly begins */
async function begunAs(
  options: DirectoryOptions,
  begin: (right: DraftOf<'continued'>, carried: readonly Draft[]) => readonly Draft[],
) {
  const second = memberOf(options, 2)
  const entries = await draftsIn(second)
  rmSync(second.directory, { recursive: true })
  const right = entries[1] as DraftOf<'continued'>
  const fresh = begin(right, entries.slice(2, 2 + right.carried))
  const forged = await openDirectory({ ...second, create: true }, { owed: () => [], fresh: () => fresh })
  await forged.close()
}

describe('a series of ledgers', () => {
  it('is told by another key than its own for nothing but that, whole or with one that is gone', async () => {
    const options = await two()
    const another = (await newKey()).fingerprint
    expect(await told(options, { fingerprint: another })).toEqual([
      'TAMPERED KEY_SUBSTITUTED',
      'TAMPERED KEY_SUBSTITUTED',
    ])
    for (const name of ['tile', 'vault']) rmSync(join(options.directory, name), { recursive: true })
    expect(await told(options, { fingerprint: another })).toEqual(['TAMPERED KEY_SUBSTITUTED'])
  })

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
    for (const number of [1, 2]) await rotate(memberOf(options, number), later)
    const now = { ...options, sealer: later }
    await roll(now)
    await append(now, settled())
    for (const { fingerprint } of [sealer, later])
      expect(await told(options, { fingerprint })).toEqual(['OK', 'OK', 'OK'])
    const last = await newKey()
    for (const number of [1, 2, 3]) await rotate(memberOf(now, number), last)
    for (const { fingerprint } of [sealer, later, last]) {
      expect(await told(options, { fingerprint }), fingerprint).toEqual(['OK', 'OK', 'OK'])
    }
  })

  it('does not go on with a key that was retired, whatever that one seals', async () => {
    const options = ledgerOptions({ sealer })
    await append(options, names)
    const now = await newKey()
    await rotate(options, now, 'retired')
    const later = { ...options, sealer: now }
    const pin = join(temporaryDirectory(), 'pin')
    await told(later, { pin, first: true })
    await roll(later)
    expect(await told(later, { pin, renew: false })).toEqual(['OK', 'OK'])
    const second = memberOf(later, 2)
    const [, right] = await draftsIn(second)
    rmSync(second.directory, { recursive: true })
    const own = { noteKey: generateKeyPairSync('ed25519').privateKey, wrappingKey: new Uint8Array(32).fill(9) }
    const forged = { ...second, ...own, sealer, create: true }
    await (await openDirectory(forged, { owed: () => [], fresh: () => [right!] })).close()
    for (const { fingerprint } of [sealer, now]) {
      const verdicts = await told(later, { fingerprint, pin })
      expect(verdicts, fingerprint).toEqual(['OK', expect.stringMatching('^TAMPERED KEY_SUBSTITUTED')])
    }
  })
})

async function rotate(member: DirectoryOptions, to: typeof sealer, reason?: 'retired'): Promise<void> {
  const { origin } = member
  const ledger = await openForKeys(member)
  const keys = (one: typeof sealer) => ({ noteKey: noteKeyOf(member.noteKey, origin), sealer: one })
  const [before, after] = [keys(member.sealer!), keys(to)]
  const rotation = await rotationDraft({ origin, history: await keyHistory(ledger.entries()), before, after })
  const revoked = {
    origin,
    key: 'seal',
    revoked: before.sealer.fingerprint,
    at: new Date().toISOString(),
    by: to,
  } as const
  const revocation = reason === undefined ? [] : [await revocationDraft({ ...revoked, reason })]
  await ledger.rotate([rotation, ...revocation], after)
  await publishCertificate(member.directory, to)
  await ledger.close()
}

describe('a series of which the key was compromised', () => {
  const hours = (ago: number) => new Date(Date.now() - ago * 3_600_000)

  async function compromised() {
    const key = await readPrivateKey((await generateKey({ name: 'seal', date: hours(3) })).privateKey)
    const options = ledgerOptions({ sealer: openpgpSealer(key) })
    await append(options, names, settled())
    const pin = join(temporaryDirectory(), 'pin')
    /** As if it had been kept before the key was in other hands. */
    const pinned = async () => {
      await told(options, { fingerprint: key.fingerprint, pin, first: true })
      const { state: _, ...kept } = parseJson(readFileSync(pin, 'utf8')) as Record<string, Json>
      writeFileSync(pin, canonical({ ...kept, time: hours(2).toISOString() }))
    }
    const certificate = await revokeOwn(key, 'compromised', hours(1))
    return { options, pinned, verify: () => told(options, { fingerprint: key.fingerprint, pin, certificate }) }
  }

  it('is what the pin shows to be older, now and whenever it is pinned again', async () => {
    const { options, pinned, verify } = await compromised()
    await roll(options)
    await append(options, settled())
    await pinned()
    for (const _ of [1, 2, 3]) expect(await verify()).toEqual(['OK', 'OK'])
  })

  it('is not what somebody makes of it later: a pin of the ledger before shows nothing of that', async () => {
    const { options, pinned, verify } = await compromised()
    await pinned()
    await roll(options)
    await append(options, settled())
    // The note key alone has signed the second: there is no seal to be judged.
    const { directory } = memberOf(options, 2)
    for (const folder of ['checkpoint.d', 'snapshot']) rmSync(join(directory, folder), { recursive: true })
    unseal({ directory })
    expect(await verify()).toEqual([1, 2].map(() => expect.stringContaining('KEY_REVOKED')))
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

  it('is waited for a moment, where the first was concluded just now', async () => {
    const options = await two()
    let asked = 0
    const server = createServer((request, response) => {
      // Looked for before the first is verified, and after: it is not there yet.
      if (request.url === `/${memberFolder(2)}/checkpoint`) asked += 1
      try {
        if (asked < 4 && request.url!.startsWith(`/${memberFolder(2)}/`)) throw new Error('not yet')
        response.end(readFileSync(join(options.directory, request.url!)))
      } catch {
        response.writeHead(404).end()
      }
    })
    await new Promise<void>(done => void server.listen(0, '127.0.0.1', done))
    onTestFinished(() => void server.close())
    const directory = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    expect(await told({ directory })).toEqual(['OK', 'OK'])
    expect(asked).toBeGreaterThan(3)
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
    expect((await told(other))[0]).toMatch(/^TAMPERED (FILE_MISSING )?(FORK|ROLLBACK|SUCCESSION_INVALID)/)
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

describe('of a series', () => {
  const steps = async (options: DirectoryOptions, more: Partial<VerifyOptions> = {}) =>
    (await verifySeries({ directory: options.directory, fingerprint, ...more })).map(({ verification }) => ({
      verdict: verification.verdict,
      files: verification.findings.map(({ file }) => file),
      ...Object.fromEntries(verification.steps.map(({ name, status, detail }) => [name, `${status}: ${detail}`])),
    }))

  it('the file that an earlier ledger lacks is named, and no step is content with what could not be read', async () => {
    const options = await two()
    rmSync(join(options.directory, 'tile/entries'), { recursive: true })
    const [first, second, ...none] = await steps(options)
    expect(none).toEqual([])
    expect(second!.verdict).toBe('OK')
    expect(first).toMatchObject({
      verdict: 'TAMPERED',
      files: expect.arrayContaining([expect.stringMatching(/^tile\/entries\/000\.p\/\d+$/)]),
      entries: 'not-examined: no entry could be read',
      erasures: 'not-examined: no entry could be read',
      continuity: 'not-examined: no entry could be read',
      series: 'not-examined: the entry that concludes it could not be read',
    })
  })

  it('nothing is said to be disposed of, where only a key leads nowhere', async () => {
    const options = ledgerOptions({ sealer })
    await append(options, names, settled())
    const next = await newKey()
    await rotate(options, next)
    await roll({ ...options, sealer: next })
    rmSync(join(options.directory, 'tile/entries'), { recursive: true })
    expect(JSON.stringify(await steps(options))).not.toContain('disposed')
    expect((await steps(options)).map(({ verdict }) => verdict)).toEqual(['TAMPERED', 'TAMPERED'])
  })

  it('a ledger without its checkpoint is missed, and so is one without its tiles', async () => {
    const [headless, emptied] = [await two(), await two()]
    rmSync(join(headless.directory, 'checkpoint'))
    expect(await told(headless)).toEqual(['INCOMPLETE LEDGER_MISSING', 'TAMPERED FILE_MISSING'])
    expect((await steps(headless))[1]).toMatchObject({ series: expect.stringContaining('has no checkpoint any more') })
    rmSync(join(memberOf(emptied, 2).directory, 'tile'), { recursive: true })
    const [first, second] = await steps(emptied)
    expect(first).toMatchObject({ series: expect.stringContaining('is not there, or cannot be read') })
    expect(second).toMatchObject({ verdict: 'TAMPERED', series: 'not-examined: no entry could be read' })
    expect(await told(emptied)).toEqual(['INCOMPLETE SUCCESSOR_MISSING', 'TAMPERED CERTIFICATION_INVALID FILE_MISSING'])
  })
})

describe('seals that are taken away', () => {
  const sealsIn = ({ directory }: Pick<DirectoryOptions, 'directory'>) =>
    readdirSync(join(directory, 'checkpoint.d')).map(Number)
  const takeSeals = ({ directory }: Pick<DirectoryOptions, 'directory'>, ...folders: readonly string[]) => {
    for (const folder of ['checkpoint.d', ...folders]) rmSync(join(directory, folder), { recursive: true })
  }
  const filesOf = async (options: DirectoryOptions, more: Partial<VerifyOptions> = {}) =>
    (await verifySeries({ directory: options.directory, fingerprint, ...more })).map(({ verification: { findings } }) =>
      findings.map(({ code, file }) => `${code} ${file}`),
    )

  it('are missed by the snapshots that are written behind them, by the ledger that follows, and by a pin', async () => {
    const options = await two()
    const second = memberOf(options, 2)
    const [pin, newest, last] = [
      join(temporaryDirectory(), 'pin'),
      Math.max(...sealsIn(second)),
      Math.max(...sealsIn(options)),
    ]
    expect(await told(options, { pin, first: true })).toEqual(['OK', 'OK'])
    takeSeals(options, 'snapshot')
    // Its checkpoint is a seal itself, and stands for its own.
    expect(await filesOf(options)).toEqual([[], []])
    for (const one of [options, second]) unseal(one)
    const bySnapshot = sealsIn(second).map(size => `FILE_MISSING checkpoint.d/${size}`)
    takeSeals(second)
    expect(await filesOf(options)).toEqual([[`FILE_MISSING checkpoint.d/${last}`], bySnapshot])
    rmSync(join(second.directory, 'snapshot'), { recursive: true })
    expect(await filesOf(options)).toEqual([[`FILE_MISSING checkpoint.d/${last}`], []])
    expect((await filesOf(options, { pin }))[1]).toEqual([`FILE_MISSING checkpoint.d/${newest}`])
  })

  it('are not said to be none yet, where nothing tells whether there were any', async () => {
    const options = ledgerOptions({ sealer })
    await append(options, settled())
    takeSeals(options, 'snapshot')
    const seals = async () => {
      const [{ verification } = expect.fail()] = await verifySeries({ directory: options.directory, fingerprint })
      return verification.steps.find(({ name }) => name === 'seals')
    }
    expect(await seals()).toMatchObject({ status: 'ok', detail: expect.stringMatching(/^none but the checkpoint/) })
    unseal(options)
    expect(await seals()).toMatchObject({ status: 'ok', detail: expect.stringContaining('or they were taken away') })
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

  it('and is not all removed yet, is told as that, however much of it is gone; what is altered in it besides is an accusation', async () => {
    const options = ledgerOptions({ sealer })
    const bob = 'B'.repeat(22)
    await append(options, names, { ...names, subject: bob, disclose: { name: 'bob' } }, settled())
    const { verifierKey } = noteKeyOf(options.noteKey, origin)
    const witness = await startWitness([{ origin, vkey: verifierKey }])
    const ledger = await openDirectoryLedger(options)
    await cosigned({ options }, ledger, [witness])
    await ledger.close()
    await roll(options)
    const { wrappingKey, directory } = options
    const { root, size } = parseCheckpoint(readFileSync(join(directory, 'checkpoint')))
    const said = { ...disposed(Buffer.from(root).toString('base64url'), [bob]), size } as Draft
    // As a kill leaves it: the vault first, the tiles last (lib/ledger/earlier.ts).
    const removing = ['vault', 'anchors', 'wal', 'snapshot', 'tile/0', 'tile']
    const unsaid = copied(options)
    rmSync(join(unsaid.directory, 'anchors'), { recursive: true })
    expect((await told(unsaid, { wrappingKey }))[0]).toBe('TAMPERED ANCHOR_MISSING')
    rmSync(join(unsaid.directory, 'vault'), { recursive: true })
    expect((await told(unsaid, { wrappingKey }))[0]).toMatch(/^TAMPERED .*DISCLOSURE_MISSING/)
    await append(options, said)
    expect(await told(options, { wrappingKey })).toEqual(['OK', 'INCOMPLETE ERASURE_UNDONE'])
    const altered = copied(options)
    for (const name of removing) {
      rmSync(join(directory, name), { recursive: true, force: true })
      const verdicts = await told(options, { wrappingKey })
      expect([name, verdicts.at(-1)]).toEqual([name, name === 'tile' ? 'OK' : 'INCOMPLETE ERASURE_UNDONE'])
      expect(verdicts.join(' ')).not.toContain('TAMPERED')
    }
    rmSync(join(altered.directory, 'vault'), { recursive: true })
    const entries = join(altered.directory, 'tile/entries/000.p')
    const bundle = join(entries, readdirSync(entries)[0]!)
    writeFileSync(bundle, readFileSync(bundle, 'latin1').replace('"person"', '"PERSON"'), 'latin1')
    expect((await told(altered, { wrappingKey }))[0]).toMatch(/^TAMPERED .*ENTRY_ALTERED/)
  })

  it('takes with it how its key came to be another: nobody is accused, nothing is OK, and what is gone without a word stays an accusation', async () => {
    const options = ledgerOptions({ sealer })
    const bob = 'B'.repeat(22)
    await append(options, names, { ...names, subject: bob, disclose: { name: 'bob' } }, settled())
    const next = await newKey()
    await rotate(options, next)
    await roll({ ...options, sealer: next })
    const left = (await verifySeries({ directory: options.directory, fingerprint }))[0]!.verification
    expect(await told(options)).toEqual(['OK', 'OK'])
    const root = Buffer.from(left.root, 'base64').toString('base64url')
    for (const name of ['tile', 'vault']) rmSync(join(options.directory, name), { recursive: true })
    expect(await told(options)).toEqual(['TAMPERED KEY_SUBSTITUTED'])
    await append({ ...options, sealer: next }, { ...disposed(root, [bob]), size: left.size } as Draft)
    const [verified] = await verifySeries({ directory: options.directory, fingerprint })
    expect(verified!.verification).toMatchObject({
      verdict: 'INCOMPLETE',
      findings: [{ code: 'KEY_UNPROVEN', expected: fingerprint, actual: next.fingerprint }],
    })
  })
})
