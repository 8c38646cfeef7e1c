import { appendFileSync, readdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Checkpoint, parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { encodeEntry } from '../../lib/format/entry.ts'
import { decodeFrame } from '../../lib/format/frame.ts'
import { Frontier, leafHash } from '../../lib/format/merkle.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { allEntries, crashImage, ledgerOptions, settled } from '../support/directory-ledger.ts'

type Step =
  | { readonly does: 'append'; readonly sizes: readonly number[]; readonly level: 'durable' | 'written' }
  | { readonly does: 'publish' | 'seal' | 'close' | 'crash' }
  | { readonly does: 'tear'; readonly rubbish: Uint8Array }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('append' as const),
      sizes: fc.array(fc.integer({ min: 0, max: 150 }), { minLength: 1, maxLength: 5 }),
      level: fc.constantFrom('durable' as const, 'written' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('publish', 'seal', 'close', 'crash') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('tear' as const),
      rubbish: fc.uint8Array({ minLength: 1, maxLength: 99 }),
    }),
  },
)

/** What must hold whatever happens: a list of ids, and the checkpoints that were signed. */
class Model {
  readonly ids: string[] = []
  readonly checkpoints: Checkpoint[] = []
}

async function take(state: { ledger: Ledger; options: DirectoryOptions }, model: Model, step: Step): Promise<void> {
  const { ledger, options } = state
  switch (step.does) {
    case 'append': {
      const drafts = (count: number) => Array.from({ length: count }, () => settled())
      const stored = await Promise.all(step.sizes.map(count => ledger.append(drafts(count), { level: step.level })))
      for (const { index, entry } of stored.flat()) model.ids[index] = entry.id
      return
    }
    case 'publish':
      model.checkpoints.push(await ledger.publish())
      return
    case 'seal':
      model.checkpoints.push(await ledger.seal())
      return
    case 'close':
      await ledger.close()
      model.checkpoints.push(parseCheckpoint(readFileSync(join(options.directory, 'checkpoint'))))
      break
    default:
      // The image is what the kill leaves; the one that is left behind is closed so that nothing of it runs on.
      state.options = crashImage(options)
      if (step.does === 'tear') tear(state.options, step.rubbish)
      await ledger.close()
  }
  state.ledger = await openDirectoryLedger(state.options)
}

/** Bytes of a write that was cut off, behind the last frame. */
function tear({ directory }: DirectoryOptions, rubbish: Uint8Array): void {
  const path = join(
    directory,
    'wal',
    readdirSync(join(directory, 'wal'))
      .filter(name => name.endsWith('.seg'))
      .at(-1)!,
  )
  const bytes = readFileSync(path)
  let end = 0
  for (let next = decodeFrame(bytes, 0); next !== undefined; next = decodeFrame(bytes, end)) end = next.end
  truncateSync(path, end)
  appendFileSync(path, rubbish)
}

describe('any interleaving of appends, publications, seals, closes, kills and torn writes', () => {
  it('keeps every acknowledged entry in its place, numbers without gaps, and every checkpoint a prefix', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async steps => {
        const options = ledgerOptions({ publishMs: 5, segmentBytes: 30_000 })
        const state = { options, ledger: await openDirectoryLedger(options) }
        const model = new Model()
        for (const each of steps) await take(state, model, each)
        // What is `written` is read back as soon as it is durable: at the latest when the ledger is closed.
        await take(state, model, { does: 'close' })
        const entries = await allEntries(state.ledger)
        await state.ledger.close()
        model.ids.forEach((id, index) => {
          expect(entries[index]?.entry.id).toBe(id)
        })
        expect(entries.map(({ index, entry }) => [index, entry.seq])).toEqual(entries.map((_, i) => [i, i + 1]))
        const tree = new Frontier()
        const roots = ['']
        for (const { entry } of entries) {
          tree.append(leafHash(encodeEntry(entry)))
          roots.push(Buffer.from(tree.root()).toString('hex'))
        }
        for (const { size, root } of model.checkpoints) expect(roots[size]).toBe(Buffer.from(root).toString('hex'))
      }),
      { numRuns: 15 },
    )
  }, 300_000)
})
