/** Go's own transparency-log library authenticates every leaf of the ledgers that we write. */
import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { formatCheckpoint, parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { noteKeyOf, signCheckpoint } from '../../lib/ledger/checkpoint.ts'
import { openDirectoryLedger, openForKeys } from '../../lib/ledger/directory.ts'
import { replaceFiles } from '../../lib/ledger/files.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { Recent, tilesBetween } from '../../lib/ledger/recent.ts'
import { keyHistory, rotationDraft } from '../../lib/ledger/rotation.ts'
import { Scribe } from '../../lib/ledger/scribe.ts'
import { openpgpSealer, type Sealer } from '../../lib/ledger/sealer.ts'
import { Tree } from '../../lib/ledger/tree.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { anchoredLedger, cosigned, startWitness } from '../support/anchored-ledger.ts'
import { ledgerOptions, settled } from '../support/directory-ledger.ts'
import { findTool, interop, interopRequired } from '../support/interop.ts'

const source = fileURLToPath(new URL('go', import.meta.url))
/** Where Debian's golang-golang-x-mod-dev puts the library: then no module is fetched. */
const debian = '/usr/share/gocode'
const folder = mkdtempSync(join(tmpdir(), 'counterfoil-go-'))
const program = join(folder, 'verify')

function build(go: string): void {
  const fromDebian = existsSync(join(debian, 'src/golang.org/x/mod/sumdb/tlog'))
  const modules = fromDebian ? { GO111MODULE: 'off', GOPATH: debian } : { GO111MODULE: 'on', GOFLAGS: '-mod=readonly' }
  execFileSync(go, ['build', '-o', program, '.'], {
    cwd: source,
    env: {
      ...process.env,
      ...modules,
      GOCACHE: process.env.GOCACHE ?? join(tmpdir(), 'counterfoil-go-cache'),
      PATH: `${dirname(go)}${delimiter}${process.env.PATH ?? ''}`,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
}

/** Go is there and the library cannot be had: as good as not installed. */
function cannotBuild(): boolean {
  const go = findTool('go')
  if (go === undefined) return false
  try {
    build(go)
    return false
  } catch (error) {
    if (interopRequired()) throw error
    return true
  }
}

const withGo = cannotBuild()
  ? (title: string, _: () => Promise<void>) =>
      it.skip(`${title} (skipped: golang.org/x/mod not to be had)`, () => undefined)
  : (title: string, test: () => Promise<void>) => interop('go', title, test)

/** @returns what Go says of the ledger */
function judge({ directory, noteKey, origin }: DirectoryOptions): string {
  const { stdout, stderr } = spawnSync(program, [noteKeyOf(noteKey, origin).verifierKey, directory])
  return `${stdout}${stderr}`.trim()
}

/** @returns what Go says of one note, with one key */
function openNote(key: string, file: string): string {
  const { stdout, stderr } = spawnSync(program, ['note', key, file])
  return `${stdout}${stderr}`.trim()
}

/** A ledger of exactly `size` entries, as published while it is open. */
async function published(size: number, sealer?: Sealer): Promise<DirectoryOptions> {
  const options = ledgerOptions({ publishMs: 1e6, ...(sealer === undefined ? {} : { sealer }) })
  const ledger = await openDirectoryLedger(options)
  if (size > ledger.size) await ledger.append(Array.from({ length: size - ledger.size }, () => settled()))
  expect(await ledger.publish()).toMatchObject({ size })
  const judged = judge(options)
  await ledger.close()
  expect(judged).toBe(`${size} leaves`)
  return options
}

describe('golang.org/x/mod/sumdb', () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  withGo('authenticates the one leaf of a ledger of 1 entry', async () => {
    const options = ledgerOptions()
    const { origin, writer, noteKey, directory } = options
    const key = noteKeyOf(noteKey, origin)
    const scribe = new Scribe({
      origin,
      writer,
      clock: systemClock,
      seq: 0,
      slot: () => ({ slot: 0, key: new Uint8Array(32) }),
    })
    const [recent, tree] = [new Recent(0), new Tree()]
    const items = scribe.prepare([{ kind: 'opened', origin, format: 1, noteKey: key.verifierKey }])
    recent.add(items)
    for (const { leaf } of items) tree.append(leaf)
    await replaceFiles(directory, tilesBetween(0, 1, { recent, tree, strays: false }).open)
    const checkpoint = formatCheckpoint(signCheckpoint({ origin, size: 1, root: tree.root() }, key))
    await replaceFiles(directory, [['checkpoint', checkpoint]])
    expect(judge(options)).toBe('1 leaves')
  })

  for (const size of [2, 255, 256, 257, 70_000]) {
    withGo(`authenticates every leaf of a ledger of ${size} entries`, async () => {
      await published(size)
    })
  }

  withGo('authenticates what carries an OpenPGP signature too, closed and opened again', async () => {
    const { privateKey } = await generateKey({ name: 'Ledger' })
    const options = await published(300, openpgpSealer(await readPrivateKey(privateKey)))
    expect(parseCheckpoint(readFileSync(join(options.directory, 'checkpoint'))).note.signatures).toHaveLength(2)
    expect(judge(options)).toBe('301 leaves')
    await (await openDirectoryLedger(options)).close()
    expect(judge(options)).toBe('303 leaves')
  })

  withGo(
    'authenticates a ledger whose note key was rotated by the new key, and the seal between them by either',
    async () => {
      const { privateKey } = await generateKey({ name: 'Ledger' })
      const options = ledgerOptions({ sealer: openpgpSealer(await readPrivateKey(privateKey)), publishMs: 1e6 })
      const { origin, directory } = options
      const before = { noteKey: noteKeyOf(options.noteKey, origin), sealer: options.sealer! }
      const next = generateKeyPairSync('ed25519').privateKey
      const after = { ...before, noteKey: noteKeyOf(next, origin) }
      const ledger = await openForKeys(options)
      await ledger.append(Array.from({ length: 300 }, () => settled()))
      const history = await keyHistory(ledger.entries())
      const { size } = await ledger.rotate([await rotationDraft({ origin, history, before, after })], after)
      await ledger.append([settled()])
      await ledger.close()
      const [old, own] = [before.noteKey.verifierKey, after.noteKey.verifierKey]
      const between = join(directory, `checkpoint.d/${size}`)
      expect([openNote(old, between), openNote(own, between)]).toEqual(Array(2).fill(`signed by ${origin}: ${size}`))
      expect(judge({ ...options, noteKey: next })).toBe(`${size + 2} leaves`)
      expect(judge(options)).toContain('no verifiable signatures')
    },
  )

  withGo('verifies the cosignature of a witness, and refuses it over another time or text', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness([{ origin: made.options.origin, vkey: made.vkey }])
    await made.use(5, ledger => cosigned(made, ledger, [witness]))
    const anchors = join(made.options.directory, 'anchors')
    const name = readdirSync(anchors, { recursive: true, encoding: 'utf8' }).find(file => file.endsWith('.note'))!
    const text = readFileSync(join(anchors, name), 'utf8')
    const { size } = parseCheckpoint(Buffer.from(text))
    expect(openNote(witness.verifierKey, join(anchors, name))).toBe(`signed by witness.example/w1: ${size}`)
    expect(openNote(made.vkey, join(anchors, name))).toBe(`signed by ${made.options.origin}: ${size}`)
    const altered = join(folder, 'altered.note')
    const line = text.trimEnd().split('\n').at(-1)!
    const signature = Buffer.from(line.split(' ')[2]!, 'base64')
    signature[11]! ^= 1
    const [later, larger] = [
      text.replace(line.split(' ')[2]!, signature.toString('base64')),
      text.replace(`\n${size}\n`, `\n${size + 1}\n`),
    ]
    for (const other of [later, larger]) {
      writeFileSync(altered, other)
      expect(openNote(witness.verifierKey, altered)).toContain('invalid signature')
    }
  })

  withGo('refuses one changed byte of an entry, of a tile and of the checkpoint', async () => {
    const options = await published(300)
    for (const file of ['tile/entries/000', 'tile/0/000', 'checkpoint']) {
      const path = join(options.directory, file)
      const original = readFileSync(path)
      const altered = Buffer.from(original)
      const at = file === 'checkpoint' ? altered.indexOf('\n') + 1 : 1000
      altered[at]! ^= 1
      writeFileSync(path, altered)
      expect(judge(options), file).not.toBe('301 leaves')
      writeFileSync(path, original)
    }
    expect(judge(options)).toBe('301 leaves')
  })
})
