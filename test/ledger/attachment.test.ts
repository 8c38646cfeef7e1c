/** Writing an attachment over a medium that fails: who writes hears of it, and nothing is left open. */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { SealedWriter } from '../../lib/ledger/attachment.ts'

it.each(['append', 'finish'] as const)(
  'fails where %s does, once and for all, and lets go of what it holds',
  async failing => {
    let abandoned = 0
    const medium = {
      append: async () => {
        if (failing === 'append') throw new Error('the disk is full')
      },
      finish: async () => {
        if (failing === 'finish') throw new Error('the disk is full')
      },
      abandon: async () => {
        abandoned += 1
      },
    }
    const writer = new SealedWriter({ key: randomBytes(32), origin: 'crm', id: 'one', slot: 0, medium })
    const written = writer.write(Buffer.alloc(70_000))
    const full = { code: 'ERR_LEDGER_UNAVAILABLE', message: expect.stringContaining('could not be written') }
    if (failing === 'append') await expect(written).rejects.toMatchObject(full)
    else await written
    await expect(writer.close()).rejects.toMatchObject(full)
    await expect(writer.close()).rejects.toMatchObject(full)
    expect(abandoned).toBeGreaterThan(0)
  },
)
