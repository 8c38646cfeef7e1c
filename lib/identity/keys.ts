/**
 * Local keys, `cfk_ID_SECRET`: an expiring credential for those whom no identity provider vouches for. The file holds hashes only;
 * it is read again whenever it changes, so that a revocation counts at once: for the next login, and for who is in already.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { type Clock, systemClock } from '../clock.ts'
import { Misuse, Refusal } from '../errors.ts'
import { isSubjectId } from '../policy/rules.ts'
import { readWhenChanged } from './changing-file.ts'
import { type KeyRecord, parseKeys } from './keyfile.ts'
import type { IdentityProvider, Subject } from './subject.ts'
import { withdrawals } from './withdrawals.ts'

export type { KeyRecord }

const shape = /^cfk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/

/** SHA-256 is enough: the secret is 256 random bits, so there is nothing to guess from. */
const hashOf = (secret: string) => createHash('sha256').update(secret).digest('hex')

export function localKeys({ file, clock = systemClock }: { file: string; clock?: Clock }): IdentityProvider {
  const read = readWhenChanged(file, 'the file of local keys', parseKeys)
  const watch = withdrawals(async id => {
    requireUsable(
      (await read()).find(known => known.id === id),
      clock,
    )
  })
  return {
    name: 'local',
    async identify({ secret }) {
      if (!secret.startsWith('cfk_')) return undefined
      const [, id, body] = shape.exec(secret) ?? []
      const records = await read()
      const record = records.find(known => known.id === id)
      const held = Buffer.from(record?.hash ?? hashOf(''), 'hex')
      const same = timingSafeEqual(held, Buffer.from(hashOf(body ?? ''), 'hex'))
      if (!same) throw new Refusal('ERR_UNIDENTIFIED', 'no such key')
      requireUsable(record, clock)
      return { ...toSubject(record), withdrawn: cut => watch(record.id, cut) }
    },
  }
}

/** @throws Refusal ERR_UNIDENTIFIED */
function requireUsable(record: KeyRecord | undefined, clock: Clock): asserts record is KeyRecord {
  if (record === undefined) throw new Refusal('ERR_UNIDENTIFIED', 'no such key')
  if (record.revoked !== undefined) throw new Refusal('ERR_UNIDENTIFIED', 'this key was revoked: ask for another')
  if (Date.parse(record.expires) <= clock.now()) {
    throw new Refusal('ERR_UNIDENTIFIED', 'this key has expired: ask for another')
  }
}

const toSubject = ({ id, subject, type, owner, principal, expires }: KeyRecord): Subject => ({
  id: subject,
  type,
  issuer: 'local',
  method: 'key',
  credential: id,
  expires: Date.parse(expires),
  ...(owner === undefined ? {} : { owner }),
  ...(principal === undefined ? {} : { principal }),
})

export interface NewKey {
  readonly subject: string
  readonly type: Subject['type']
  /** The person accountable: required for agents and services. */
  readonly owner?: string | undefined
  /** On whose behalf an agent acts with this key. */
  readonly principal?: string | undefined
  readonly lifetimeMs: number
}

/** A year: a key that outlives every memory of it is a back door. */
const longestLifetimeMs = 366 * 86_400_000

/** @returns the records with a new one, and the key, which stands nowhere else. @throws Misuse ERR_OPTION_INVALID */
export function withNewKey(
  records: readonly KeyRecord[],
  asked: NewKey,
  now: number,
): { records: KeyRecord[]; key: string; id: string } {
  const { subject, type, owner, principal, lifetimeMs } = asked
  const named = [subject, owner, principal].filter(name => name !== undefined)
  if (!named.every(isSubjectId))
    throw invalid('not a name that policy can use: dba@crm.example in lower case, or agent:NAME')
  if ((type === 'agent') !== subject.startsWith('agent:'))
    throw invalid("an agent's name, and no other, starts with agent:")
  // Whoever holds a service's key could ask by it, and decide as the person they are: its owner may not.
  if (type !== 'person' && owner === undefined)
    throw invalid(`a${type === 'agent' ? 'n agent' : ' service'} needs an owner: the person accountable for it`)
  if (type === 'person' && owner !== undefined) throw invalid('a person has no owner')
  if (type !== 'agent' && principal !== undefined) throw invalid('only an agent has a principal')
  if ([owner, principal].some(name => name?.startsWith('agent:'))) throw invalid('an owner or a principal is a person')
  if (!(lifetimeMs > 0 && lifetimeMs <= longestLifetimeMs)) throw invalid('a key lasts for a year at most')
  const id = randomBytes(6).toString('hex')
  const secret = randomBytes(32).toString('base64url')
  const record: KeyRecord = {
    ...{ id, subject, type },
    ...(owner === undefined ? {} : { owner }),
    ...(principal === undefined ? {} : { principal }),
    hash: hashOf(secret),
    issued: new Date(now).toISOString(),
    expires: new Date(now + lifetimeMs).toISOString(),
  }
  return { records: [...records, record], key: `cfk_${id}_${secret}`, id }
}

/** @throws Misuse ERR_OPTION_INVALID where there is no such key. A key that was revoked stays revoked when it was. */
export function withoutKey(records: readonly KeyRecord[], id: string, now: number): KeyRecord[] {
  if (!records.some(record => record.id === id)) throw invalid('there is no key with this id')
  return records.map(record =>
    record.id === id ? { ...record, revoked: record.revoked ?? new Date(now).toISOString() } : record,
  )
}

const invalid = (what: string) => new Misuse('ERR_OPTION_INVALID', what)

/** Adds a key to the file, which is made where there is none. @returns the key, shown this once, and its id */
export async function issueKey(
  file: string,
  asked: NewKey,
  clock: Clock = systemClock,
): Promise<{ key: string; id: string }> {
  return change(file, records => {
    const { key, id, records: next } = withNewKey(records, asked, clock.now())
    return { records: next, result: { key, id } }
  })
}

export async function revokeKey(file: string, id: string, clock: Clock = systemClock): Promise<void> {
  return change(file, records => ({ records: withoutKey(records, id, clock.now()), result: undefined }))
}

/** @returns every key's record, never the key. */
export async function listKeys(file: string): Promise<readonly KeyRecord[]> {
  return parseKeys((await readIfAny(file)) ?? '[]')
}

/** Under a lock, since a revocation lost between a read and a write would be a key that still opens. */
async function change<R>(
  file: string,
  edit: (records: readonly KeyRecord[]) => { records: readonly KeyRecord[]; result: R },
): Promise<R> {
  const unlock = await lock(`${file}.lock`)
  try {
    const { records, result } = edit(await listKeys(file))
    const temporary = `${file}.new`
    await rm(temporary, { force: true })
    await writeFile(temporary, `${JSON.stringify(records, undefined, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true })
    await rename(temporary, file)
    return result
  } finally {
    await unlock()
  }
}

async function lock(path: string): Promise<() => Promise<void>> {
  for (let tries = 0; tries < 100; tries += 1) {
    try {
      await (await open(path, 'wx')).close()
      return () => rm(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      await pause(50)
    }
  }
  throw new Misuse(
    'ERR_OPTION_INVALID',
    'the file of keys is locked; if nobody is writing it, delete the .lock beside it',
  )
}

async function readIfAny(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
