/**
 * A recording whose writer is killed: what is left of it is told, and committed to; of one
 * whose end is committed to nothing may be missing.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordings } from '../../evidence/index.ts'
import { attachingFolder, attachmentFile } from '../../lib/format/layout.ts'
import { decodeEvents } from '../../lib/format/timeline.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { compiledScript } from '../support/compiled.ts'
import { attachedOf, shownPart } from '../support/cut-recording.ts'
import { allEntries, ledgerOptions } from '../support/directory-ledger.ts'
import { copyOf, type Erasable, erasure, session, verified } from '../support/erasable-ledger.ts'

const script = compiledScript(new URL('children/attach.ts', import.meta.url))
const parts = 5
let folder: string
/** As the kill left it. */
let killed: Erasable
let id: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counterfoil-cut-'))
  const sealKey = (await generateKey({ name: 'seal' })).privateKey
  const key = await readPrivateKey(sealKey)
  const options = ledgerOptions({ directory: join(folder, 'killed'), sealer: openpgpSealer(key) })
  killed = { options, sealKey, key }
  const note = options.noteKey.export({ type: 'pkcs8', format: 'pem' })
  const settings = JSON.stringify({ directory: options.directory, note, seal: sealKey, parts })
  const child = spawn(process.execPath, [script, settings], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  id = String(line).trim()
  child.kill('SIGKILL')
  await once(child, 'exit')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const fileOf = ({ options }: Erasable) => join(options.directory, attachmentFile(id))

/** Opened again, and closed. @returns where each of what an opening says stands, and what it says of the recording */
async function reopened(at: Erasable) {
  const ledger = await openDirectoryLedger(at.options)
  const entries = await allEntries(ledger)
  await ledger.close()
  const recovered = entries.find(({ entry }) => entry.kind === 'recovered')!.index
  const cuts = entries.flatMap(({ index, entry }) => (entry.kind === 'attachment-cut' ? [{ index, entry }] : []))
  return { recovered, cuts, directory: at.options.directory }
}
const detailOf = async (at: Erasable) => {
  const { verdict, findings, steps } = await verified(at)
  const codes = findings.map(({ code }) => code)
  return { verdict, codes, detail: steps.map(({ detail }) => detail).join('\n') }
}
async function replayed({ options, key }: Erasable) {
  const trust = { fingerprint: key.fingerprint, certificate: key.certificate, wrappingKey: options.wrappingKey }
  const { attachments } = await recordings({ directory: options.directory, ...trust }, id)
  const shown: string[] = []
  for await (const { bytes } of decodeEvents(attachments[0]!.content(), false))
    shown.push(Buffer.from(bytes).toString())
  return { shown, cut: attachments[0]!.cut }
}
const all = Array.from({ length: parts }, (_, i) => shownPart(i).subarray(15).toString())

describe('a recording that a kill cuts', () => {
  it('is told to be complete to a chunk, by which crash, and is no finding; what was whole of it is shown', async () => {
    const at = copyOf(killed)
    expect(readdirSync(join(at.options.directory, attachingFolder))).toEqual([id])
    const { recovered, cuts } = await reopened(at)
    const bytes = Math.floor(Buffer.concat(all.map((_, i) => shownPart(i))).length / 65_536) * 65_536
    expect(cuts).toEqual([
      { index: recovered + 1, entry: expect.objectContaining({ ...attachedOf.of, bytes, chunks: bytes / 65_536 }) },
    ])
    const told = `#${recovered + 1}, complete to chunk ${bytes / 65_536}, cut by a crash at entry #${recovered}`
    expect(await detailOf(at)).toEqual({ verdict: 'OK', codes: [], detail: expect.stringContaining(told) })
    const { shown, cut } = await replayed(at)
    expect(shown).toEqual(all.slice(0, shown.length))
    expect(shown.length).toBeGreaterThan(1)
    expect(cut).toEqual({ index: recovered + 1, chunks: bytes / 65_536, recovered })
    // It is said once, and the note of it is gone.
    expect(readdirSync(join(at.options.directory, attachingFolder))).toEqual([])
    expect((await reopened(at)).cuts).toHaveLength(1)
  })

  it('is kept to its last whole chunk wherever it is cut, or torn', async () => {
    const { size } = statSync(fileOf(killed))
    const cases = [
      [0, 0],
      [5, 0],
      [13, 0],
      [65_600, 1],
      [size - 1, 1],
      [size, 1],
    ] as const
    for (const [length, chunks] of cases) {
      const at = copyOf(killed)
      truncateSync(fileOf(at), length)
      // Of the last bytes the system may have kept the length alone.
      if (length === size) writeFileSync(fileOf(at), readFileSync(fileOf(at)).fill(0, size - 1000))
      const { cuts } = await reopened(at)
      expect({ length, chunks: cuts[0]!.entry.chunks }).toEqual({ length, chunks })
      expect(existsSync(fileOf(at))).toBe(chunks > 0)
      expect(await detailOf(at)).toMatchObject({ verdict: 'OK', codes: [] })
      expect((await replayed(at)).shown.length).toBeLessThanOrEqual(chunks * 2)
    }
  })

  it('is TAMPERED with where anything of what was left is altered or cut afterwards, and where it is taken away', async () => {
    const at = copyOf(killed)
    await reopened(at)
    const { length } = readFileSync(fileOf(at))
    for (const cut of [length - 1, 65_536 + 12 + 4 + 28, 12]) {
      const shorter = copyOf(at)
      truncateSync(fileOf(shorter), cut)
      expect(await detailOf(shorter)).toMatchObject({ verdict: 'TAMPERED', codes: ['ATTACHMENT_MISMATCH'] })
    }
    rmSync(fileOf(at))
    expect(await detailOf(at)).toMatchObject({ verdict: 'TAMPERED', codes: ['ATTACHMENT_MISSING'] })
  })

  it('is erased with its session', async () => {
    const at = copyOf(killed)
    const { cuts } = await reopened(at)
    const ledger = await openDirectoryLedger(at.options)
    const person = (subject: string) => ({ kind: 'principal', subject, type: 'person' }) as const
    const { by, approvers } = erasure()
    await ledger.append([person(by), person(approvers[0]!)])
    const [stored] = await ledger.erase!(erasure({ scope: 'session', of: session }))
    await ledger.close()
    expect(stored!.entry).toMatchObject({ kind: 'erasure', slots: expect.arrayContaining([cuts[0]!.entry.under]) })
    expect(existsSync(fileOf(at))).toBe(false)
    expect(await detailOf(at)).toMatchObject({
      verdict: 'OK',
      codes: [],
      detail: expect.stringContaining(`ERASED (by #${stored!.index})`),
    })
    await expect(replayed(at)).rejects.toMatchObject({ message: `erased by entry #${stored!.index}, ground art-17` })
  })
})

it('a recording whose end is committed to is TAMPERED with where it is cut, crash or no crash', async () => {
  const at = copyOf(killed)
  const ledger = await openDirectoryLedger(at.options)
  const writer = await ledger.attach(attachedOf)
  for (let i = 0; i < parts; i += 1) await writer.write(shownPart(i))
  const { id: attachment, salt, ...closed } = await writer.close()
  const { of, slot } = attachedOf
  await ledger.append([{ kind: 'attachment', attachment, ...of, ...closed, disclose: { contentSalt: salt }, slot }])
  // A crash after that: the note of it may be there still.
  const crashed = copyOf(at)
  await ledger.close()
  truncateSync(join(crashed.options.directory, attachmentFile(attachment)), 12 + 65_536 + 4 + 28)
  const { cuts } = await reopened(crashed)
  expect(cuts.map(({ entry }) => entry.attachment)).toEqual([id])
  expect(await detailOf(crashed)).toMatchObject({ verdict: 'TAMPERED', codes: ['ATTACHMENT_MISMATCH'] })
  expect(await detailOf(at)).toMatchObject({ verdict: 'OK', codes: [] })
})
