/** A ledger whose checkpoints are given to witnesses: real ledger, real witnesses over HTTP, down, forked, rolled back. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { serveWitness } from '../../adapters/witness/index.ts'
import { Anchoring, type AnchorNews, type WitnessPlace } from '../../lib/anchors/anchoring.ts'
import { keepAnchor, recordAnchors } from '../../lib/anchors/kept.ts'
import { requestFor, stampBy } from '../../lib/anchors/obtain.ts'
import { systemClock } from '../../lib/clock.ts'
import { anchorFile } from '../../lib/format/anchor.ts'
import { parseCosignerKey } from '../../lib/format/cosignature.ts'
import { parseVerifierKey } from '../../lib/format/note.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { listenOn } from '../../lib/listening.ts'
import { allEntries, ledgerOptions, settled, temporaryDirectory } from '../support/directory-ledger.ts'

async function witnessFor(
  { origin, noteKey }: DirectoryOptions,
  name = 'witness.example/w1',
): Promise<WitnessPlace & { close(): Promise<void> }> {
  const server = await serveWitness({
    name,
    key: generateKeyPairSync('ed25519').privateKey,
    state: temporaryDirectory(),
    logs: new Map([[origin, [parseVerifierKey(noteKeyOf(noteKey, origin).verifierKey)]]]),
    clock: systemClock,
    host: '127.0.0.1',
    port: 0,
  })
  onTestFinished(() => server.close())
  return {
    cosigner: parseCosignerKey(server.verifierKey),
    url: `http://127.0.0.1:${server.port}/`,
    close: () => server.close(),
  }
}

function anchoringOf(
  options: DirectoryOptions,
  ledger: Ledger,
  witnesses: readonly WitnessPlace[],
  more: { answerMs?: number; quorum?: number } = {},
) {
  const news: AnchorNews[] = []
  const told = { tell: (one: AnchorNews) => void news.push(one) }
  const anchoring = new Anchoring({
    place: options,
    ledger,
    witnesses,
    quorum: witnesses.length,
    everyMs: 1e6,
    ...told,
    ...more,
  })
  return { anchoring, news }
}

const anchored = async (ledger: Ledger) =>
  (await allEntries(ledger)).flatMap(({ entry }) => (entry.kind === 'anchored' ? [entry] : []))
const kept = ({ directory }: DirectoryOptions) =>
  readdirSync(join(directory, 'anchors'), { recursive: true, withFileTypes: true }).filter(file => file.isFile()).length

describe('a ledger with witnesses', () => {
  it('keeps each cosignature, records it, and has the closing seal cosigned; that one is recorded when it opens again', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const witnesses = [await witnessFor(options), await witnessFor(options, 'witness.example/w2')]
    const ledger = await openDirectoryLedger(options)
    const { anchoring, news } = anchoringOf(options, ledger, witnesses)
    await anchoring.round()
    await ledger.append(Array.from({ length: 300 }, () => settled()))
    const { size, root } = await ledger.publish()
    await anchoring.round()
    await anchoring.round()
    const entries = await anchored(ledger)
    expect(entries.map(({ by }) => by).sort()).toEqual([
      'witness.example/w1',
      'witness.example/w1',
      'witness.example/w2',
      'witness.example/w2',
    ])
    expect(entries.at(-1)).toMatchObject({
      v: 3,
      anchor: 'witness',
      size,
      root: Buffer.from(root).toString('base64url'),
    })
    for (const { anchor, size, file } of entries) {
      expect(readdirSync(join(options.directory, anchorFile(anchor, size, file), '..')).length).toBe(2)
    }
    await anchoring.stop()
    await ledger.close()
    await anchoring.last()
    expect(news.map(({ what }) => what)).toEqual(Array(6).fill('cosigned'))
    const again = await openDirectoryLedger(options)
    expect(await recordAnchors(options, again)).toBe(2)
    expect(await anchored(again)).toHaveLength(6)
    expect(await recordAnchors(options, again)).toBe(0)
    await again.close()
  })

  it('goes on where one is down, silent or no witness at all, and says so', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const good = await witnessFor(options)
    const gone = await witnessFor(options, 'witness.example/gone')
    await gone.close()
    const silent = createServer(() => undefined)
    const chatter = createServer((_, response) => response.end('x'.repeat(100_000)))
    onTestFinished(() => {
      for (const server of [silent, chatter]) {
        server.closeAllConnections()
        server.close()
      }
    })
    const place = async (server: typeof silent): Promise<WitnessPlace> => ({
      ...gone,
      url: `http://127.0.0.1:${(await listenOn(server, 0, '127.0.0.1')).port}`,
    })
    const ledger = await openDirectoryLedger(options)
    const unreachable = { what: 'not-cosigned', error: { code: 'ERR_UPSTREAM' } }
    const slow = anchoringOf(options, ledger, [await place(silent)], { answerMs: 50 })
    await slow.anchoring.round()
    expect(slow.news).toMatchObject([unreachable, { what: 'below-quorum', cosigned: 0, quorum: 1 }])
    const { anchoring, news } = anchoringOf(options, ledger, [gone, await place(chatter), good], { quorum: 2 })
    await anchoring.round()
    const failed = news.filter(({ what }) => what === 'not-cosigned')
    expect(failed).toMatchObject([unreachable, unreachable])
    // Which of them: by its address.
    expect(failed).toMatchObject([{ error: { message: expect.stringContaining(`the witness at ${gone.url}`) } }, {}])
    expect(news.at(-1)).toMatchObject({ what: 'below-quorum', cosigned: 1, quorum: 2 })
    expect(await anchored(ledger)).toHaveLength(1)
    await ledger.append([settled()])
    await ledger.close()
  })

  it('is told what could not be read, and has it vouched for and recorded another time', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    const { anchoring, news } = anchoringOf(options, ledger, [await witnessFor(options)])
    const checkpoint = join(options.directory, 'checkpoint')
    const aside = join(options.directory, 'aside')
    const [unreadable, note] = ['-', '_'].map(name => join(options.directory, 'anchors/unrecorded', `${name}.json`))
    renameSync(checkpoint, aside)
    mkdirSync(checkpoint)
    await anchoring.round()
    expect(news).toMatchObject([{ what: 'not-asked', error: expect.anything() }])
    rmSync(checkpoint, { recursive: true })
    renameSync(aside, checkpoint)
    for (const path of [unreadable, note]) mkdirSync(path!, { recursive: true })
    await anchoring.round()
    expect(news.slice(1).map(({ what }) => what)).toEqual(['cosigned', 'not-recorded'])
    expect(await anchored(ledger)).toHaveLength(1)
    await anchoring.stop()
    await ledger.close()
    await anchoring.last()
    expect(news.at(-1)).toMatchObject({ what: 'cosigned' })
  })

  it('gets no cosignature for a second history of the same origin, nor for an older state of its own, and is told which it is', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const witness = await witnessFor(options)
    const ledger = await openDirectoryLedger(options)
    const image = temporaryDirectory()
    await ledger.append([settled()])
    await ledger.close()
    cpSync(options.directory, image, { recursive: true })
    const first = await openDirectoryLedger(options)
    await first.append(Array.from({ length: 10 }, () => settled()))
    await first.publish()
    await anchoringOf(options, first, [witness]).anchoring.round()
    await first.close()

    const copy = { ...options, directory: image }
    const second = await openDirectoryLedger(copy)
    const asked = anchoringOf(copy, second, [witness])
    await asked.anchoring.round()
    expect(asked.news[0]).toMatchObject({ what: 'not-cosigned', error: { code: 'ERR_CHECKPOINT_ROLLBACK' } })
    await second.append(Array.from({ length: 30 }, () => settled()))
    await second.publish()
    await asked.anchoring.round()
    expect(asked.news.filter(({ what }) => what === 'not-cosigned').at(-1)).toMatchObject({
      error: { code: 'ERR_CHECKPOINT_FORK' },
    })
    expect(await anchored(second)).toEqual([])
    await second.close()
  })

  it('records once what another process kept, and drops a note of what is not there', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const { size, root } = await ledger.publish()
    const obtained = { anchor: 'git', by: 'counterfoil/crm/1', size, root, at: Date.now() } as const
    const file = await keepAnchor(options, { ...obtained, bytes: Buffer.from('one') })
    expect(await keepAnchor(options, { ...obtained, bytes: Buffer.from('one') })).toBe(file)
    rmSync(join(options.directory, await keepAnchor(options, { ...obtained, bytes: Buffer.from('two') })))
    expect(await recordAnchors(options, ledger)).toBe(1)
    expect(await recordAnchors(options, ledger)).toBe(0)
    expect(kept(options)).toBe(1)
    expect(await anchored(ledger)).toMatchObject([{ anchor: 'git', by: 'counterfoil/crm/1' }])
    await ledger.close()
  })

  it('is not recorded where nobody with the key noted it, nor where it is of another history', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const { size, root } = await ledger.publish()
    const unrecorded = join(options.directory, 'anchors/unrecorded')
    const of = { anchor: 'timestamp', by: 'tsa.example', size, root, at: Date.UTC(2001, 1) } as const
    const strangers = { ...options, wrappingKey: new Uint8Array(32).fill(9) }
    const refused = async (code: string) => {
      await expect(recordAnchors(options, ledger)).rejects.toMatchObject({ code })
      for (const name of readdirSync(unrecorded)) rmSync(join(unrecorded, name))
    }
    await keepAnchor(strangers, { ...of, bytes: Buffer.from('by a stranger') })
    await refused('ERR_LEDGER_CORRUPT')
    await keepAnchor(options, { ...of, bytes: Buffer.from('noted') })
    for (const name of readdirSync(unrecorded)) {
      const note = readFileSync(join(unrecorded, name), 'utf8')
      writeFileSync(join(unrecorded, name), note.replace('tsa.example', 'tsa.another'))
    }
    await refused('ERR_LEDGER_CORRUPT')
    await keepAnchor(options, { ...of, root: new Uint8Array(32), bytes: Buffer.from('of another history') })
    await refused('ERR_CHECKPOINT_FORK')
    expect(await anchored(ledger)).toEqual([])
    await ledger.close()
  })

  it('is asked for no checkpoint that the ledger did not sign', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await ledger.publish()
    const path = join(options.directory, 'checkpoint')
    const genuine = readFileSync(path, 'utf8')
    await requestFor(options)
    const [origin, size, , ...rest] = genuine.split('\n')
    writeFileSync(path, [origin, size, Buffer.alloc(32).toString('base64'), ...rest].join('\n'))
    await expect(requestFor(options)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_SIGNATURE' })
    writeFileSync(path, genuine)
    await ledger.close()
  })

  it('is not read beyond what an answer may hold, of an authority that goes on and on', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await ledger.publish()
    await ledger.close()
    const endless = createServer((request, response) => {
      request.resume()
      const go = () => {
        while (response.write(Buffer.alloc(100_000)));
      }
      response.on('drain', go)
      go()
    })
    onTestFinished(() => {
      endless.closeAllConnections()
      endless.close()
    })
    const cut = new Promise(resolve => endless.on('connection', socket => socket.on('close', resolve)))
    const { port } = await listenOn(endless, 0, '127.0.0.1')
    await expect(stampBy(options, `http://127.0.0.1:${port}`, [])).rejects.toMatchObject({
      ...{ code: 'ERR_UPSTREAM', message: expect.stringContaining('1000000 bytes') },
    })
    await cut
  })

  it('is written aside above its folder, where a kill leaves nothing that a verifier takes for a forgery', async () => {
    const options = ledgerOptions()
    const file = anchorFile('git', 1, createHash('sha256').update('one').digest('base64url'))
    // Were it written aside there, it could not be now.
    mkdirSync(join(options.directory, `${file}.tmp`), { recursive: true })
    const obtained = { anchor: 'git', by: 'counterfoil/crm/1', size: 1, root: new Uint8Array(32), at: 0 } as const
    expect(await keepAnchor(options, { ...obtained, bytes: Buffer.from('one') })).toBe(file)
  })
})
