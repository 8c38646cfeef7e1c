/** Changing the key of the vault: everything opens under the new one and nothing under the old one, also after a kill in between. */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { rotatingFile, slotFile } from '../../lib/format/layout.ts'
import { encodeRotating } from '../../lib/format/rotating.ts'
import { wrappingKeyId } from '../../lib/format/vault.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { rewrap } from '../../lib/ledger/rewrap.ts'
import { allEntries, ledgerOptions } from '../support/directory-ledger.ts'
import { copyOf, disclosed, erasableLedger, erased, erasure, verified } from '../support/erasable-ledger.ts'

const former = new Uint8Array(32).fill(7)
const wrappingKey = new Uint8Array(32).fill(9)
const ids = { from: wrappingKeyId(former), to: wrappingKeyId(wrappingKey) }
const changed = (options: DirectoryOptions) => ({ ...options, wrappingKey, formerWrappingKey: former })

async function opened(options: DirectoryOptions) {
  const ledger = await openDirectoryLedger(options)
  const entries = await allEntries(ledger)
  await ledger.close()
  return entries.map(({ entry }) => entry).filter(({ kind }) => kind === 'vault-rewrapped')
}

describe('the key of the vault', () => {
  it('changes: all opens under the new one, nothing under the old one, what was erased stays so, an entry says it', async () => {
    const at = await erased(await erasableLedger(), erasure())
    const before = JSON.stringify((await disclosed(copyOf(at))).map(({ values }) => values))
    expect(await opened(changed(at.options))).toMatchObject([{ ...ids, erased: expect.any(Number) }])
    const now = { ...at, options: { ...at.options, wrappingKey } }
    const after = JSON.stringify((await disclosed(copyOf(now))).map(({ values }) => values))
    expect(after.startsWith(before.slice(0, before.lastIndexOf('}')))).toBe(true)
    expect(await verified(now)).toMatchObject({ verdict: 'OK', findings: [] })
    expect((await verified(at)).findings.map(({ code }) => code)).toContain('VAULT_KEY')
    await expect(openDirectoryLedger(at.options)).rejects.toMatchObject({ code: 'ERR_DISCLOSURE_MISMATCH' })
    // Once more changes nothing, and says nothing.
    expect(await opened(changed(at.options))).toHaveLength(1)
  })

  it('changes to the end after a kill between two files, and one key alone opens nothing until then', async () => {
    const at = await erasableLedger()
    const whole = copyOf(at)
    await rewrap(changed(at.options), 300)
    const files = readdirSync(join(at.options.directory, 'vault/slots')).length
    expect(files).toBeGreaterThan(1)
    for (let done = 0; done < files; done += 1) {
      // As a kill leaves it: the first so many files are under the new key.
      const cut = copyOf(at)
      for (let n = done; n < files; n += 1) {
        cpSync(join(whole.options.directory, slotFile(n * 64)), join(cut.options.directory, slotFile(n * 64)))
      }
      for (const key of [former, wrappingKey]) {
        const alone = openDirectoryLedger({ ...cut.options, wrappingKey: key })
        await expect(alone).rejects.toMatchObject({ code: 'ERR_LEDGER_INCONSISTENT' })
        // Where all of it is under that key still, nothing is wrong with it.
        const found =
          done === 0 && key === former ? [] : [{ code: 'VAULT_KEY', what: expect.stringContaining('rotat') }]
        const verdict = found.length === 0 ? 'OK' : 'INCOMPLETE'
        expect(await verified(cut, key)).toMatchObject({ verdict, findings: found })
      }
      // What is under neither was altered, whatever is noted.
      const altered = copyOf(cut)
      const path = join(altered.options.directory, slotFile(0))
      const slots = readFileSync(path)
      slots[1] = slots[1]! ^ 1
      writeFileSync(path, slots)
      if (done > 0) expect((await verified(altered, wrappingKey)).verdict).toBe('TAMPERED')
      expect(await opened(changed(cut.options))).toMatchObject([ids])
      const now = { ...cut, options: { ...cut.options, wrappingKey } }
      expect(await verified(now)).toMatchObject({ verdict: 'OK', findings: [] })
    }
  })

  it('is said once, where the kill came after the entry', async () => {
    const options = ledgerOptions()
    await (await openDirectoryLedger(options)).close()
    await rewrap(changed(options), 3)
    const note = readFileSync(join(options.directory, rotatingFile))
    expect(await opened(changed(options))).toHaveLength(1)
    const path = join(options.directory, rotatingFile)
    expect(existsSync(path)).toBe(false)
    writeFileSync(path, note)
    expect(await opened(changed(options))).toHaveLength(1)
  })

  it('is finished where its note is of before notes had MACs, and nothing that such a note says hides the entry', async () => {
    const at = await erasableLedger()
    const legacy = (directory: string, to: string, size = 0) =>
      writeFileSync(join(directory, rotatingFile), JSON.stringify({ size, to }))
    const whole = copyOf(at)
    await rewrap(changed(at.options), 300)
    for (const first of [0, 64]) {
      // Cut off after the first file, and after all of them.
      const cut = copyOf(at)
      if (first === 0) cpSync(join(whole.options.directory, slotFile(64)), join(cut.options.directory, slotFile(64)))
      legacy(cut.options.directory, ids.to, 300)
      expect(await opened(changed(cut.options))).toMatchObject([ids])
      legacy(cut.options.directory, ids.to, 300)
      expect(await opened(changed(cut.options))).toMatchObject([ids])
      expect(existsSync(join(cut.options.directory, rotatingFile))).toBe(false)
    }
    const back = { ...whole.options, wrappingKey: former, formerWrappingKey: wrappingKey }
    for (const options of [changed(whole.options), back]) await opened(options)
    await rewrap(changed(whole.options), 400)
    legacy(whole.options.directory, ids.to)
    expect((await opened(changed(whole.options))).map(entry => 'to' in entry && entry.to)).toEqual([
      ids.to,
      ids.from,
      ids.to,
    ])
  })

  it('that somebody else says is under way is none: the verifier says TAMPERED, and who opens is told what to do', async () => {
    const at = await erasableLedger()
    const stranger = new Uint8Array(32).fill(1)
    const whole = copyOf(at)
    const theirs = copyOf(at)
    // As if the key were the stranger's own.
    const key = { wrappingKey: stranger, formerWrappingKey: former }
    await rewrap({ ...theirs.options, ...key }, 300)
    const slots = readFileSync(join(theirs.options.directory, slotFile(64)))
    const { origin } = at.options
    for (const note of [
      JSON.stringify({ size: 0, to: wrappingKeyId(stranger) }),
      encodeRotating(origin, [stranger, stranger], 0),
      encodeRotating('another.example', [former, stranger], 0),
      'nothing of the kind',
    ]) {
      const planted = copyOf(whole)
      const { directory } = planted.options
      writeFileSync(join(directory, rotatingFile), note)
      const toRemove = {
        code: 'ERR_LEDGER_INCONSISTENT',
        message: expect.stringMatching(/rotating.* is to be removed$/),
      }
      await expect(openDirectoryLedger(planted.options)).rejects.toMatchObject(toRemove)
      await expect(openDirectoryLedger(changed(planted.options))).rejects.toMatchObject(toRemove)
      writeFileSync(join(directory, slotFile(64)), slots)
      expect((await verified(planted)).verdict, note).toBe('TAMPERED')
    }
    // A change that was finished, and whose note somebody kept: what is under the former key was put back, too.
    const done = copyOf(whole)
    await rewrap(changed(done.options), 300)
    const note = readFileSync(join(done.options.directory, rotatingFile))
    const behind = copyOf(done)
    cpSync(join(whole.options.directory, slotFile(64)), join(behind.options.directory, slotFile(64)))
    expect((await verified(behind, wrappingKey)).verdict).toBe('INCOMPLETE')
    await opened(changed(done.options))
    writeFileSync(join(done.options.directory, rotatingFile), note)
    cpSync(join(whole.options.directory, slotFile(64)), join(done.options.directory, slotFile(64)))
    expect((await verified(done, wrappingKey)).verdict).toBe('TAMPERED')
  })

  it('is refused where it is no change, or where slots are under a third key', async () => {
    const options = ledgerOptions()
    await (await openDirectoryLedger(options)).close()
    const same = openDirectoryLedger({ ...options, formerWrappingKey: former })
    await expect(same).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    const third = openDirectoryLedger({ ...changed(options), formerWrappingKey: new Uint8Array(32).fill(1) })
    await expect(third).rejects.toMatchObject({ code: 'ERR_DISCLOSURE_MISMATCH' })
    await (await openDirectoryLedger(options)).close()
  })
})
