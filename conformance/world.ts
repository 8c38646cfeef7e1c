/** What stands behind a door while a case runs: the real guard, policy and ledger; and what is looked for in all that was kept or told. */
import assert from 'node:assert/strict'
import type { Control } from '../lib/control.ts'
import { Refusal } from '../lib/errors.ts'
import type { EntryOf, Kind } from '../lib/format/entry.ts'
import { buildGuard, type Guard } from '../lib/guard.ts'
import type { Subject } from '../lib/identity/subject.ts'
import { casbinPolicy, type Policy } from '../lib/policy/policy.ts'
import { type Breakable, breakable } from './breakable.ts'
import type { Answer, Call, Door, OpenDoor, Work } from './door.ts'
import { eventually, holdsNot } from './expect.ts'
import { type Heard, hear } from './heard.ts'
import { canary, control, credentialOf, dba, owner, personal, requester, rules } from './people.ts'

export interface World {
  readonly door: Door
  readonly guard: Guard
  readonly policy: Policy
  readonly ledger: Breakable
  readonly opened: OpenDoor
  /** @param as the requester */
  begin(work: Work, as?: Subject, stall?: boolean): Call
  ask(work: Work, as?: Subject): Promise<Answer>
  /** All entries of a kind, in order. */
  of<K extends Kind>(kind: K): Promise<EntryOf<K>[]>
  /** Every attachment's plain bytes. */
  attachments(): Promise<string[]>
  /** What entries disclose, in order. */
  disclosures(): Promise<Readonly<Record<string, unknown>>[]>
  /** Asks for a grant for changes, and has it given. @returns its id */
  grant(seconds: number): Promise<string>
  /** @returns the id of the approval that was asked for last, as soon as one is */
  asked(): Promise<string>
  /** From now on the subjects that log in are known until then only. @param at Unix milliseconds */
  expire(at: number): void
}

/** The controls of a case; changed and destroyed things are called as the door calls them. */
export const granted = (door: Door): Control =>
  control({
    id: 'AC-03',
    covers: { resource: 'crm/**', actions: [door.words.change] },
    require: { grant: { longestMs: 60_000, reason: true } },
  })

export const approved = (door: Door, waitMs: number): Control =>
  control({
    id: 'AC-07',
    covers: { resource: 'crm/**', actions: [door.words.destroy] },
    require: { approval: { people: 1, from: 'role:dba', withinMs: 60_000, waitMs } },
  })

export const masked = (door: Door): Control =>
  control({ id: 'CF-01', covers: { resource: door.personal }, mask: { ssn: 'last4', email: 'redact' } })

export const recorded = control({
  id: 'RC-01',
  covers: { resource: 'crm/**' },
  record: { request: 'masked', response: 'masked' },
})

const subjects = [requester, owner, dba]

/**
 * Opens a door for one case, and closes it; whatever the case was about, nothing may have been kept or told that is secret.
 * @param withinMs what has not ended by then has failed, and is left to itself
 */
export async function inWorld(
  door: Door,
  controls: readonly Control[],
  test: (world: World) => Promise<void>,
  withinMs: number,
): Promise<void> {
  const heard = hear()
  const told: string[] = []
  try {
    const ledger = await breakable()
    const policy = await casbinPolicy({ rules, controls })
    let expires: number | undefined
    const guard = await buildGuard({
      name: 'crm',
      ledger: ledger.port,
      policy,
      identify: async ({ secret }) => {
        const known = subjects.find(subject => credentialOf(subject) === secret)
        if (known === undefined) throw new Refusal('ERR_UNIDENTIFIED', 'unknown')
        return expires === undefined ? known : { ...known, expires }
      },
    })
    const opened = await door.open(guard)
    const world = worldOf({ door, guard, policy, ledger, opened }, told, at => {
      expires = at
    })
    try {
      await within(withinMs, test(world))
    } finally {
      ledger.mend()
      await within(withinMs, opened.close())
    }
    await lookForSecrets(guard, told, heard)
    await within(withinMs, guard.close())
  } finally {
    heard.stop()
  }
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `not over after ${ms} ms` })), ms)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

type Parts = Pick<World, 'door' | 'guard' | 'policy' | 'ledger' | 'opened'>

function worldOf(parts: Parts, told: string[], expire: (at: number) => void): World {
  const { door, guard, opened } = parts
  const begin: World['begin'] = (work, as = requester, stall = false) => {
    const call = opened.call(work, as, stall)
    void call.answer.then(({ said }) => told.push(said))
    return call
  }
  const of: World['of'] = async kind => {
    const found = []
    for await (const { entry } of guard.ledger.entries()) if (entry.kind === kind) found.push(entry)
    return found as never
  }
  return {
    ...parts,
    begin,
    of,
    expire,
    ask: (work, as) => begin(work, as).answer,
    attachments: () => attachmentsOf(guard),
    disclosures: () => disclosuresOf(guard),
    async grant(seconds) {
      const request = { resource: door.changed, actions: [door.words.change], seconds, reason: 'a reason' }
      const id = await guard.desk.request(requester, request)
      await guard.desk.approve(dba, id)
      return id
    },
    async asked() {
      await eventually(
        () => of('approval-requested'),
        (found: unknown[]) => found.length > 0,
      )
      return (await of('approval-requested')).at(-1)!.approval
    },
  }
}

async function attachmentsOf({ ledger }: Guard): Promise<string[]> {
  const found: string[] = []
  for await (const { entry } of ledger.entries()) {
    if (entry.kind !== 'attachment') continue
    const parts: Uint8Array[] = []
    for await (const part of ledger.attachment(entry.attachment)) parts.push(part)
    found.push(Buffer.concat(parts).toString())
  }
  return found
}

async function disclosuresOf({ ledger }: Guard): Promise<Readonly<Record<string, unknown>>[]> {
  const found = []
  for await (const { index } of ledger.entries()) found.push(await ledger.disclosures(index))
  return found
}

async function lookForSecrets(guard: Guard, told: readonly string[], heard: Heard): Promise<void> {
  const entries: unknown[] = []
  for await (const { entry } of guard.ledger.entries()) entries.push(entry)
  // biome-ignore format: a table
  const kept: readonly (readonly [where: string, text: string])[] = [
    ['an entry',      JSON.stringify(entries)],
    ['a disclosure',  JSON.stringify(await disclosuresOf(guard))],
    ['an attachment', (await attachmentsOf(guard)).join('\n')],
    ['a log',         heard.text()],
  ]
  for (const [where, text] of kept) {
    holdsNot(where, text, canary, 'a secret')
    holdsNot(where, text, personal.ssn, 'an unmasked value')
  }
  holdsNot('an answer', told.join('\n'), canary, 'a secret')
}
