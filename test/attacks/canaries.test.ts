/**
 * Secrets and personal data are planted in every work that the conformance suite knows, through every door, with everything recorded
 * that can be; then all that was kept and told is searched: the ledger's files, what its vault opens to, logs, answers, the bundle.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { hear } from '../../conformance/heard.ts'
import { type Answer, canary, credentialOf, type Door, personal, type Work } from '../../conformance/index.ts'
import { granted, masked, recorded } from '../../conformance/world.ts'
import { buildBundle } from '../../evidence/bundle/build.ts'
import { verifyLedger } from '../../evidence/verify.ts'
import type { Control } from '../../lib/control.ts'
import { Refusal } from '../../lib/errors.ts'
import type { Guard } from '../../lib/guard.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { armorSignature, generateKey, readPrivateKey, signDetached } from '../../lib/openpgp.ts'
import { expressDoor } from '../adapters/express/door.ts'
import { koaDoor } from '../adapters/koa/door.ts'
import { postgresDoor } from '../adapters/pg/door.ts'
import { poolDoor } from '../adapters/pg/pool.door.ts'
import { sshDoor } from '../adapters/ssh/door.ts'
import { ledgerOptions, temporaryDirectory } from '../support/directory-ledger.ts'
import { dba, fixture, owner, requester } from '../support/guard.ts'

/** What each canary is, and where none of it may be. */
const planted = { secret: canary, ssn: personal.ssn, email: personal.email } as const

/** Names of those that a text holds. */
const found = (text: string): string[] =>
  Object.entries(planted).flatMap(([name, value]) => (text.includes(value) ? [name] : []))

/** Every file below a folder that holds one, packed or not. */
function* searched(folder: string): Generator<[file: string, found: string[]]> {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = readFileSync(path)
    yield [
      path.slice(folder.length + 1),
      found((entry.name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1')),
    ]
  }
}

async function opened({ ledger }: Guard): Promise<string> {
  const texts: string[] = []
  for await (const { index, entry } of ledger.entries()) {
    texts.push(JSON.stringify(await ledger.disclosures(index)))
    if (entry.kind !== 'attachment') continue
    for await (const part of ledger.attachment(entry.attachment)) texts.push(Buffer.from(part).toString('latin1'))
  }
  return texts.join('\n')
}

const works: readonly Work[] = ['read', 'masked', 'change', 'secret', 'breaks', 'destroy']

async function everything(door: Door): Promise<void> {
  const heard = hear()
  try {
    const key = await readPrivateKey((await generateKey({ name: 'Test ledger' })).privateKey)
    const options = ledgerOptions({ sealer: openpgpSealer(key) })
    const ledger = await openDirectoryLedger(options)
    const controls = [granted(door), masked(door), recorded]
    const known = [requester, owner]
    const at = await fixture(controls, {
      ledger,
      identify: async ({ secret }) => {
        const subject = known.find(one => credentialOf(one) === secret)
        if (subject === undefined) throw new Refusal('ERR_UNIDENTIFIED', 'unknown')
        return subject
      },
    })
    const request = { resource: door.changed, actions: [door.words.change], seconds: 60, reason: 'a reason' }
    await at.guard.desk.approve(dba, await at.guard.desk.request(requester, request))
    const doorway = await door.open(at.guard)
    const answers: Answer[] = []
    // Who may, who may not, and who is nobody.
    for (const as of [requester, owner, { ...requester, id: 'stranger@crm.example' }]) {
      for (const work of works) answers.push(await doorway.call(work, as).answer)
    }
    await doorway.close()
    expect(answers.some(({ whole }) => whole)).toBe(true)
    expect((await at.of('attachment')).length).toBeGreaterThan(0)
    expect(found(answers.map(({ said }) => said).join('\n'))).toEqual([])
    expect(found(await opened(at.guard))).toEqual([])
    await at.guard.close()

    const pin = join(temporaryDirectory(), 'pin')
    const given = {
      directory: options.directory,
      wrappingKey: Uint8Array.from(options.wrappingKey),
      fingerprint: key.fingerprint,
    }
    expect(await verifyLedger({ ...given, pin, first: true })).toMatchObject({ verdict: 'OK', findings: [] })
    const bundle = await buildBundle({
      ledger: { ...given, pin },
      out: join(temporaryDirectory(), 'bundle'),
      organisation: 'CRM Example',
      from: '2020-01-01',
      to: '2099-01-01',
      controls: text => JSON.parse(text) as Control[],
      actions: 'all',
      recordings: true,
      sign: async bytes => armorSignature(await signDetached(key, bytes)),
    })
    for (const folder of [options.directory, bundle.directory]) {
      const files = [...searched(folder)]
      expect(files.length).toBeGreaterThan(5)
      expect(files.filter(([, names]) => names.length > 0)).toEqual([])
    }
    expect(found(heard.text())).toEqual([])
  } finally {
    heard.stop()
  }
}

describe('what is secret or under a mask is found nowhere, after every work through', () => {
  const [postgres, pool] = [postgresDoor(), poolDoor()]
  it('express', () => everything(expressDoor))
  it('koa', () => everything(koaDoor))
  it('the PostgreSQL gateway', () => everything(postgres))
  it('a guarded pool', () => everything(pool))
  it('the SSH gateway', () => everything(sshDoor))

  it('nothing that would not be found: the search finds what lies in the clear', () => {
    expect(found(`x${planted.secret}${planted.ssn}${planted.email}`)).toEqual(['secret', 'ssn', 'email'])
  })
})
