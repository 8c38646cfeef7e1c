/** Erasing on disk: what is gone, what stays, what each loss is called, and that a kill at any system call leaves nothing half said. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { attachmentFile, slotFile, slotsInFile, vaultBundle } from '../../lib/format/layout.ts'
import {
  decodeSealed,
  encodeSealed,
  openDisclosure,
  openSlot,
  type SealedDisclosure,
  sealDisclosure,
  slotBytes,
} from '../../lib/format/vault.ts'
import { openDirectoryLedger, openForKeys } from '../../lib/ledger/directory.ts'
import type { DirectoryLedger } from '../../lib/ledger/directory-ledger.ts'
import { type AttachmentWriter, type Draft, type DraftOf, disclosedOf, type Stored } from '../../lib/ledger/ledger.ts'
import { splitSealed } from '../../lib/ledger/stored-tiles.ts'
import { compiledScript } from '../support/compiled.ts'
import { allEntries, decision, exchangeId, kindsOf, settled } from '../support/directory-ledger.ts'
import {
  copyOf,
  counsel,
  customer,
  disclosed,
  type Erasable,
  erasableLedger,
  erased,
  erasure,
  officer,
  session,
  verified,
} from '../support/erasable-ledger.ts'
import { interop } from '../support/interop.ts'

let whole: Erasable
/** With the customer erased, and the session. */
let gone: Erasable
const ofSession = erasure({ scope: 'session', of: session })

// Shared by all tests of this file, each of which works on a copy.
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counterfoil-erasure-'))
  // Some minutes ago: what came just before an erasure may be left.
  const clock = { now: () => Date.now() - 300_000 }
  const begun = await erasableLedger(join(folder, 'whole'), { clock })
  whole = { ...begun, options: { ...begun.options, clock: systemClock } }
  gone = await erased(copyOf(whole, join(folder, 'gone')), erasure(), ofSession)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const login = (): Draft => ({
  ...{ kind: 'event', source: 'crm', event: 'login', level: 'info', subject: customer },
  ...{ disclose: { message: 'came' }, slot: `principal:${customer}` },
})
const hold = (of: string): Draft => ({
  ...{ kind: 'hold-placed', hold: `h-${of.slice(0, 8)}`, scope: 'principal', of, by: counsel },
})
const actingFor = (principal: string): Draft => ({ ...decision(), subject: customer, principal }) as Draft
const slotsIn = async (at: Erasable) => {
  const ledger = await openDirectoryLedger(copyOf(at).options)
  const entries = await allEntries(ledger)
  await ledger.close()
  return entries.flatMap(({ index, entry }) => (entry.kind === 'erasure' ? [{ index, slots: entry.slots }] : []))
}
const allEntriesOf = async (at: Erasable) => (await disclosed(copyOf(at))).map(({ entry }) => entry)
const codesOf = async (at: Erasable) => {
  const { verdict, findings } = await verified(at)
  return { verdict, codes: [...new Set(findings.map(({ code }) => code))] }
}
const file = ({ options }: Erasable, path: string) => join(options.directory, path)
/** Puts one slot's 64 bytes where they were or were not. */
function setSlot(at: Erasable, slot: number, bytes: Uint8Array): void {
  const path = file(at, slotFile(slot))
  const slots = readFileSync(path)
  slots.set(bytes, (slot % slotsInFile) * slotBytes)
  writeFileSync(path, slots)
}
const slotOf = (at: Erasable, slot: number) => {
  const from = (slot % slotsInFile) * slotBytes
  return readFileSync(file(at, slotFile(slot))).subarray(from, from + slotBytes)
}

describe('an erasure', () => {
  it('leaves nothing of its scope that opens, in whatever opening it was recorded, and all of everybody else', async () => {
    const entries = await disclosed(copyOf(gone))
    const text = JSON.stringify(entries.map(({ values }) => values))
    for (const lost of ['customer@', 'the customer came', '192.0.2.1', 'select 1']) expect(text).not.toContain(lost)
    for (const kept of ['officer@crm.example', 'counsel@crm.example', 'asked in writing']) expect(text).toContain(kept)
    expect(JSON.stringify(await disclosed(copyOf(whole)))).toContain('the customer came')
  })

  it('is told by who verifies, with the key how much of what is gone, and without it who erased what', async () => {
    const { verdict, findings, steps } = await verified(gone)
    expect({ verdict, findings }).toEqual({ verdict: 'OK', findings: [] })
    const detail = (name: string) => steps.find(step => step.name === name)?.detail
    const [of, ofOther] = await slotsIn(gone)
    expect(detail('disclosures')).toContain(
      `6 disclosures, and 1 attachment are ERASED (by #${of!.index}, #${ofOther!.index})`,
    )
    expect(detail('erasures')).toContain(`#${of!.index} principal ${customer}, #${ofOther!.index} session ${session}`)
  })

  it('deletes the ciphertexts and the recording, and overwrites the keys where they lay', async () => {
    const before = (await slotsIn(gone)).flatMap(({ slots }) => slots.map(slot => slotOf(whole, slot)))
    expect(before.length).toBeGreaterThanOrEqual(3)
    const files = readdirSync(gone.options.directory, { recursive: true, withFileTypes: true }).filter(f => f.isFile())
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name))
      for (const slot of before) expect(bytes.includes(slot), name).toBe(false)
    }
    expect(files.filter(({ parentPath }) => parentPath.includes('attachments'))).toEqual([])
    expect(existsSync(file(gone, 'vault/erasing'))).toBe(false)
    const ciphertexts = (at: Erasable) => readFileSync(file(at, vaultBundle(0))).length
    expect(ciphertexts(gone)).toBeLessThan(ciphertexts(whole))
  })

  it('leaves what is said of the same principal while it goes on, and after it', async () => {
    const at = copyOf(whole)
    const ledger = await openDirectoryLedger(at.options)
    const came = (): Promise<readonly Stored[]> => ledger.append([login()])
    const stored: Stored[] = []
    for (let round = 0; round < 5; round += 1) {
      await came()
      let over = false
      const erasing = ledger.erase!(erasure()).finally(() => {
        over = true
      })
      // Not as fast as that goes: what there is to look through would grow as fast as it is looked through.
      while (!over) {
        stored.push(...(await came()))
        await setTimeout(5)
      }
      const last = (await erasing).at(-1)!.index
      stored.push(...(await came()))
      for (const { index } of stored.filter(one => one.index > last)) {
        expect(await ledger.disclosures(index), `entry ${index}`).toEqual({ message: 'came' })
      }
    }
    await ledger.close()
    expect(await codesOf(at)).toEqual({ verdict: 'OK', codes: [] })
  })

  it('leaves the key of another session, in which an approval waits that may be of any', async () => {
    const at = copyOf(whole)
    const ledger = await openDirectoryLedger(at.options)
    const other = '0190b0a0-0000-7000-8000-00000000cccc'
    const { action, accesses, controls } = decision() as DraftOf<'decision'>
    const asked = { approval: 'a-0000000001', exchange: exchangeId(), subject: officer, action, accesses, controls }
    const terms = { people: 1, roles: [], until: '2026-01-01T00:00:00.000Z' }
    const slot = `session:${other}`
    await ledger.append([{ kind: 'approval-requested', ...asked, ...terms, disclose: { action: 'drop' }, slot }])
    await ledger.erase!(ofSession)
    const later = { ...decision(), session: other, subject: officer, disclose: { action: 'select 2' }, slot } as Draft
    const [stored] = await ledger.append([later])
    expect(await ledger.disclosures(stored!.index)).toEqual({ action: 'select 2' })
    await ledger.close()
    expect(await codesOf(at)).toEqual({ verdict: 'OK', codes: [] })
  })

  it('passes over a file that is no recording, where somebody put it among them', async () => {
    const at = copyOf(whole)
    for (const bytes of [Buffer.alloc(200), Buffer.alloc(200, 'x'), Buffer.alloc(3)]) {
      const path = file(at, attachmentFile(exchangeId()))
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, bytes)
    }
    await erased(at, erasure(), ofSession)
    expect(await slotsIn(at)).toHaveLength(2)
  })

  it('is refused where nothing is there to erase, and while a recording of it is being written', async () => {
    const ledger = await openDirectoryLedger(copyOf(gone).options)
    const missing = { code: 'ERR_LEDGER_MISSING' }
    await expect(ledger.erase!(erasure())).rejects.toMatchObject(missing)
    const writer = await ledger.attach({ slot: `principal:${officer}` })
    await expect(ledger.erase!(erasure({ of: officer }))).rejects.toMatchObject(missing)
    await writer.close()
    await ledger.close()
    expect(await verified(gone)).toMatchObject({ verdict: 'OK' })
  })
})

describe('what is gone without an erasure of its own', () => {
  it.each([
    ['a hold comes on whom an agent has acted for', 'ERR_OBLIGATION_UNMET', hold(officer)],
    ['a hold comes on just that', 'ERR_OBLIGATION_UNMET', hold(customer)],
    ['it comes to concern somebody else', 'ERR_ACCESS_DENIED', actingFor(counsel)],
  ])('is refused where %s, up to the last moment', async (_, code, late) => {
    const at = copyOf(whole)
    const ledger = await openDirectoryLedger(at.options)
    await ledger.append([actingFor(officer)])
    const judged = () => erasure({ by: counsel, judgedAt: ledger.size })
    let coming: Promise<unknown> = Promise.resolve()
    const notDurable = async () => {
      coming = ledger.append([late])
      return false
    }
    await expect((ledger as DirectoryLedger).erase(judged(), notDurable)).rejects.toMatchObject({ code })
    expect(kindsOf(await allEntries(ledger))).not.toContain('erasure')
    await coming
    await ledger.erase!(judged())
    await ledger.close()
  })

  it('is refused for a recording of theirs that begins while it goes on, and nobody else', async () => {
    const at = copyOf(whole)
    const ledger = await openForKeys(at.options)
    const attach = (exchange: string, slot?: string) => {
      const of = { exchange, session: undefined, part: 'response', type: 'text/plain' } as const
      return ledger.attachments.begin({ writer: slot === undefined ? 'web-1' : 'crm-gateway', slot, of })
    }
    const [theirs, others] = [exchangeId(), exchangeId()]
    await ledger.appendAs('web-1', [{ ...decision(others), subject: officer } as Draft])
    await ledger.appendAs('web-1', [{ ...decision(theirs), subject: customer } as Draft])
    const during = async (exchange: string, slot?: string) => {
      const begun: AttachmentWriter[] = []
      const isHeld = async () => {
        begun.push(await attach(exchange, slot))
        return false
      }
      try {
        return await ledger.erase(erasure(), isHeld)
      } finally {
        for (const { id } of begun) ledger.attachments.forget(id)
      }
    }
    await expect(during(theirs)).rejects.toThrow('is being written by web-1')
    await expect(during(exchangeId(), `principal:${customer}`)).rejects.toThrow('is being written by crm-gateway')
    for (const exchange of [others, exchangeId()]) {
      await ledger.append([login()])
      expect((await during(exchange)).map(({ entry }) => entry.kind)).toEqual(['erasure'])
      await ledger.append([login()])
      await during(exchange, `principal:${officer}`)
    }
    await ledger.close()
  })

  it('is refused too where one begins while it is noted what is to be erased, under the key that they have by then', async () => {
    const at = copyOf(whole)
    const ledger = await openDirectoryLedger(at.options)
    const exchange = exchangeId()
    await ledger.append(Array.from({ length: 3000 }, () => settled()))
    let isOver = false
    const erasing = ledger.erase!(erasure())
      .catch((error: unknown) => error)
      .finally(() => {
        isOver = true
      })
    await setImmediate()
    // While it is looked for what is theirs: they have another key from here on.
    await ledger.append([login()])
    while (!isOver && !existsSync(join(at.options.directory, 'vault/erasing.tmp'))) await setImmediate()
    const of = { exchange, session: undefined, part: 'response', type: 'text/plain' } as const
    const slot = `principal:${customer}`
    const writer = await ledger.attach({ slot, of })
    await writer.write(Buffer.from('what they were shown'))
    await erasing
    const closed = await writer.close()
    const { id, salt: _, sealed: __, ...attached } = closed
    const said = {
      kind: 'attachment',
      attachment: id,
      ...of,
      ...attached,
      disclose: disclosedOf(closed),
      slot,
    } as Draft
    await ledger.append([said])
    await ledger.close()
    expect((await verified(at)).verdict).toBe('OK')
  })

  it('is missing, where nothing was erased, and where something else was', async () => {
    const missing = { verdict: 'TAMPERED', codes: ['DISCLOSURE_MISSING'] }
    const slots = (await slotsIn(gone))[0]!.slots
    const lost = copyOf(whole)
    setSlot(lost, slots[0]!, Buffer.alloc(slotBytes))
    expect(await codesOf(lost)).toEqual(missing)
    // The officer's name lies beside the customer's.
    const other = copyOf(gone)
    setSlot(other, slots[0]! + 1, Buffer.alloc(slotBytes))
    expect(await codesOf(other)).toEqual(missing)
  })

  it('is missing though the vault is made to say that it lay in a slot that was erased', async () => {
    const slots = (await slotsIn(gone))[0]!.slots
    const forged = copyOf(gone)
    const path = file(forged, vaultBundle(0))
    const bytes = readFileSync(path)
    const parts: Buffer[] = []
    for (let at = 0, i = 0; at < bytes.length; i += 1) {
      const { sealed, end } = decodeSealed(bytes, at)
      // Entries 2, 3 and 4 name the customer, the officer and counsel.
      parts.push(encodeSealed(i === 3 ? sealed.map(() => ({ slot: slots[0]!, box: Buffer.alloc(0) })) : sealed))
      at = end
    }
    writeFileSync(path, Buffer.concat(parts))
    expect(await codesOf(forged)).toEqual({ verdict: 'TAMPERED', codes: ['DISCLOSURE_MISSING'] })
  })
})

describe('the vault, rewritten by who has no key', () => {
  // Entry 2 names the customer; the next batch of slots is given out by the next opening.
  const rewritten = (change: (sealed: readonly SealedDisclosure[], index: number) => readonly SealedDisclosure[]) => {
    const at = copyOf(whole)
    const path = file(at, vaultBundle(0))
    const parts = splitSealed(readFileSync(path), 256)
    writeFileSync(path, Buffer.concat(parts.map((part, i) => encodeSealed(change(decodeSealed(part).sealed, i)))))
    return at
  }
  const nothing = new Uint8Array()
  const ahead = Array.from({ length: slotsInFile }, (_, i) => ({ slot: 2 * slotsInFile + i, box: nothing }))

  // biome-ignore format: a table
  it.each<[string, Parameters<typeof rewritten>[0]]>([
    ['spares nothing that it hides',              (sealed, i) => i === 2 ? [] : sealed],
    ['has no key destroyed that is given out later', (sealed, i) => i === 2 ? [...sealed, ...ahead] : sealed],
    ['has nothing pass for another slot\'s',      (sealed, i) => i === 2 ? sealed.map(({ box }) => ({ slot: 5, box })) : sealed],
    ['has nothing pass for erased before',        (sealed, i) => i === 2 ? sealed.map(({ slot }) => ({ slot, box: nothing })) : sealed],
    ['has nobody share a key',                    (sealed, i) => i === 3 ? sealed.map(({ box }) => ({ slot: 0, box })) : sealed],
  ])('%s: the erasure is refused', async (_, change) => {
    const at = rewritten((sealed, i) => change(sealed, i))
    const ledger = await openDirectoryLedger(at.options)
    await expect(ledger.erase!(erasure())).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
    expect(kindsOf(await allEntries(ledger))).not.toContain('erasure')
    await ledger.close()
  })

  it('has no key destroyed that the head of a recording is made to name', async () => {
    const at = copyOf(whole)
    const folder = file(at, 'vault/attachments')
    const [found] = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(one => one.isFile())
    const path = join(found!.parentPath, found!.name)
    const bytes = readFileSync(path)
    bytes.writeUInt32BE(2 * slotsInFile + 3, 8)
    writeFileSync(path, bytes)
    const ledger = await openDirectoryLedger(at.options)
    await expect(ledger.erase!(ofSession)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
    await ledger.close()
  })

  it('opens still what an erasure was made to spare: that is told by who verifies', async () => {
    const at = copyOf(gone)
    const [key, origin] = [at.options.wrappingKey, at.options.origin]
    const entries = await allEntriesOf(whole)
    // As it was before, under a slot that no entry says is erased.
    const slot = 2 * slotsInFile - 1
    const was = decodeSealed(splitSealed(readFileSync(file(whole, vaultBundle(0))), 256)[2]!).sealed
    const opened = was.map(({ slot, box }) =>
      openDisclosure(openSlot(key, origin, slot, slotOf(whole, slot))!, origin, entries[2]!.id, box),
    )
    const under = openSlot(key, origin, slot, slotOf(at, slot))!
    const spared = opened.map(text => ({ slot, box: sealDisclosure(under, origin, entries[2]!.id, text) }))
    const path = file(at, vaultBundle(0))
    const parts = splitSealed(readFileSync(path), 256)
    writeFileSync(path, Buffer.concat(parts.map((part, i) => (i === 2 ? encodeSealed(spared) : part))))
    expect(await codesOf(at)).toEqual({ verdict: expect.any(String), codes: ['ERASURE_UNDONE'] })
  })
})

it('an erasure that is not finished, or whose keys were put back from a copy, is not OK', async () => {
  const begun = copyOf(gone)
  writeFileSync(file(begun, 'vault/erasing'), '{"size":1,"slots":[0]}')
  expect(await codesOf(begun)).toEqual({ verdict: 'INCOMPLETE', codes: ['ERASURE_UNDONE'] })
  const restored = copyOf(gone)
  for (const { slots } of await slotsIn(gone)) for (const slot of slots) setSlot(restored, slot, slotOf(whole, slot))
  expect((await codesOf(restored)).codes).toContain('ERASURE_UNDONE')
})

it('a note of an erasure that is none shuts the ledger, and destroys nothing', async () => {
  const { options } = copyOf(gone)
  for (const note of ['null', '[]', '{}', '{"size":1,"slots":["0"]}', 'no JSON']) {
    writeFileSync(join(options.directory, 'vault/erasing'), note)
    await expect(openDirectoryLedger(options), note).rejects.toMatchObject({ name: 'LedgerError' })
  }
})

it('an erasure that nobody else approved is told, by what stands in clear', async () => {
  const at = await erased(copyOf(whole), erasure({ approvers: [officer] }))
  expect(await codesOf(at)).toEqual({ verdict: 'TAMPERED', codes: ['ERASURE_UNAUTHORISED'] })
})

describe('a kill in the midst of an erasure', () => {
  const script = compiledScript(new URL('children/erase.ts', import.meta.url))
  const calls = 'pwrite64,pwritev,fsync,fdatasync,rename,unlink,ftruncate'
  /** COUNTERFOIL_KILLS=all kills at each system call in turn. */
  const all = process.env.COUNTERFOIL_KILLS === 'all'

  /** @returns whether it was killed, at that call that writes */
  function killedAt(strace: string, { options, sealKey }: Erasable, call: number): boolean {
    const note = options.noteKey.export({ type: 'pkcs8', format: 'pem' })
    const settings = { directory: options.directory, note, seal: sealKey, erasures: [erasure(), ofSession] }
    const inject = [`--inject=${calls}:signal=SIGKILL:when=${call}`, '-f', '-qq', '-o', '/dev/null']
    const child = spawnSync(strace, [...inject, process.execPath, script, JSON.stringify(settings)], {
      encoding: 'utf8',
      env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
      timeout: 300_000,
    })
    return child.status !== 0
  }

  interop(
    'strace',
    'leaves what says that it is not done, and the next opening does it, or nothing of it was said',
    async strace => {
      // The opening comes first, with some twenty of them.
      const sample = Array.from({ length: 3 }, () => 16 + Math.floor(Math.random() * 32))
      let undone = 0
      for (const call of all ? Array.from({ length: 100 }, (_, i) => i + 1) : sample) {
        const at = copyOf(whole)
        const ended = !killedAt(strace, at, call)
        const { verdict, codes } = await codesOf(at)
        if (verdict !== 'OK') {
          expect({ call, verdict, codes }).toEqual({ call, verdict: 'INCOMPLETE', codes: ['ERASURE_UNDONE'] })
          undone += 1
        }
        const entries = await disclosed(at)
        const text = JSON.stringify(entries.map(({ values }) => values))
        const said = entries.flatMap(({ entry }) => (entry.kind === 'erasure' ? [entry.scope] : []))
        expect(text.includes('customer came'), `call ${call}`).toBe(!said.includes('principal'))
        expect(text.includes('select 1'), `call ${call}`).toBe(!said.includes('session'))
        expect(await codesOf(at), `call ${call}`).toEqual({ verdict: 'OK', codes: [] })
        if (ended) break
      }
      if (all) expect(undone).toBeGreaterThan(5)
    },
    all ? 3_600_000 : 300_000,
  )
})
