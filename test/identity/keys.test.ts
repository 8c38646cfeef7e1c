/** Local keys: hashed, expiring, revocable at once. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { configuredIdentity } from '../../lib/identity/identify.ts'
import { issueKey, listKeys, localKeys, type NewKey, revokeKey, withNewKey } from '../../lib/identity/keys.ts'
import { replaced } from '../support/replaced.ts'

const folders: string[] = []
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})
async function file(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'counterfoil-keys-'))
  folders.push(folder)
  return join(folder, 'keys.json')
}

const hour = 3_600_000
const person: NewKey = { subject: 'requester@crm.example', type: 'person', lifetimeMs: hour }
const bearer = (secret: string) => ({ kind: 'bearer' as const, secret })
const at = (path: string, now = Date.now()) =>
  configuredIdentity({ people: [], agents: [], keys: path }, { now: () => now })

describe('a local key', () => {
  it('identifies whom it was issued to', async () => {
    const path = await file()
    const { key, id } = await issueKey(path, person)
    expect(key).toMatch(/^cfk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/)
    expect(await at(path)(bearer(key))).toMatchObject({
      ...{
        id: 'requester@crm.example',
        type: 'person',
        issuer: 'local',
        method: 'key',
        credential: id,
        expires: expect.any(Number),
      },
    })
  })

  it("carries an agent's owner and principal", async () => {
    const path = await file()
    const { key } = await issueKey(path, {
      ...{
        subject: 'agent:crm-assistant',
        type: 'agent',
        owner: 'owner@crm.example',
        principal: 'requester@crm.example',
        lifetimeMs: hour,
      },
    })
    expect(await at(path)(bearer(key))).toMatchObject({
      type: 'agent',
      owner: 'owner@crm.example',
      principal: 'requester@crm.example',
    })
  })

  it('stands in the file as a hash only, in a file that others cannot read', async () => {
    const path = await file()
    const { key } = await issueKey(path, person)
    const text = await readFile(path, 'utf8')
    expect(text).not.toContain(key.slice(-43))
    expect(text).not.toContain(Buffer.from(key.slice(-43), 'base64url').toString('hex'))
    expect((await stat(path)).mode & 0o077).toBe(0)
  })

  it('is refused once it has expired', async () => {
    const path = await file()
    const { key } = await issueKey(path, person, { now: () => 0 })
    expect((await at(path, hour - 1)(bearer(key))).id).toBe('requester@crm.example')
    await expect(at(path, hour)(bearer(key))).rejects.toMatchObject({
      code: 'ERR_UNIDENTIFIED',
      message: expect.stringMatching(/expired/),
    })
  })

  it('is refused from the moment it is revoked, by a provider that knew it', async () => {
    const path = await file()
    const first = await issueKey(path, person)
    const second = await issueKey(path, person)
    const identify = at(path)
    await identify(bearer(first.key))
    await revokeKey(path, first.id)
    await expect(identify(bearer(first.key))).rejects.toMatchObject({
      code: 'ERR_UNIDENTIFIED',
      message: expect.stringMatching(/revoked/),
    })
    expect((await identify(bearer(second.key))).id).toBe('requester@crm.example')
  })

  it('stays revoked when it was', async () => {
    const path = await file()
    const { id } = await issueKey(path, person)
    await revokeKey(path, id, { now: () => 1000 })
    await revokeKey(path, id, { now: () => 2000 })
    expect((await listKeys(path))[0]?.revoked).toBe('1970-01-01T00:00:01.000Z')
  })

  it('is refused with one character changed, cut short, or with the id of another', async () => {
    const path = await file()
    const one = await issueKey(path, person)
    const two = await issueKey(path, person)
    const last = one.key.at(-2) === 'A' ? 'B' : 'A'
    const forged = [
      `${one.key.slice(0, -2)}${last}${one.key.slice(-1)}`,
      one.key.slice(0, -1),
      `${one.key}A`,
      `cfk_${two.id}_${one.key.slice(-43)}`,
      `cfk_000000000000_${one.key.slice(-43)}`,
      `cfk_${one.id}_`,
      'cfk_',
      'cfk___proto___x',
    ]
    for (const key of forged)
      await expect(at(path)(bearer(key))).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED', message: 'no such key' })
  })

  it('is not lost when several are issued and revoked at once', async () => {
    const path = await file()
    const issued = await Promise.all(Array.from({ length: 8 }, () => issueKey(path, person)))
    await Promise.all([...issued.slice(0, 4).map(({ id }) => revokeKey(path, id)), issueKey(path, person)])
    const records = await listKeys(path)
    expect(records).toHaveLength(9)
    expect(records.filter(({ revoked }) => revoked !== undefined)).toHaveLength(4)
    expect(await readdir(join(path, '..'))).toEqual(['keys.json'])
  })

  it.each([
    ['revoked', async (path: string, id: string) => revokeKey(path, id), 'ERR_UNIDENTIFIED'],
    ['taken out of the file', async (path: string) => replaced(path, '[]'), 'ERR_UNIDENTIFIED'],
    [
      'in a file that is no longer one of keys',
      async (path: string) => replaced(path, '{'),
      'ERR_IDENTITY_UNAVAILABLE',
    ],
  ])('that is %s says so to who is in already', async (_, change, code) => {
    const path = await file()
    const { key, id } = await issueKey(path, person)
    const subject = await at(path)(bearer(key))
    const reason = await new Promise(resolve => {
      subject.withdrawn!(resolve)
      void change(path, id)
    })
    expect(reason).toMatchObject({ code })
  })

  it('revoked before anybody watched says so too, and another one not', async () => {
    const path = await file()
    const [one, other] = [await issueKey(path, person), await issueKey(path, person)]
    const [revoked, kept] = await Promise.all([at(path)(bearer(one.key)), at(path)(bearer(other.key))])
    await revokeKey(path, one.id)
    let wrongly = false
    const end = kept.withdrawn!(() => {
      wrongly = true
    })
    await new Promise(resolve => revoked.withdrawn!(resolve))
    end()
    expect(wrongly).toBe(false)
  })

  // biome-ignore format: a table
  const wrong: [string, Partial<NewKey>][] = [
    ['a name in capitals',               { subject: 'Requester@crm.example' }],
    ['a role',                           { subject: 'role:dba' }],
    ['an agent without an owner',        { subject: 'agent:x', type: 'agent' }],
    ['an agent owned by an agent',       { subject: 'agent:x', type: 'agent', owner: 'agent:y' }],
    ['an agent named like a person',     { subject: 'x', type: 'agent', owner: 'owner@crm.example' }],
    ['a person named like an agent',     { subject: 'agent:x' }],
    ['a person with an owner',           { owner: 'owner@crm.example' }],
    ['no time at all',                   { lifetimeMs: 0 }],
    ['time without end',                 { lifetimeMs: Number.POSITIVE_INFINITY }],
    ['a time that is none',              { lifetimeMs: Number.NaN }],
  ]
  it.each(wrong)('is not issued for %s', (_, parts) => {
    expect(() => withNewKey([], { ...person, ...parts }, 0)).toThrowError(
      expect.objectContaining({ code: 'ERR_OPTION_INVALID' }),
    )
  })
})

describe('the file of keys', () => {
  // biome-ignore format: a table
  const broken: [string, string | undefined][] = [
    ['missing',                     undefined],
    ['no JSON',                     '{'],
    ['no list',                     '{}'],
    ['a list of something else',    '[1]'],
    ['a key with a member missing', '[{"id":"000000000000"}]'],
  ]
  it.each(broken)('lets nobody in while it is %s', async (_, text) => {
    const path = await file()
    const { key } = await issueKey(path, person)
    const identify = at(path)
    await identify(bearer(key))
    if (text === undefined) await rm(path)
    else await writeFile(path, text)
    await expect(identify(bearer(key))).rejects.toMatchObject({ code: 'ERR_IDENTITY_UNAVAILABLE' })
  })

  it('with a record too many, twice, or an agent without an owner is refused', async () => {
    const path = await file()
    await issueKey(path, person)
    const [record] = await listKeys(path)
    for (const records of [
      [{ ...record, note: 'x' }],
      [record, record],
      [{ ...record, type: 'agent' }],
      [{ ...record, hash: 'x' }],
    ]) {
      await writeFile(path, JSON.stringify(records))
      await expect(listKeys(path)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    }
  })

  it('is not asked for what is no key', async () => {
    expect(await localKeys({ file: await file() }).identify(bearer('a.b.c'))).toBeUndefined()
  })
})
