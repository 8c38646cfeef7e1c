/** What every store behind the Ledger port must do. A store of your own passes it by `ledgerConformance('name', open)`. */
import { describe, expect, it } from 'vitest'
import { isOurs } from '../../lib/errors.ts'
import { canonical, type Json } from '../../lib/format/canonical.ts'
import { commitment } from '../../lib/format/disclosure.ts'
import { encodeEntry, parseEntry } from '../../lib/format/entry.ts'
import { Frontier, leafHash } from '../../lib/format/merkle.ts'
import type { Draft, Ledger, Stored } from '../../lib/ledger/ledger.ts'
import { allEntries, decision, exchangeId, kindsOf, settled } from '../support/directory-ledger.ts'

/** @param open a new, empty ledger; the suite closes it */
export function ledgerConformance(name: string, open: () => Promise<Ledger>): void {
  const withLedger = (title: string, test: (ledger: Ledger) => Promise<void>) =>
    it(title, async () => {
      const ledger = await open()
      try {
        await test(ledger)
      } finally {
        await ledger.close()
      }
    })

  describe(`${name} as a ledger`, () => {
    withLedger('opens with entry 0, which names origin and note key, and with started', async ledger => {
      const [first, second] = await allEntries(ledger)
      expect(first).toMatchObject({ index: 0, entry: { kind: 'opened', origin: ledger.origin, format: 1 } })
      expect(second).toMatchObject({ index: 1, entry: { kind: 'started' } })
    })

    withLedger('gives back what was appended, in order, adjacent, and as strict entries', async ledger => {
      const drafts = [settled(), decision(), settled()]
      const begun = ledger.size
      const stored = await ledger.append(drafts)
      expect(stored.map(({ index }) => index)).toEqual([begun, begun + 1, begun + 2])
      const read = await allEntries(ledger, begun)
      expect(read).toEqual(stored)
      for (const { entry } of read) expect(parseEntry(encodeEntry(entry))).toEqual(entry)
      expect(ledger.size).toBe(begun + 3)
    })

    withLedger('numbers a writer without gaps, whatever was refused between', async ledger => {
      await ledger.append([settled()])
      await expect(ledger.append([settled(), { ...settled(), result: 'maybe' } as unknown as Draft])).rejects.toThrow()
      await ledger.append([settled(), settled()])
      const entries = await allEntries(ledger)
      const { writer } = entries.at(-1)!.entry
      const own = entries.filter(({ entry }) => entry.writer === writer)
      expect(own.map(({ entry }) => entry.seq)).toEqual(own.map((_, i) => i + 1))
    })

    withLedger('erases what is disclosed of one principal or session, and nothing else, for good', async ledger => {
      if (ledger.erase === undefined) return
      const session = '0190b0a0-0000-7000-8000-00000000aaaa'
      const [one, two] = ['one', 'two'].map(name => name.padEnd(22, '-')) as [string, string]
      const principal = (subject: string, name: string): Draft => ({
        ...{ kind: 'principal', subject, type: 'person' },
        ...{ disclose: { name }, slot: `principal:${subject}` },
      })
      const held = {
        ...decision(),
        ...{ session, subject: one, disclose: { action: 'x' }, slot: `session:${session}` },
      } as Draft
      const before = await ledger.append([principal(one, 'One'), principal(two, 'Two'), held])
      const erasure = { ground: 'art-17', by: two, approvers: ['three'.padEnd(22, '-')], basis: 'asked for by One' }
      const erased = await ledger.erase({ scope: 'principal', of: one, ...erasure })
      expect(erased).toMatchObject([{ entry: { kind: 'erasure', scope: 'principal', of: one, by: two } }])
      const opened = () => Promise.all(before.map(({ index }) => ledger.disclosures(index)))
      expect(await opened()).toEqual([{}, { name: 'Two' }, { action: 'x' }])
      expect(await ledger.disclosures(erased[0]!.index)).toEqual({ basis: 'asked for by One' })
      await expect(ledger.erase({ scope: 'principal', of: one, ...erasure })).rejects.toMatchObject({
        code: 'ERR_LEDGER_MISSING',
      })
      // Whoever comes back is sealed under another key.
      const [again] = await ledger.append([principal(one, 'One again')])
      expect(await ledger.disclosures(again!.index)).toEqual({ name: 'One again' })
      const writer = await ledger.attach({ slot: `session:${session}` })
      await writer.write(Buffer.from('shown'))
      const { id: attachment, salt, ...attached } = await writer.close()
      await ledger.append([
        {
          ...{ kind: 'attachment', attachment, exchange: exchangeId(), session, part: 'response', type: 'text/plain' },
          ...attached,
          ...{ disclose: { contentSalt: salt }, slot: `session:${session}` },
        },
      ])
      await ledger.erase({ scope: 'session', of: session, ...erasure })
      expect(await opened()).toEqual([{}, { name: 'Two' }, {}])
      const read = async () => {
        for await (const _ of ledger.attachment(attachment));
      }
      await expect(read()).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
    })

    withLedger(
      'gives back an attachment as it was written, however it was cut into pieces, and by its own id only',
      async ledger => {
        const writer = await ledger.attach({ slot: 'session:1' })
        const other = await ledger.attach({ slot: 'session:1' })
        const pieces = [0, 1, 70_000, 65_536, 3].map((length, i) => Buffer.alloc(length, `piece ${i}`))
        for (const piece of pieces) await writer.write(piece)
        const attached = await writer.close()
        expect(await writer.close()).toEqual(attached)
        await expect(writer.write(Buffer.from('late'))).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
        const content = Buffer.concat(pieces)
        expect(attached).toMatchObject({ id: writer.id, bytes: content.length, chunks: 3 })
        expect(commitment(attached.salt!, content)).toBe(attached.content)
        const read = []
        for await (const part of ledger.attachment(writer.id)) read.push(part)
        expect(Buffer.concat(read).equals(content)).toBe(true)
        expect(await other.close()).toMatchObject({ bytes: 0, chunks: 0 })
        await expect(ledger.attachment('0'.repeat(36))[Symbol.asyncIterator]().next()).rejects.toMatchObject({
          code: 'ERR_LEDGER_MISSING',
        })
      },
    )

    // biome-ignore format: a table
    const malformed: readonly (readonly [string, Draft])[] = [
      ['of an unknown kind', { kind: 'rumour' } as unknown as Draft],
      ['with a member that its kind has not', { ...settled(), colour: 'red' } as unknown as Draft],
      ['with a lone surrogate in clear', { ...decision(), target: '\ud800' } as Draft],
      ['with a lone surrogate disclosed', { ...settled(), disclose: { name: '\ud800' } } as Draft],
      ['with an integer-like name disclosed', { ...settled(), disclose: { value: { 1: 'x' } } } as Draft],
      ['with a number that is not finite', { ...settled(), disclose: { value: Number.NaN } } as Draft],
      ['over 65,535 bytes', { ...decision(), controls: Array.from({ length: 200 }, (_, i) => `${i}-${'x'.repeat(400)}`) } as Draft],
    ]
    for (const [what, draft] of malformed) {
      withLedger(`refuses a draft ${what} and stays unharmed`, async ledger => {
        const before = ledger.size
        await expect(ledger.append([settled(), draft])).rejects.toMatchObject({ code: 'ERR_ENTRY_MALFORMED' })
        expect(ledger.size).toBe(before)
        await ledger.append([settled()])
        expect(ledger.size).toBe(before + 1)
      })
    }

    withLedger('lets no draft set what the ledger itself says', async ledger => {
      const forged = { ...settled(), writer: 'somebody-else', seq: 99, time: '2000-01-01T00:00:00.000Z', sd: [] }
      const [before] = await ledger.append([settled()])
      const [stored] = await ledger.append([forged as unknown as Draft])
      expect(stored!.entry).toMatchObject({ seq: before!.entry.seq + 1 })
      expect(stored!.entry.writer).not.toBe('somebody-else')
      expect(stored!.entry.time > '2020').toBe(true)
      expect(stored!.entry.sd).toBeUndefined()
    })

    withLedger('commits to what is disclosed by salted digests only, and opens it again', async ledger => {
      const disclose = { name: 'Customer 0001', action: { sql: 'select 1', values: ['078-05-1120'] }, none: undefined }
      const [stored] = await ledger.append([{ ...settled(), disclose, slot: 'session:one' }])
      const { entry, index } = stored!
      expect(canonical(entry as unknown as Json)).not.toMatch(/Customer 0001|078-05-1120|select/)
      expect(entry.sd).toHaveLength(2)
      expect(entry.sd).toEqual([...entry.sd!].sort())
      expect(await ledger.disclosures(index)).toEqual({ name: disclose.name, action: disclose.action })
      const [again] = await ledger.append([{ ...settled(), disclose }])
      expect(again!.entry.sd!.some(digest => entry.sd!.includes(digest))).toBe(false)
    })

    withLedger('tells followers of each entry in index order, before the append resolves', async ledger => {
      const told: Stored[] = []
      const begun = ledger.size
      const stop = ledger.follow(stored => told.push(stored))
      const appends = Array.from({ length: 20 }, async () => {
        const stored = await ledger.append([settled(), settled()])
        expect(told.map(({ index }) => index)).toEqual(expect.arrayContaining(stored.map(({ index }) => index)))
      })
      await Promise.all(appends)
      expect(told.map(({ index }) => index)).toEqual(Array.from({ length: 40 }, (_, i) => i + begun))
      stop()
      await ledger.append([settled()])
      expect(told).toHaveLength(40)
    })

    withLedger('accepts nothing more once a follower threw: what it folds would be wrong', async ledger => {
      const begun = ledger.size
      const stop = ledger.follow(() => {
        throw new Error('a fold that fails')
      })
      await ledger.append([settled()])
      stop()
      await expect(ledger.append([settled()])).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
      expect(ledger.size).toBe(begun + 1)
    })

    withLedger('keeps concurrent appends in the order in which they were asked for', async ledger => {
      const ids = Array.from({ length: 50 }, exchangeId)
      const begun = ledger.size
      await Promise.all(ids.map(id => ledger.append([settled(id)])))
      const read = await allEntries(ledger, begun)
      expect(read.map(({ entry }) => entry.kind === 'settled' && entry.exchanges[0])).toEqual(ids)
    })

    withLedger('signs the root of exactly the entries that it gives', async ledger => {
      await ledger.append(Array.from({ length: 300 }, () => settled()))
      const { size, root } = await ledger.publish()
      const tree = new Frontier()
      for (const { entry } of await allEntries(ledger)) tree.append(leafHash(encodeEntry(entry)))
      expect(size).toBe(tree.size)
      expect(Buffer.from(root).toString('hex')).toBe(Buffer.from(tree.root()).toString('hex'))
    })

    withLedger('reads from an index on, and nothing beyond its end', async ledger => {
      await ledger.append(Array.from({ length: 602 - ledger.size }, () => settled()))
      await ledger.publish()
      expect((await allEntries(ledger, 511)).map(({ index }) => index)).toEqual(
        Array.from({ length: 91 }, (_, i) => i + 511),
      )
      expect(await allEntries(ledger, 602)).toEqual([])
      await expect(ledger.disclosures(602)).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
    })

    it('refuses appends once closed, and closes once', async () => {
      const ledger = await open()
      await Promise.all([ledger.close(), ledger.close()])
      const refused = await ledger.append([settled()]).catch((error: unknown) => error)
      expect(isOurs(refused) && refused.code).toBe('ERR_LEDGER_UNAVAILABLE')
    })

    withLedger('names the kinds that it was given', async ledger => {
      const begun = ledger.size
      await ledger.append([settled(), decision()])
      expect(kindsOf(await allEntries(ledger, begun))).toEqual(['settled', 'decision'])
    })
  })
}
