/** A witness over HTTP, held to C2SP tlog-witness clause by clause, and to never cosigning two histories of one log. */
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { serveWitness } from '../../../adapters/witness/index.ts'
import { formatCheckpoint } from '../../../lib/format/checkpoint.ts'
import { cosignaturesOf, parseCosignerKey } from '../../../lib/format/cosignature.ts'
import { formatNote, parseNote, parseVerifierKey } from '../../../lib/format/note.ts'
import { temporaryDirectory } from '../../support/directory-ledger.ts'
import { NoteLog } from '../../support/log-of-notes.ts'

const clock = { now: () => Date.parse('2026-07-01T00:00:00.500Z') }

async function witnessOf(
  logs: readonly NoteLog[],
  { state = temporaryDirectory(), key = generateKeyPairSync('ed25519').privateKey } = {},
) {
  const faults: unknown[] = []
  const server = await serveWitness({
    name: 'witness.example/w1',
    key,
    state,
    logs: new Map(logs.map(log => [log.origin, [parseVerifierKey(log.vkey)]])),
    clock,
    host: '127.0.0.1',
    port: 0,
    onFault: error => faults.push(error),
  })
  onTestFinished(() => server.close())
  const post = async (body: string | Buffer, path = '/add-checkpoint', method = 'POST') => {
    const init = method === 'POST' ? { method, body } : { method }
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init)
    return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
  }
  return { post, cosigner: parseCosignerKey(server.verifierKey), state, key, faults, server }
}

const log = () => new NoteLog('crm.example/ledger').grow(20)
const conflict = (size: number) => ({ status: 409, type: 'text/x.tlog.size', text: `${size}\n` })

describe('a witness', () => {
  it('cosigns what is new, what has grown, and the same again, by its own clock', async () => {
    const crm = log()
    const { post, cosigner } = await witnessOf([crm])
    for (const [old, size] of [
      [0, 7],
      [7, 8],
      [8, 8],
      [8, 20],
    ] as const) {
      const answer = await post(await crm.submission(old, size))
      expect(answer).toMatchObject({ status: 200, type: 'text/plain; charset=utf-8' })
      const note = parseNote(Buffer.from((await crm.note(size)) + answer.text))
      expect(cosignaturesOf(note, [cosigner])).toMatchObject([
        { time: clock.now() / 1000 - 0.5, name: 'witness.example/w1' },
      ])
    }
  })

  it('works for logs of others: extension lines, an origin with spaces, a key of another name', async () => {
    const other = new NoteLog('sum.example')
    const text = `a database tree\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nsome extension\n`
    const { signNote } = await import('../../../lib/format/note.ts')
    const { createPublicKey } = await import('node:crypto')
    const note = formatNote({
      text,
      signatures: [signNote(text, 'sum.example', other.key, createPublicKey(other.key))],
    })
    const named = { origin: 'a database tree', vkey: other.vkey } as NoteLog
    const { post, cosigner } = await witnessOf([named])
    const { status, text: lines } = await post(`old 0\n\n${note}`)
    expect(status).toBe(200)
    expect(cosignaturesOf(parseNote(Buffer.from(note + lines)), [cosigner])).toHaveLength(1)
  })

  it('answers 404, 403, 400, 409 and 422 as the protocol says, and cosigns none of these', async () => {
    const crm = log()
    const { post, state } = await witnessOf([crm])
    expect((await post(await crm.submission(0, 10))).status).toBe(200)
    const kept = () => readdirSync(join(state, 'logs')).map(name => readFileSync(join(state, 'logs', name), 'utf8'))
    const before = kept()
    expect((await post(await new NoteLog('else.example').grow(3).submission(0))).status).toBe(404)
    expect((await post(await new NoteLog(crm.origin).grow(12).submission(10))).status).toBe(403)
    expect((await post((await crm.submission(10, 12)).replace('old 10', 'old 13'))).status).toBe(400)
    for (const body of [
      '',
      'old 1',
      'old 01\n\nx',
      'old -1\n\n',
      `old 10\nAAAA\n\n${await crm.note(12)}`,
      `old 10\n${'A'.repeat(43)}=\n\nx`,
    ]) {
      expect((await post(body)).status, body).toBe(400)
    }
    const long = `old 10\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(64)}\n${await crm.note(12)}`
    expect((await post(long)).status).toBe(400)
    for (const old of [0, 9, 11]) expect(await post(await crm.submission(old, 12))).toEqual(conflict(10))
    const proofOf = await crm.submission(9, 12)
    expect((await post(proofOf.replace('old 9', 'old 10'))).status).toBe(422)
    const needless = `old 10\n${Buffer.alloc(32).toString('base64')}\n\n${await crm.note(10)}`
    expect((await post(needless)).status).toBe(422)
    expect((await post('x'.repeat(70_000))).status).toBe(413)
    expect((await post('', '/add-checkpoint', 'GET')).status).toBe(405)
    expect((await post('', '/')).status).toBe(404)
    expect(kept()).toEqual(before)
  })

  it('gives no second history its word: not at the same size, not longer, not after it was started again', async () => {
    const crm = log()
    const fork = new NoteLog(crm.origin, crm.key).grow(9).grow(30, 'another')
    const first = await witnessOf([crm])
    expect((await first.post(await crm.submission(0, 10))).status).toBe(200)
    expect(await first.post(await fork.submission(10, 10))).toEqual(conflict(10))
    expect((await first.post(await fork.submission(10, 30))).status).toBe(422)
    expect(await first.post(await fork.submission(0, 30))).toEqual(conflict(10))
    await first.server.close()
    const again = await witnessOf([crm], first)
    expect((await again.post(await fork.submission(10, 30))).status).toBe(422)
    expect(await again.post(await crm.submission(0, 5))).toEqual(conflict(10))
    expect((await again.post(await crm.submission(10, 20))).status).toBe(200)
  })

  it('asked by many at once cosigns one line of history', async () => {
    const crm = new NoteLog('crm.example/ledger').grow(10)
    const { post } = await witnessOf([crm])
    expect((await post(await crm.submission(0, 10))).status).toBe(200)
    const forks = Array.from({ length: 8 }, (_, i) =>
      new NoteLog(crm.origin, crm.key).grow(10).grow(11 + i, `fork ${i}`),
    )
    const statuses = await Promise.all(forks.map(async fork => (await post(await fork.submission(10))).status))
    expect(statuses.filter(status => status === 200)).toHaveLength(1)
    expect(statuses.filter(status => status === 409)).toHaveLength(7)
  })

  it('does nothing where its memory was altered, and says no more than that', async () => {
    const crm = log()
    const { post, state, faults } = await witnessOf([crm])
    await post(await crm.submission(0, 10))
    const [name] = readdirSync(join(state, 'logs'))
    const shorter = formatCheckpoint(await crm.checkpoint(5)).replace('\n5\n', '\n6\n')
    writeFileSync(join(state, 'logs', name!), shorter)
    expect(await post(await crm.submission(6, 20))).toMatchObject({
      status: 500,
      text: 'the witness could not do its work\n',
    })
    expect(faults).toMatchObject([{ code: 'ERR_LEDGER_CORRUPT' }])
  })
})
