import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { verifySeries } from '../../evidence/index.ts'
import { decodeBundle, encodeBundle } from '../../lib/format/tile.ts'
import { decodeSealed } from '../../lib/format/vault.ts'
import { openDirectoryLedger, openForKeys } from '../../lib/ledger/directory.ts'
import type { Draft, DraftOf, Ledger, Stored } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openNewest, rollOver } from '../../lib/ledger/rollover.ts'
import { encoded, type Restated } from '../../lib/ledger/scribe.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { memberOf } from '../../lib/ledger/series.ts'
import { openSharedLedger } from '../../lib/ledger/shared/open.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { crashImage, ledgerOptions, settled, temporaryDirectory } from '../support/directory-ledger.ts'

const key = await readPrivateKey((await generateKey({ name: 'seal' })).privateKey)
const { fingerprint } = key
const sealed = (parts: Partial<DirectoryOptions> = {}) => ledgerOptions({ sealer: openpgpSealer(key), ...parts })
const open = (options: DirectoryOptions, bounds = {}) => openNewest(options, bounds, openDirectoryLedger)

const alice = 'A'.repeat(22)
const bob = 'B'.repeat(22)
const hour = 3_600_000
const inAnHour = () => new Date(Date.now() + hour).toISOString()

const person = (subject: string, name: string): Draft => ({
  ...{ kind: 'principal', subject, type: 'person', disclose: { name }, slot: `principal:${subject}` },
})
const asked = (grant: string, subject = alice): DraftOf<'grant-requested'> => ({
  ...{ kind: 'grant-requested', grant, subject, resource: 'crm/**', actions: ['*'], seconds: 600, longest: 900 },
  ...{ roles: [], controls: [], disclose: { reason: `for ${grant}` }, slot: `principal:${subject}` },
})
const granted = (grant: string, until = inAnHour()): Draft => ({
  ...{ kind: 'grant-decided', grant, approver: bob, verdict: 'approve', from: new Date().toISOString(), until },
})
const held: Draft = {
  kind: 'hold-placed',
  hold: 'h-1234567890',
  scope: 'ledger',
  by: bob,
  disclose: { reason: 'suit' },
}

async function all(stored: AsyncIterable<Stored>): Promise<Stored[]> {
  const found: Stored[] = []
  for await (const one of stored) found.push(one)
  return found
}
const kinds = async (ledger: Ledger) => (await all(ledger.entries())).map(({ entry }) => entry.kind)

async function verdicts(options: DirectoryOptions, more = {}) {
  const { directory, wrappingKey } = options
  const verified = await verifySeries({ directory, fingerprint, wrappingKey: Buffer.from(wrappingKey), ...more })
  return verified.map(({ verification: { verdict, findings } }) =>
    [verdict, ...findings.map(({ code }) => code)].join(' '),
  )
}

/** A ledger with something in force, closed. */
async function begun(options: DirectoryOptions, drafts: readonly Draft[] = []): Promise<DirectoryOptions> {
  const ledger = await openDirectoryLedger(options)
  await ledger.append([
    person(alice, 'alice'),
    person(bob, 'bob'),
    asked('g-livelivel'),
    granted('g-livelivel'),
    ...drafts,
  ])
  await ledger.close()
  return options
}

describe('a ledger that is followed by another', () => {
  it('is concluded and sealed; what is in force is said again in the next, under the same digests', async () => {
    const options = await begun(sealed(), [
      held,
      asked('g-overoverov'),
      granted('g-overoverov', '2026-01-01T00:00:00.000Z'),
      asked('g-waitswaits'),
    ])
    const next = await rollOver(options, 1)
    const ledger = await open(options)
    expect(ledger.origin).toBe(next)
    expect(next).toBe(`${options.origin}/2`)
    const state = (await all(ledger.state())).filter(({ entry }) => 'grant' in entry || entry.kind === 'principal')
    expect(state.map(({ entry }) => ('grant' in entry ? entry.grant : entry.kind))).toEqual([
      ...['principal', 'principal', 'g-livelivel', 'g-livelivel', 'g-waitswaits'],
    ])
    expect(await ledger.disclosures(state[0]!.index)).toEqual({ name: 'alice' })
    expect(await ledger.disclosures(state[2]!.index)).toEqual({ reason: 'for g-livelivel' })
    expect(await kinds(ledger)).toContain('hold-placed')
    await ledger.close()
    expect(await verdicts(options)).toEqual(['OK', 'OK'])
  })

  it('says again all that is in force, however much that discloses', async () => {
    const people = Array.from({ length: 40 }, (_, i) => `${String(i).padStart(2, '0')}${'C'.repeat(20)}`)
    const long = people.map((subject, i) => ({ ...person(subject, `${i}${'x'.repeat(700_000)}`) }))
    const options = sealed()
    const ledger = await openDirectoryLedger(options)
    for (const one of long) await ledger.append([one])
    await expect(ledger.append([person(alice, 'x'.repeat(1_000_000))])).rejects.toMatchObject({
      code: 'ERR_ENTRY_MALFORMED',
    })
    await ledger.close()
    await rollOver(options, 1)
    expect(await verdicts(options)).toEqual(['OK', 'OK'])
  })

  it('is opened for appending no more', async () => {
    const options = await begun(sealed())
    await rollOver(options, 1)
    await expect(openDirectoryLedger(options)).rejects.toMatchObject({ code: 'ERR_LEDGER_CONCLUDED' })
    await expect(openSharedLedger(options)).rejects.toMatchObject({ code: 'ERR_LEDGER_CONCLUDED' })
  })

  it('is followed when it is opened past its bounds, by count and by age, and not before', async () => {
    let now = Date.now()
    const options = await begun(sealed({ clock: { now: () => now } }))
    const bounds = { entries: 1000, everyMs: 24 * hour }
    const opened = async () => {
      const ledger = await open(options, bounds)
      await ledger.append([settled()])
      await ledger.close()
      return ledger.origin
    }
    expect(await opened()).toBe(options.origin)
    now += 25 * hour
    expect(await opened()).toBe(`${options.origin}/2`)
    const ledger = await open(options, bounds)
    await ledger.append(Array.from({ length: 1000 }, () => settled()))
    await ledger.close()
    expect(await opened()).toBe(`${options.origin}/3`)
    expect(await opened()).toBe(`${options.origin}/3`)
  })

  it('is not followed for a first entry that nobody signed', async () => {
    const options = await begun(sealed())
    const partial = join(options.directory, 'tile/entries/000.p')
    const [whole] = readdirSync(partial)
    const [first] = decodeBundle(readFileSync(join(partial, whole!)), Number(whole))
    const forged = Buffer.from(first!)
      .toString()
      .replace(/"time":"[^"]*"/, '"time":"2020-01-01T00:00:00.000Z"')
    writeFileSync(join(partial, '1'), encodeBundle([Buffer.from(forged)]))
    const ledger = await open(options, { everyMs: 24 * hour })
    expect(ledger.origin).toBe(options.origin)
    await ledger.close()
  })

  it('is left as it is while another writer may be at work, who has said something in the last minutes', async () => {
    let now = Date.now()
    const options = await begun(sealed({ clock: { now: () => now } }))
    const writing = await openForKeys(options)
    await writing.appendAs('other', [writing.started(options)])
    const image = crashImage(options)
    await writing.close()
    const opened = async () => {
      const ledger = await open(image, { entries: 1 })
      await ledger.close()
      return ledger.origin
    }
    expect(await opened()).toBe(options.origin)
    now += 240_000
    expect(await opened()).toBe(options.origin)
    expect(await opened()).toBe(`${options.origin}/2`)
  })

  it('is refused while somebody has it open', async () => {
    const options = await begun(sealed())
    const ledger = await openDirectoryLedger(options)
    await expect(rollOver(options, 1)).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' })
    await ledger.close()
  })

  it('is shared as the one before was', async () => {
    const options = await begun(sealed())
    await rollOver(options, 1)
    const ledger = await openNewest(options, {}, openSharedLedger)
    const peer = await openNewest({ ...options, writer: 'peer' }, {}, openSharedLedger)
    await peer.append([settled()])
    expect(ledger.origin).toBe(`${options.origin}/2`)
    await peer.close()
    await ledger.close()
  })
})

describe('a rollover that is cut off', () => {
  it('is finished by the next opening, once the ledger was concluded', async () => {
    const options = await begun(sealed())
    await rollOver(options, 1)
    rmSync(join(options.directory, 'series'), { recursive: true })
    expect(await verdicts(options)).toEqual(['INCOMPLETE SUCCESSOR_MISSING'])
    const aside = `${memberOf(options, 2).directory}.tmp`
    mkdirSync(aside, { recursive: true })
    writeFileSync(join(aside, 'half'), '')
    const ledger = await open(options)
    expect(ledger.origin).toBe(`${options.origin}/2`)
    await ledger.close()
    expect(readdirSync(join(options.directory, 'series'))).toEqual(['2'])
    expect(await verdicts(options)).toEqual(['OK', 'OK'])
  })

  it('is not begun anew long after the one before was concluded, for it may have been taken away', async () => {
    const options = await begun(sealed())
    await rollOver(options, 1)
    rmSync(memberOf(options, 2).directory, { recursive: true })
    const later = { ...options, clock: { now: () => Date.now() + 2 * hour } }
    await expect(open(later)).rejects.toMatchObject({
      ...{ code: 'ERR_LEDGER_CONCLUDED', message: expect.stringContaining(`${options.origin}/2 is not there`) },
    })
    expect(existsSync(memberOf(options, 2).directory)).toBe(false)
    // Whoever knows that it never was says so.
    await rollOver(later, 1)
    await (await open(later)).close()
  })

  it('fails as a ledger that is out of reach where something else lies in its place', async () => {
    const options = await begun(sealed())
    mkdirSync(join(memberOf(options, 2).directory, 'something'), { recursive: true })
    await expect(rollOver(options, 1)).rejects.toMatchObject({ name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' })
    rmSync(join(options.directory, 'series'), { recursive: true })
    writeFileSync(join(options.directory, 'series'), '')
    await expect(open(options)).rejects.toMatchObject({ name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' })
    const file = { ...options, directory: join(options.directory, 'checkpoint') }
    await expect(open(file)).rejects.toMatchObject({ name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' })
  })
})

describe('a ledger of which not all can be said again', () => {
  const alter = ({ directory }: DirectoryOptions, index: number) => {
    const path = join(directory, 'vault/entries/000.p', readdirSync(join(directory, 'vault/entries/000.p'))[0]!)
    const bytes = readFileSync(path)
    let end = 0
    for (let i = 0; i <= index; i += 1) ({ end } = decodeSealed(bytes, end))
    bytes[end - 1]! ^= 1
    writeFileSync(path, bytes)
  }
  const indexOf = async (options: DirectoryOptions, kind: string) => {
    const ledger = await openDirectoryLedger(options)
    const index = (await kinds(ledger)).indexOf(kind as never)
    await ledger.close()
    return index
  }
  /** It is neither concluded nor followed; an opening past its bounds goes on with it, and says why. */
  async function goesOn(options: DirectoryOptions): Promise<void> {
    await expect(rollOver(options, 1)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
    expect(existsSync(memberOf(options, 2).directory)).toBe(false)
    const told: string[] = []
    const ledger = await openNewest(options, { entries: 1 }, openDirectoryLedger, ({ code }) => told.push(code))
    expect(ledger.origin).toBe(options.origin)
    await ledger.append([settled()])
    expect(await kinds(ledger)).not.toContain('concluded')
    await ledger.close()
    expect(told).toEqual(['ERR_LEDGER_CORRUPT'])
  }

  it('goes on where the vault has lost who somebody is, or more of it', async () => {
    const options = await begun(sealed())
    alter(options, await indexOf(options, 'principal'))
    await goesOn(options)
    rmSync(join(options.directory, 'vault/entries'), { recursive: true })
    await expect(rollOver(options, 1)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
  })

  it('is followed where what got lost is nobody, and whoever verifies is told of it in both', async () => {
    const options = await begun(sealed(), [held])
    alter(options, await indexOf(options, 'hold-placed'))
    await rollOver(options, 1)
    await (await open(options)).close()
    expect(await verdicts(options)).toEqual([
      'TAMPERED DISCLOSURE_MISMATCH DISCLOSURE_MISSING',
      'TAMPERED DISCLOSURE_MISSING',
    ])
  })

  it('goes on where the next writer could not say it; a new entry leaves room for that', async () => {
    const words = Array.from({ length: 256 }, (_, i) => String(i).padEnd(230, '-'))
    const long = (roles: number) => ({
      ...asked(`g-longlong${roles}`),
      ...{ controls: words, roles: words.slice(0, roles) },
    })
    const options = await begun(sealed())
    const ledger = await openDirectoryLedger(options)
    await ledger.append([long(10)])
    await expect(ledger.append([long(23)])).rejects.toMatchObject({ code: 'ERR_ENTRY_MALFORMED' })
    // As a version did that left none.
    await ledger.append([{ ...long(23), [encoded]: { sd: [], disclosed: [] } } as Restated])
    await ledger.close()
    await goesOn({ ...options, writer: 'w'.repeat(400) })
  })

  it('is followed though somebody was named again who was erased with a grant of theirs', async () => {
    const options = await begun(sealed())
    const ledger = await openDirectoryLedger(options)
    const why = { ground: 'art-17', by: bob, approvers: ['C'.repeat(22)], basis: 'asked in writing' }
    await ledger.erase!({ scope: 'principal', of: alice, ...why })
    await ledger.append([person(alice, 'anybody')])
    await ledger.close()
    await rollOver(options, 1)
    const next = await open(options)
    expect(await kinds(next)).not.toContain('grant-requested')
    await next.close()
  })
})

describe('a rollover that somebody without a key meets with another checkpoint', () => {
  it('cites what this process published, or nothing: the next ledger signs no root that is not so', async () => {
    const options = sealed()
    const ledger = await openDirectoryLedger(options)
    await ledger.append([settled()])
    await ledger.close()
    // Between the closing of the one and the beginning of the other the lock is taken again: at its second call the root is another.
    const folder = temporaryDirectory()
    const flock = execFileSync('sh', ['-c', 'command -v flock'], { encoding: 'utf8' }).trim()
    const script = `#!/bin/sh\nif [ -e ${folder}/once ]; then sed -i '3s/^..../AAAA/' ${options.directory}/checkpoint; fi\ntouch ${folder}/once\nexec ${flock} "$@"\n`
    writeFileSync(join(folder, 'flock'), script, { mode: 0o755 })
    const { PATH } = process.env
    process.env.PATH = `${folder}:${PATH}`
    onTestFinished(() => {
      process.env.PATH = PATH
    })
    await expect(rollOver(options, 1)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_SIGNATURE' })
    process.env.PATH = PATH
    expect(existsSync(join(options.directory, 'series/2'))).toBe(false)
  })
})
