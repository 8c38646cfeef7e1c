/** What of the input a recording keeps under the masks in force, where it can be masked and where it cannot. */
import { afterEach, describe, expect, it } from 'vitest'
import { parseCast, search } from '../../cli/replay/player.ts'
import { showTimeline } from '../../cli/replay/timeline.ts'
import type { Control } from '../../lib/control.ts'
import type { Exchange } from '../../lib/exchange.ts'
import { decodeEvents } from '../../lib/format/timeline.ts'
import { Asciicast } from '../../lib/recording/asciicast.ts'
import { keptInput } from '../../lib/recording/kept.ts'
import type { Form, Frame } from '../../lib/reply.ts'
import { type Fixture, fixture, maskControl, operation, requester } from '../support/guard.ts'

const recorded: Control = {
  ...{ id: 'RC-01', title: 'RC-01', criteria: ['CC7.2'], mode: 'enforce', tests: 'auto' },
  ...{ covers: { resource: 'crm/**' }, record: { response: 'masked' } },
}
const open: Fixture[] = []
afterEach(async () => {
  for (const at of open.splice(0)) await at.guard.close()
})

/** Runs one exchange that is given this input between its head and its data. @returns its recording */
async function recording(
  form: Form,
  mask: Control['mask'],
  given: readonly string[],
  patterns?: Record<string, string>,
) {
  const control: Control = {
    ...maskControl,
    ...(mask === undefined ? {} : { mask }),
    ...(patterns === undefined ? {} : { patterns }),
  }
  const at = await fixture(mask === undefined ? [recorded] : [recorded, control])
  open.push(at)
  const exchange = at.guard.exchange({ operation: operation(), subject: requester })
  async function* reply(of: Exchange): AsyncGenerator<Frame> {
    yield { type: 'head', form }
    for (const text of given) await of.heard({ channel: 'stdin', bytes: Buffer.from(text) })
    yield { type: 'data', channel: 'body', bytes: Buffer.from('{"a":1}'), items: 1 }
    yield { type: 'end', result: 'completed', settled: 'nothing' }
  }
  await at.guard.handle(exchange, reply, () => undefined)
  return at.ledger.attachment((await at.of('attachment'))[0]!.attachment)
}

async function events(pieces: AsyncIterable<Uint8Array>): Promise<string[]> {
  const found: string[] = []
  for await (const { channel, bytes } of decodeEvents(pieces)) found.push(`${channel} ${Buffer.from(bytes)}`)
  return found.slice(1)
}

describe('input', () => {
  it('is kept as it came where no mask is in force', async () => {
    expect(await events(await recording({ kind: 'json' }, undefined, ['078-', '05-1120']))).toEqual([
      'stdin 078-',
      'stdin 05-1120',
      'body {"a":1}',
    ])
  })

  it('is masked where the masks can be kept in text, each word when it is whole', async () => {
    const kept = await recording({ kind: 'json' }, { '*': 'detect' }, ['to a@b', '.example EMP-', '12'], {
      id: 'EMP-\\d{2}',
    })
    expect(await events(kept)).toEqual(['stdin to ', 'stdin [email] ', 'body {"a":1}', 'stdin [id]'])
  })

  // biome-ignore format: a table
  const left: [string, Control['mask'], Record<string, string> | undefined][] = [
    ['names a field',             { ssn: 'last4', '*': 'detect' }, undefined],
    ['hides whole values',        { '*': 'redact' },               undefined],
    ['has a pattern over words',  { '*': 'detect' },               { id: 'EMP \\d{2}' }],
  ]
  it.each(left)(
    'is left out under a mask that %s, and the recording says how much it was',
    async (_, mask, patterns) => {
      const kept = await recording({ kind: 'json' }, mask, ['078-05-1120', ' and more'], patterns)
      const found = await events(kept)
      expect(found.filter(one => one.startsWith('stdin'))).toEqual([])
      expect(found.at(-1)).toBe('withheld 20 bytes of input withheld: a mask in force cannot be applied to text')
    },
  )

  it('that was left out is said to who replays it', async () => {
    const kept = await recording({ kind: 'json' }, { ssn: 'last4' }, ['078-05-1120'])
    let shown = ''
    await showTimeline(decodeEvents(kept), text => {
      shown += text
    })
    expect(shown).toContain('11 bytes of input withheld')
    expect(shown).not.toContain('078')
  })

  it('into a terminal that was left out is said by a marker, of which players know', () => {
    const masks = [{ control: 'CF-01', resource: 'crm/**', field: 'ssn', strategy: 'last4' }] as const
    const cast = new Asciicast({ columns: 80, rows: 24 }, 0, keptInput(masks))
    const parts = [
      cast.head({ type: 'head', form: { kind: 'text' } }),
      cast.input({ channel: 'stdin', bytes: Buffer.from('078-05-1120') }, 10),
      cast.end(20),
    ]
    const text = Buffer.concat(parts).toString()
    expect(text).toContain('[0.02,"m","11 bytes of input withheld')
    expect(text).not.toContain('078')
    expect([...search(parseCast(text), '078')]).toEqual([])
  })

  it('that breaks a character between two keys is kept whole', () => {
    const masks = [{ control: 'CF-01', resource: 'crm/**', field: '*', strategy: 'detect' }] as const
    for (const rules of [[], masks]) {
      const cast = new Asciicast({ columns: 80, rows: 24 }, 0, keptInput(rules))
      const bytes = Buffer.from('größe ☃\r')
      const lines = [...bytes].map(byte => cast.input({ channel: 'stdin', bytes: Uint8Array.of(byte) }, 0))
      const typed = Buffer.concat([...lines, cast.end(0)])
        .toString()
        .trim()
        .split('\n')
        .map(line => (JSON.parse(line) as string[])[2])
      expect(typed.join('')).toBe('größe ☃\r')
    }
  })
})
