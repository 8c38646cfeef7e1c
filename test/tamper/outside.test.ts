/**
 * The rows of the ledger's threats that somebody or something outside answers, named after them: a witness, an anchor,
 * the holder of a bundle, and whoever reads all that an erasure left. `threats.test.ts` has the others.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Verification } from '../../evidence/verify.ts'
import { Anchoring, type AnchorNews } from '../../lib/anchors/anchoring.ts'
import { stampBy, tagIn } from '../../lib/anchors/obtain.ts'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { formatCosignerKey, parseCosignerKey } from '../../lib/format/cosignature.ts'
import { decodeDisclosure } from '../../lib/format/disclosure.ts'
import { parseEntry } from '../../lib/format/entry.ts'
import { checkpointFile, entryBundle, tileFill, tileWidth, vaultBundle } from '../../lib/format/layout.ts'
import { decodeBundle } from '../../lib/format/tile.ts'
import { decodeSealed, openDisclosure, openSlot, slotBytes, wrappingKeyId } from '../../lib/format/vault.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { trimZeros } from '../../lib/ledger/recovery.ts'
import { BundleFixture } from '../evidence/bundle-fixture.ts'
import { type Anchored, anchoredLedger, cosigned, startWitness } from '../support/anchored-ledger.ts'
import { authorities, authority, serveAuthority } from '../support/authority.ts'
import { compiledScript } from '../support/compiled.ts'
import { crashImage, temporaryDirectory } from '../support/directory-ledger.ts'
import { customer, erasableLedger, erasure, session } from '../support/erasable-ledger.ts'
import { interop } from '../support/interop.ts'

const codes = ({ findings }: { findings: readonly { code: string }[] }) => [
  ...new Set(findings.map(({ code }) => code)),
]

/** Another ledger under the same name and keys: what is made of one by whoever holds them. */
const another = ({ options }: Anchored, directory = temporaryDirectory()) => anchoredLedger({ ...options, directory })

/** `counterfoil witness serve`, as its operator starts it. */
async function serveWitness(log: Anchored): Promise<{ url: string; verifierKey: string }> {
  const [folder, { privateKey }] = [temporaryDirectory(), generateKeyPairSync('ed25519')]
  const [name, key] = ['witness.example/w1', join(folder, 'witness.key')]
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const cli = compiledScript(new URL('../../cli/main.ts', import.meta.url))
  const options = [
    '--name',
    name,
    '--key',
    key,
    '--state',
    join(folder, 'state'),
    '--first',
    '--address',
    '127.0.0.1:0',
  ]
  const origin = ['--origin', `${log.options.origin}=${log.vkey}`]
  const args = [cli, 'witness', 'serve', ...options, ...origin]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  onTestFinished(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  })
  for await (const line of createInterface({ input: child.stderr })) {
    const port = /"port":(\d+)/.exec(line)?.[1]
    if (port === undefined) throw new Error(line)
    child.stderr.resume()
    return { url: `http://127.0.0.1:${port}`, verifierKey: formatCosignerKey(name, createPublicKey(privateKey)) }
  }
  throw new Error('the witness ended')
}

describe('fork, split view', () => {
  it('with the log’s keys is detected by one honest witness: it cosigns one view, refuses the other, and says why', async () => {
    const shown = await anchoredLedger()
    const witness = await serveWitness(shown)
    await shown.use(20, ledger => cosigned(shown, ledger, [witness]))
    const kept = temporaryDirectory()
    cpSync(shown.options.directory, kept, { recursive: true })
    const hidden = await another(shown, kept)
    await shown.use(10, ledger => cosigned(shown, ledger, [witness]))
    const news: AnchorNews[] = []
    const places = [{ url: witness.url, cosigner: parseCosignerKey(witness.verifierKey) }]
    await hidden.use(25, async ledger => {
      const given = { place: hidden.options, ledger, witnesses: places, quorum: 1, everyMs: 1e6 }
      await new Anchoring({ ...given, tell: told => news.push(told) }).round()
    })
    expect(news).toMatchObject([
      { what: 'not-cosigned', witness: 'witness.example/w1', error: { code: 'ERR_CHECKPOINT_FORK' } },
      { what: 'below-quorum', cosigned: 0 },
    ])
    // Each view is whole. Of the one that was hidden from it, the witness vouches for what both have in common, and no more.
    const anchors = { witnesses: [witness.verifierKey] }
    const [seen, unseen] = [await shown.verify({ anchors }), await hidden.verify({ anchors })]
    expect([seen.verdict, unseen.verdict]).toEqual(['OK', 'OK'])
    const most = (of: Verification) => Math.max(...of.anchors.map(({ size }) => size))
    expect(most(seen)).toBeGreaterThan(30)
    expect(most(unseen)).toBeLessThan(25)
    expect(unseen.undetectable).toContain(`what was appended after the ${most(unseen)} entries that witness.example/w1`)
    // What the witness signed of the other view is the proof of it.
    cpSync(join(shown.options.directory, 'anchors'), join(kept, 'anchors'), { recursive: true })
    expect(codes(await hidden.verify({ anchors }))).toContain('FORK')
  })
})

describe('rewrite everything', () => {
  it('with the log’s keys is detected by an anchor, a witness: it has cosigned none of it, and another tree', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness([{ origin: made.options.origin, vkey: made.vkey }])
    await made.use(20, ledger => cosigned(made, ledger, [witness]))
    const again = await another(made)
    await again.use(40, ledger => cosigned(again, ledger, [witness]))
    const anchors = { witnesses: [witness.verifierKey] }
    expect(await again.verify()).toMatchObject({ verdict: 'OK' })
    const result = await again.verify({ anchors })
    expect([result.verdict, codes(result)]).toEqual(['INCOMPLETE', ['ANCHOR_ABSENT']])
    cpSync(join(made.options.directory, 'anchors'), join(again.options.directory, 'anchors'), { recursive: true })
    expect(codes(await again.verify({ anchors }))).toContain('FORK')
  })

  interop(
    'openssl',
    'with the log’s keys is detected by an anchor, an RFC 3161 time stamp: there is none, or of another tree',
    async openssl => {
      const tsa = authority(openssl, 'ec')
      const made = await anchoredLedger()
      await made.use(20)
      await stampBy(made.options, await serveAuthority(tsa), authorities(tsa))
      await made.use(1, ledger => cosigned(made, ledger, []))
      const anchors = { authorities: readFileSync(tsa.ca, 'utf8') }
      expect(await made.verify({ anchors })).toMatchObject({ verdict: 'OK', anchors: [{ anchor: 'timestamp' }] })
      const again = await another(made)
      await again.use(40)
      const result = await again.verify({ anchors })
      expect([result.verdict, codes(result)]).toEqual(['INCOMPLETE', ['ANCHOR_ABSENT']])
      cpSync(join(made.options.directory, 'anchors'), join(again.options.directory, 'anchors'), { recursive: true })
      expect(codes(await again.verify({ anchors }))).toContain('FORK')
    },
  )

  interop(
    'git',
    'with the log’s keys is detected by an anchor, a git tag: the repository outside keeps it',
    async git => {
      const made = await anchoredLedger()
      const outside = temporaryDirectory()
      execFileSync(git, ['init', '--quiet', outside])
      await made.use(20)
      await tagIn(made.options, outside)
      expect(await made.verify({ anchors: { git: outside } })).toMatchObject({ verdict: 'OK' })
      const again = await another(made)
      await again.use(40)
      const result = await again.verify({ anchors: { git: outside } })
      expect([result.verdict, codes(result).includes('FORK')]).toEqual(['TAMPERED', true])
    },
  )
})

describe('omit entries from a bundle', () => {
  it('is detected, with or without the keys: all envelopes of the period lead from one checkpoint to the other', async () => {
    const fixture = await BundleFixture.make()
    onTestFinished(fixture.remove)
    const path = 'log/entries.jsonl'
    const entries = fixture.built.files.get(path)!.trimEnd().split('\n')
    const omit = (from: number, count = 1) => `${entries.toSpliced(from, count).join('\n')}\n`
    const directory = await fixture.copy()
    for (const at of [3, entries.length - 1]) {
      writeFileSync(join(directory, path), omit(at))
      const without = await fixture.verify(directory)
      expect([without.verdict, without.findings[0]?.file], `entry ${at}`).toEqual(['TAMPERED', path])
      const forged = await fixture.verify(await fixture.forge(files => files.set(path, omit(at))))
      expect([forged.verdict, codes(forged)], `entry ${at}`).toEqual(['TAMPERED', expect.arrayContaining(['LOG'])])
    }
    // The last entries, and the closing checkpoint replaced by the opening one, which is the ledger's own as well.
    const opening = fixture.built.files.get('log/checkpoint.opening')!
    const emptied = await fixture.forge(files => {
      files.set(path, '').set('log/checkpoint.closing', opening)
    })
    expect((await fixture.verify(emptied)).verdict).toBe('TAMPERED')
  })
})

describe('guess an erased low-entropy value', () => {
  it('is infeasible, with every byte that is left and the vault’s own key: no salt is among them, nor a key that opens one', async () => {
    const { options } = await erasableLedger()
    // Killed while it wrote of the customer: what was torn off is set aside, and holds what was sealed under the customer's key.
    const ledger = await openDirectoryLedger(options)
    const note = { kind: 'event', source: 'crm', event: 'note', level: 'info', subject: customer } as const
    const about = { ...note, disclose: { ssn: '078-05-1120' }, slot: `principal:${customer}` }
    for (let i = 0; i < 2; i += 1) await ledger.append([about])
    const image = crashImage(options)
    await ledger.close()
    const log = join(image.directory, 'wal', readdirSync(join(image.directory, 'wal')).at(-1)!)
    truncateSync(log, trimZeros(readFileSync(log)).length - 5)
    const again = await openDirectoryLedger({ ...image, publishMs: 1e6 })
    await again.publish()

    const boxes = sealedOf(image)
    const before = opened(image, boxes)
    expect([...before.values()].map(text => decodeDisclosure(text).value)).toContain('078-05-1120')
    expect(before.size).toBe(boxes.length)

    const slots = new Set<number>()
    for (const of of [erasure(), erasure({ scope: 'session', of: session })]) {
      for (const { entry } of await again.erase!(of)) {
        if (entry.kind === 'erasure') for (const slot of entry.slots) slots.add(slot)
      }
    }
    const gone = boxes.filter(({ slot }) => slots.has(slot))
    expect(gone.length).toBeGreaterThan(5)
    expect(readdirSync(join(image.directory, 'wal')).some(name => name.startsWith('torn-'))).toBe(true)
    // While it is open, before the next seal, ciphertexts are in the log; nothing opens them.
    expect(opened(image, gone).size).toBe(0)
    await again.close()
    expect(opened(image, gone).size).toBe(0)
    const left = everyByte(image)
    for (const { box } of gone) {
      const { salt, name, value } = decodeDisclosure(before.get(box)!)
      const traces = [Buffer.from(box), Buffer.from(salt), Buffer.from(salt, 'base64url'), Buffer.from(String(value))]
      for (const trace of traces)
        expect(
          left.some(({ all }) => all.includes(trace)),
          name,
        ).toBe(false)
    }
    expect(left.filter(({ path }) => path.includes('/vault/attachments/'))).toEqual([])
  })

  interface Box {
    readonly entry: string
    readonly slot: number
    readonly box: Uint8Array
  }

  /** Every file of a ledger, whole. */
  const everyByte = ({ directory }: DirectoryOptions) =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(({ parentPath, name }) => ({ path: join(parentPath, name), all: readFileSync(join(parentPath, name)) }))

  /** What a published ledger's vault holds, by its bundles. */
  function sealedOf({ directory }: DirectoryOptions): Box[] {
    const { size } = parseCheckpoint(readFileSync(join(directory, checkpointFile)))
    const found: Box[] = []
    for (let n = 0; n * tileWidth < size; n += 1) {
      const width = tileFill(size, 0, n)
      const vault = readFileSync(join(directory, vaultBundle(n, width)))
      let at = 0
      for (const bytes of decodeBundle(readFileSync(join(directory, entryBundle(n, width))), width)) {
        const { sealed, end } = decodeSealed(vault, at)
        for (const each of sealed) found.push({ ...each, entry: parseEntry(bytes).id })
        at = end
      }
    }
    return found
  }

  /** What opens with whatever looks like a wrapped key, at any offset of any file. */
  function opened(options: DirectoryOptions, boxes: readonly Box[]): Map<Uint8Array, string> {
    const head = Buffer.concat([Buffer.of(2), Buffer.from(wrappingKeyId(options.wrappingKey), 'hex')])
    const keys = new Map<number, Uint8Array>()
    for (const { all } of everyByte(options)) {
      for (let at = all.indexOf(head); at !== -1; at = all.indexOf(head, at + 1)) {
        for (const slot of new Set(boxes.map(each => each.slot))) {
          const key = attempt(() =>
            openSlot(options.wrappingKey, options.origin, slot, all.subarray(at, at + slotBytes)),
          )
          if (key !== undefined) keys.set(slot, key)
        }
      }
    }
    const texts = new Map<Uint8Array, string>()
    for (const { box, entry } of boxes) {
      for (const key of keys.values()) {
        const text = attempt(() => openDisclosure(key, options.origin, entry, box))
        if (text !== undefined) texts.set(box, text)
      }
    }
    return texts
  }

  function attempt<T>(open: () => T): T | undefined {
    try {
      return open()
    } catch {
      return undefined
    }
  }
})
