/** A ledger read from an address: as from its directory, whatever the server does, and from a pin without reading what is before it. */
import { createPublicKey, randomBytes } from 'node:crypto'
import { cpSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { formatPin, readPin } from '../../evidence/pin.ts'
import { proveEntry } from '../../evidence/prove.ts'
import { type VerifyOptions, verifyLedger } from '../../evidence/verify.ts'
import { checkpointBody, formatCheckpoint } from '../../lib/format/checkpoint.ts'
import { encodeEntry } from '../../lib/format/entry.ts'
import { certificateFile, checkpointFile, entryBundle, hashTile, tileFill, tileWidth } from '../../lib/format/layout.ts'
import { Frontier, type Hash, leafHash, nodeHash } from '../../lib/format/merkle.ts'
import { signNote } from '../../lib/format/note.ts'
import { encodeBundle } from '../../lib/format/tile.ts'
import { testCertificate as ca, testKey as key } from '../config/tls.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'

let scratch: string
let directory: string
let builder: LedgerBuilder
const servers: Server[] = []

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'address-'))
  directory = join(scratch, 'ledger')
  builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
  for (let i = 0; i < 600; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
  await builder.write(directory, { vault: false })
})
afterAll(() => rm(scratch, { recursive: true, force: true }))
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

/** @returns its address */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer({ key, cert: ca }, listener)
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, 'localhost', resolve))
  return `https://localhost:${(server.address() as AddressInfo).port}`
}

const fileAt = (folder: string, url = '') => join(folder, decodeURIComponent(url))

const statically =
  (folder: string, asked: string[] = []): RequestListener =>
  (request, response) => {
    asked.push(request.url!)
    const file = fileAt(folder, request.url)
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end()
    response.end(readFileSync(file))
  }

const given = (where: string, more: Partial<VerifyOptions> = {}): VerifyOptions => ({
  directory: where,
  fingerprint: builder.fingerprint,
  certificate: builder.keys.seal.certificate,
  now: Date.parse('2027-01-01T00:00:00Z'),
  ca,
  ...more,
})
const verify = (where: string, more?: Partial<VerifyOptions>) => verifyLedger(given(where, more))
const codes = ({ findings }: { findings: readonly { code: string }[] }) => findings.map(({ code }) => code)

describe('at an https address', () => {
  it('a ledger has the verdict that its directory has', async () => {
    const address = await serve(statically(directory))
    const result = await verify(address)
    expect(result).toMatchObject({ verdict: 'OK', findings: [], size: 602, seal: { size: 602 } })
    const tampered = await verify(
      await serve((request, response) => {
        const bytes = existsSync(fileAt(directory, request.url))
          ? readFileSync(fileAt(directory, request.url))
          : undefined
        if (bytes !== undefined && request.url === '/tile/entries/001') bytes[100]! ^= 1
        response.writeHead(bytes === undefined ? 404 : 200).end(bytes)
      }),
    )
    expect(tampered.verdict).toBe('TAMPERED')
    expect(tampered.findings[0]).toMatchObject({ code: 'ENTRY_ALTERED', file: 'tile/entries/001' })
  })

  it('a certificate that nobody vouches for, and a server that is not there, tell nothing of the ledger', async () => {
    const address = await serve(statically(directory))
    const { ca: _, ...untrusting } = given(address)
    for (const result of [await verifyLedger(untrusting), await verify('https://localhost:1')]) {
      expect([result.verdict, codes(result)]).toEqual(['INCOMPLETE', ['LEDGER_UNREACHABLE']])
    }
  })

  it('of which somebody serves entries for ever is given up, and an honest one is not', async () => {
    const asked: string[] = []
    const endless: RequestListener = (request, response) => {
      if (request.url === '/checkpoint') {
        return response.end(readFileSync(join(directory, checkpointFile), 'utf8').replace('\n602\n', `\n${1e15}\n`))
      }
      const isEntries = request.url!.startsWith('/tile/entries/')
      const url = isEntries && request.url !== '/tile/entries/000' ? '/tile/entries/001' : request.url
      return statically(directory, asked)({ ...request, url } as typeof request, response)
    }
    const { verdict, findings } = await verify(await serve(endless), { search: 25_600 })
    expect([verdict, findings.map(({ code }) => code)]).toEqual(['INCOMPLETE', ['KEY_UNPROVEN']])
    expect(asked.length).toBeGreaterThan(100)
    expect(asked.length).toBeLessThan(200)
    expect((await verify(await serve(statically(directory)), { search: 256 })).verdict).toBe('OK')
  })

  it('is not read, like any that is larger than anybody whom it knows has signed', async () => {
    const large = join(scratch, 'large')
    cpSync(directory, large, { recursive: true })
    const checkpoint = join(large, checkpointFile)
    writeFileSync(checkpoint, readFileSync(checkpoint, 'utf8').replace('\n602\n', `\n${2 ** 24 + 1}\n`))
    const { verdict, findings, steps } = await verify(large)
    expect([verdict, findings.map(({ code }) => code)]).toEqual(['TAMPERED', ['CHECKPOINT_SIGNATURE']])
    expect(steps.find(({ name }) => name === 'tree')?.detail).toContain('16777217 are not read')
  })

  it('is https, but for loopback, and carries no password', async () => {
    for (const address of ['http://ledger.example/', 'https://user:secret@localhost/', 'https://localhost/?a=b']) {
      await expect(verify(address)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    }
    await expect(verify('https://localhost/', { wrappingKey: randomBytes(32) })).rejects.toThrow('directory')
  })

  it('what a server does is no verdict on the ledger: errors, redirects, connections cut', async () => {
    const misbehave =
      (bad: RequestListener): RequestListener =>
      (request, response) =>
        request.url === '/tile/entries/001' ? bad(request, response) : statically(directory)(request, response)
    const bads: RequestListener[] = [
      (_, response) => response.writeHead(500).end(),
      (_, response) => response.writeHead(403).end(),
      (_, response) => response.writeHead(302, { location: 'https://elsewhere.example/tile' }).end(),
      (_, response) => response.destroy(),
      (_, response) => response.writeHead(200, { 'content-length': '100000' }).write('cut', () => response.destroy()),
    ]
    for (const bad of bads) {
      const result = await verify(await serve(misbehave(bad)))
      // What was not read is missing from the counters too; nothing says that it was altered.
      expect([result.verdict, codes(result)[0]]).toEqual(['INCOMPLETE', 'LEDGER_UNREACHABLE'])
    }
  })

  it('bodies without an end, or said to be long, are read no further than a file may be long', async () => {
    const endless: RequestListener = (_, response) => {
      const more = () => {
        while (response.write(Buffer.alloc(65536)));
      }
      response.on('drain', more)
      more()
    }
    const long: RequestListener = (_, response) =>
      response.writeHead(200, { 'content-length': String(2 ** 40) }).write('x')
    for (const bad of [endless, long]) {
      for (const place of ['/checkpoint', '/tile/0/001']) {
        const result = await verify(
          await serve((request, response) => (request.url === place ? bad : statically(directory))(request, response)),
        )
        expect(result.verdict, place).toBe('TAMPERED')
        expect(result.findings[0]?.what).toContain('is larger than')
      }
    }
  })
})

describe('from a pin', () => {
  it('only what came after it is read, and findings there are told', async () => {
    const [grown, pin] = [join(scratch, 'grown'), join(scratch, 'pin.json')]
    await builder.write(grown, { size: 300, seals: [300], vault: false })
    expect(await verify(grown, { pin, first: true })).toMatchObject({ verdict: 'OK', from: 0 })
    await builder.write(grown, { size: 590, seals: [300, 590], vault: false })
    const kept = await readFile(pin)
    const went = await verify(grown, { pin, incremental: true })
    expect(went).toMatchObject({ verdict: 'OK', findings: [], from: 300, size: 590 })
    expect(went.undetectable).toContain('Entries before 300 were not read')
    expect(await readPin(pin)).toMatchObject({ size: 590, whole: '2027-01-01T00:00:00.000Z' })
    // A counter that jumps, right behind the pin: the state of the writer came with it.
    const silent = await new LedgerBuilder({ keys: builder.keys }).open()
    for (let i = 0; i < 300; i += 1)
      silent.add('heartbeat', { open: 0, interval: 60 }, {}, i === 298 ? { seq: 900 } : {})
    for (let i = 0; i < 300; i += 1) silent.replace(i, builder.entries[i]!)
    await writeFile(pin, kept)
    await silent.write(grown, { seals: [300], vault: false })
    const gap = await verify(grown, { pin, incremental: true })
    expect(codes(gap)).toEqual(['SEQUENCE_GAP', 'SEQUENCE_REPEATED'])
    expect(gap.verdict).toBe('INCOMPLETE')
    // History before the pin rewritten: a fork, though none of it is read.
    await writeFile(pin, kept)
    silent.replace(5, Buffer.from(silent.entries[5]!.toString().replace('"open":0', '"open":1')))
    await silent.write(grown, { vault: false })
    const forked = await verify(grown, { pin, incremental: true })
    expect([forked.verdict, codes(forked)[0]]).toEqual(['TAMPERED', 'FORK'])
  })

  it('a pin that kept no state is gone on from in full', async () => {
    const [grown, pin] = [join(scratch, 'old-pin'), join(scratch, 'old.json')]
    await builder.write(grown, { vault: false })
    await verify(grown, { pin, first: true })
    const { state: _, whole: __, ...old } = (await readPin(pin))!
    await writeFile(pin, formatPin(old))
    expect(await verify(grown, { pin, incremental: true })).toMatchObject({ verdict: 'OK', from: 0 })
  })

  it('of a hundred million entries, as many files are read as the tree is high', async () => {
    const sparse = join(scratch, 'sparse')
    const [before, after] = [100_000_000, 100_000_300]
    const root = await writeEdge(sparse, before, after)
    const pin = join(scratch, 'sparse.json')
    const { origin, fingerprint } = builder
    const writer = { name: 'gateway-1', seq: before, time: '2026-07-01T00:00:00.000Z', interval: 60, stopped: false }
    const state = { greatest: '', open: [], writers: [writer], taken: [], keys: [] }
    const time = '2026-07-01T00:00:01.000Z'
    await writeFile(pin, formatPin({ origin, size: before, root, fingerprint, time, whole: time, state }))
    const asked: string[] = []
    const result = await verify(await serve(statically(sparse, asked)), { pin, incremental: true })
    expect(result).toMatchObject({ verdict: 'OK', findings: [], from: before, size: after })
    expect(new Set(asked).size).toBeLessThan(24)
  })
})

/** A ledger of which only the right edge exists, and entry 0: what is before stands there as hashes that anybody could have made up. */
async function writeEdge(folder: string, before: number, after: number): Promise<Hash> {
  const put = async (path: string, bytes: Uint8Array | string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), bytes)
  }
  const edge = await new LedgerBuilder({ keys: builder.keys }).open()
  await put(entryBundle(0), encodeBundle([...edge.entries, ...Array<Buffer>(254).fill(edge.entries[1]!)]))
  const first = Math.floor(before / tileWidth) * tileWidth
  // The hashes of each tile on the edge, at the tree of `first` entries.
  const rows: Buffer[][] = []
  for (let level = 1; first / tileWidth ** level >= 1; level += 1) {
    const width = Math.floor(first / tileWidth ** level) % tileWidth
    rows[level] = Array.from({ length: width }, () => randomBytes(32))
  }
  const frontier = new Frontier()
  for (let level = rows.length - 1; level >= 1; level -= 1) {
    let left = rows[level]!
    for (let bit = 7; bit >= 0; bit -= 1) {
      if ((rows[level]!.length & (2 ** bit)) === 0) continue
      let row = left.slice(0, 2 ** bit) as Hash[]
      left = left.slice(2 ** bit)
      while (row.length > 1)
        row = Array.from({ length: row.length / 2 }, (_, i) => nodeHash(row[2 * i]!, row[2 * i + 1]!))
      frontier.appendSubtree(level * 8 + bit, row[0]!)
    }
  }
  let pinned: Hash | undefined
  const heartbeat = edge.add('heartbeat', { open: 0, interval: 60 })
  const leaves: Buffer[] = []
  const entries = Array.from({ length: after - first }, (_, i) => {
    const index = first + i
    const at = Date.parse('2026-07-01T00:00:00Z') + Math.max(0, index - before)
    const id = edge.uuid()
    return encodeEntry({ ...heartbeat.entry, id, seq: index + 1, time: new Date(at).toISOString() })
  })
  for (const [i, entry] of entries.entries()) {
    if (first + i === before) pinned = frontier.root()
    leaves.push(Buffer.from(leafHash(entry)))
    frontier.append(leafHash(entry), (level, _, hash) => {
      if (level > 0 && level % 8 === 0) rows[level / 8]!.push(Buffer.from(hash))
    })
  }
  for (let at = 0; at < entries.length; at += tileWidth) {
    const n = (first + at) / tileWidth
    const width = tileFill(after, 0, n)
    await put(entryBundle(n, width), encodeBundle(entries.slice(at, at + width)))
    await put(hashTile(0, n, width), Buffer.concat(leaves.slice(at, at + width)))
  }
  for (const [level, hashes] of rows.entries()) {
    if (hashes === undefined) continue
    const n = Math.floor(Math.floor(after / tileWidth ** level) / tileWidth)
    await put(hashTile(level, n, hashes.length), Buffer.concat(hashes))
  }
  const checkpoint = { origin: builder.origin, size: after, root: frontier.root() }
  const text = checkpointBody(checkpoint)
  const { note: noteKey } = builder.keys
  const signature = signNote(text, builder.origin, noteKey, createPublicKey(noteKey))
  await put(checkpointFile, formatCheckpoint({ ...checkpoint, note: { text, signatures: [signature] } }))
  await put(certificateFile, builder.keys.seal.certificate)
  return pinned!
}

it('proves an entry from an address as from its directory, against a seal too', async () => {
  const address = await serve(statically(directory))
  for (const asked of [{ entry: 300 }, { entry: 17, size: 602 }]) {
    expect(await proveEntry({ directory: address, ca, ...asked })).toEqual(await proveEntry({ directory, ...asked }))
  }
  await expect(proveEntry({ directory: address, ca, entry: 1, size: 5 })).rejects.toThrow(/cannot be listed/)
})
