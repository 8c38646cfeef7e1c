/** Recordings that are encrypted to others: who records them, and who has the key of the vault, cannot read them; their readers can. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordings } from '../../evidence/index.ts'
import { encodeAttachmentHead, encodeChunk } from '../../lib/format/attachment.ts'
import { attachmentFile } from '../../lib/format/layout.ts'
import { macKey } from '../../lib/format/mac.ts'
import { keyForReaders } from '../../lib/ledger/attachment.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { decryptWith, generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { readersOf } from '../../lib/sealing.ts'
import { run } from '../support/commands.ts'
import { attachedOf, shownPart } from '../support/cut-recording.ts'
import { allEntries, crashImage } from '../support/directory-ledger.ts'
import {
  copyOf,
  disclosed,
  type Erasable,
  erasableLedger,
  erased,
  erasure,
  session,
  verified,
} from '../support/erasable-ledger.ts'
import { reader } from '../support/reader.ts'

let folder: string
let whole: Erasable
let id: string
let own: Awaited<ReturnType<typeof reader>>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counterfoil-readers-'))
  own = await reader()
  whole = await erasableLedger(join(folder, 'whole'), { readers: own.readers })
  id = (await disclosed(copyOf(whole, join(folder, 'look')))).flatMap(({ entry }) =>
    entry.kind === 'attachment' ? [entry.attachment] : [],
  )[0]!
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const fileOf = ({ options }: Erasable) => join(options.directory, attachmentFile(id))

/** As an auditor does: with a copy of the ledger and a private key, and no key of the vault. */
async function read({ options, key }: Erasable, privateKey: string | undefined, of = id): Promise<string> {
  const trust = { directory: options.directory, fingerprint: key.fingerprint, certificate: key.certificate }
  const mine = privateKey === undefined ? undefined : await readPrivateKey(privateKey)
  const { attachments } = await recordings(trust, of, mine && (message => decryptWith(mine, message)))
  const parts: Buffer[] = []
  for await (const part of attachments[0]!.content()) parts.push(part)
  return Buffer.concat(parts).toString()
}
const codesOf = async (at: Erasable) => {
  const { verdict, findings } = await verified(at)
  return { verdict, codes: findings.map(({ code }) => code) }
}

describe('a recording to others', () => {
  it('is read by them, without the key of the vault, and by nobody else', async () => {
    expect(await read(whole, own.privateKey)).toBe('what was shown')
    await expect(read(whole, undefined)).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
    const { privateKey } = await reader()
    await expect(read(whole, privateKey)).rejects.toMatchObject({ code: 'ERR_DISCLOSURE_MISMATCH' })
  })

  it('is not read by who records it, and nothing in the vault helps to guess it', async () => {
    const at = copyOf(whole)
    const ledger = await openDirectoryLedger(at.options)
    const reading = (async () => {
      for await (const _ of ledger.attachment(id));
    })()
    await expect(reading).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
    await ledger.close()
    const { values } = (await disclosed(at)).find(({ entry }) => entry.kind === 'attachment')!
    expect(Object.keys(values).sort()).toEqual(['sealed', 'sealedTo'])
    expect(values).toMatchObject({ sealedTo: own.readers.fingerprints })
  })

  it('is whole to a verification that cannot open it, and TAMPERED with where any byte of it is another, or it is cut', async () => {
    expect(await codesOf(whole)).toEqual({ verdict: 'OK', codes: [] })
    const bytes = readFileSync(fileOf(whole))
    const at = copyOf(whole)
    for (const place of [0, 9, 13, 40, bytes.length - 70, bytes.length - 40, bytes.length - 1]) {
      const changed = Buffer.from(bytes)
      changed[place]! ^= 1
      writeFileSync(fileOf(at), changed)
      expect({ place, ...(await codesOf(at)) }).toEqual({ place, verdict: 'TAMPERED', codes: ['ATTACHMENT_MISMATCH'] })
    }
    writeFileSync(fileOf(at), bytes.subarray(0, -1))
    expect(await codesOf(at)).toMatchObject({ verdict: 'TAMPERED' })
  })

  it('is held against its entry by who reads it, whatever the vault says of the file', async () => {
    const at = copyOf(whole)
    writeFileSync(fileOf(at), readFileSync(fileOf(at)).subarray(0, -(14 + 28 + 4 + 32)))
    await expect(read(at, own.privateKey)).rejects.toMatchObject({ code: 'ERR_DISCLOSURE_MISMATCH' })
  })

  it('is erased with its session: its ciphertext is deleted, and the entry says so', async () => {
    const at = await erased(copyOf(whole), erasure({ scope: 'session', of: session }))
    expect(existsSync(fileOf(at))).toBe(false)
    const { verdict, findings, steps } = await verified(at)
    expect({ verdict, findings }).toEqual({ verdict: 'OK', findings: [] })
    expect(steps.find(({ name }) => name === 'disclosures')?.detail).toMatch(/and 1 attachment are ERASED \(by #\d+\)/)
    // Its reader has no key of the vault, and is told by what stands in clear.
    await expect(read(at, own.privateKey)).rejects.toMatchObject({
      message: expect.stringMatching(/^erased by entry #\d+, ground art-17$/),
    })
  })

  it('that a crash cut is kept to its last whole chunk by who cannot open it, and read so', async () => {
    const at = copyOf(whole)
    const ledger = await openDirectoryLedger(at.options)
    const writer = await ledger.attach(attachedOf)
    for (let i = 0; i < 5; i += 1) await writer.write(shownPart(i))
    const cut = { ...at, options: crashImage(at.options) }
    await writer.close()
    await ledger.close()
    const again = await openDirectoryLedger(cut.options)
    const said = (await allEntries(again)).flatMap(({ entry }) => (entry.kind === 'attachment-cut' ? [entry] : []))
    await again.close()
    expect(said).toMatchObject([{ attachment: writer.id, chunks: 2 }])
    expect(await codesOf(cut)).toEqual({ verdict: 'OK', codes: [] })
    const all = Buffer.concat(Array.from({ length: 5 }, (_, i) => shownPart(i))).toString()
    expect(await read(cut, own.privateKey, writer.id)).toBe(all.slice(0, 2 * 65_536))
    // Anybody can encrypt to them: of as many bytes, to the same readers, by who knows their certificate alone.
    const { origin } = cut.options
    const anyMac = macKey(Buffer.alloc(32), origin, 'chunk')
    const { key, message } = await keyForReaders(own.readers, { origin, id: writer.id })
    const parts = [0, 1].map(i => encodeChunk({ origin, id: writer.id, key }, i, Buffer.alloc(65_536, 'x'), anyMac))
    const head = encodeAttachmentHead(said[0]!.under!, message)
    writeFileSync(join(cut.options.directory, attachmentFile(writer.id)), Buffer.concat([head, ...parts]))
    await expect(read(cut, own.privateKey, writer.id)).rejects.toMatchObject({ code: 'ERR_DISCLOSURE_MISMATCH' })
    const [mine, out] = [join(folder, 'mine.asc'), join(folder, 'out.cast')]
    writeFileSync(mine, own.privateKey)
    const copy = ['--ledger', cut.options.directory, '--fingerprint', at.key.fingerprint]
    const written = run('replay', writer.id, ...copy, '--key', mine, '--out', out)
    await expect(written).rejects.toMatchObject({ code: 'ERR_DISCLOSURE_MISMATCH' })
    expect(existsSync(out)).toBe(false)
  })
})

it('nothing is encrypted to what is no certificate, or one that has no key for that', async () => {
  const wrong = { code: 'ERR_OPTION_INVALID' }
  await expect(readersOf(['nothing'])).rejects.toMatchObject(wrong)
  await expect(readersOf([own.privateKey])).rejects.toMatchObject(wrong)
  // A seal key signs, and has no encryption subkey.
  await expect(readersOf([(await generateKey({ name: 'seal' })).certificate])).rejects.toMatchObject(wrong)
})
