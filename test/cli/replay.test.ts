/** Replays: safe on any terminal, in their own time, and each kind as a person reads it. */
import { describe, expect, it } from 'vitest'
import { int16, int32, message, type } from '../../adapters/pg/wire.ts'
import { parseCast, play, search } from '../../cli/replay/player.ts'
import { SafeTerminal } from '../../cli/replay/safe.ts'
import { showTimeline } from '../../cli/replay/timeline.ts'
import type { TimelineEvent } from '../../lib/format/timeline.ts'

describe('what a terminal is shown', () => {
  const esc = '\u001b'
  // biome-ignore format: a table
  it.each([
    ['colours',                        `${esc}[1;31mred${esc}[0m`],
    ['movements and erasures',         `${esc}[2J${esc}[H${esc}[3;4f${esc}[K`],
    ['another screen',                 `${esc}[?1049h${esc}[?25l`],
    ['line drawing',                   `${esc}(0lqk${esc}(B`],
    ['lines and tabs',                 'a\tb\r\nc\b'],
  ])('has %s', (_, text) => {
    expect(new SafeTerminal().show(text)).toBe(text)
  })

  // biome-ignore format: a table
  it.each([
    ['the clipboard',                  `${esc}]52;c;ZXZpbA==\u0007`],
    ['a title',                        `${esc}]0;root@host${esc}\\`],
    ['a report of its title',          `${esc}[21t`],
    ['its name',                       `${esc}[c`],
    ['its position',                   `${esc}[6n`],
    ['a device control string',        `${esc}P$q"p${esc}\\`],
    ['an application command',         `${esc}_Gf=100;AAAA${esc}\\`],
    ['a mode that types by itself',    `${esc}[?1000h`],
    ['a reset of all',                 `${esc}c`],
    ['a bell',                         '\u0007'],
    ['C1',                             '\u009b6n'],
    ['text that runs backwards',       '\u202egnp.exe'],
    ['parameters of another kind',     `${esc}[>0;276;0c`],
  ])('does not have %s', (_, text) => {
    const shown = new SafeTerminal().show(`${text}after`)
    expect(shown).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(shown).toMatch(/after$/)
  })

  it('is as safe where sequences come in pieces, and where one never ends', () => {
    const text = `${esc}]52;c;AAAA\u0007ok${esc}[31mred${esc}]0;${'x'.repeat(5000)}`
    const whole = new SafeTerminal().show(text)
    const terminal = new SafeTerminal()
    expect([...text].map(character => terminal.show(character)).join('')).toBe(whole)
    expect(whole).not.toContain(`${esc}]`)
    expect(whole).toContain(`${esc}[31mred`)
    expect(whole.length).toBeGreaterThan(4000)
  })
})

describe('an asciicast', () => {
  const cast = parseCast(
    [
      '{"version":2,"width":80,"height":24}',
      '[0.5,"o","one "]',
      '[1,"i","x"]',
      '[60,"o","two\\r\\n"]',
      '[61,"o","three"]',
    ].join('\n'),
  )
  const played = async (options: Partial<Parameters<typeof play>[1]>) => {
    const waits: number[] = []
    let text = ''
    await play(cast, {
      ...{ speed: 1, idle: 2, from: 0 },
      wait: async ms => {
        waits.push(ms)
        return 'go on'
      },
      write: part => {
        text += part
      },
      ...options,
    })
    return { waits, text }
  }

  it('is played in its own time, silences cut', async () => {
    expect(await played({})).toEqual({ waits: [500, 500, 2000, 1000], text: 'one two\r\nthree' })
  })

  it('is played faster, from later on, or at once', async () => {
    expect((await played({ speed: 4 })).waits).toEqual([125, 125, 500, 250])
    expect(await played({ from: 60 })).toEqual({ waits: [1000], text: 'one two\r\nthree' })
    expect((await played({ speed: 0 })).waits).toEqual([])
  })

  it('ends where one asks', async () => {
    expect((await played({ wait: async () => 'quit' })).text).toBe('')
  })

  it('is searched across its pieces', () => {
    expect(search(cast, 'one x')).toEqual([{ at: 1, line: 'one x' }])
    expect(search(cast, 'never')).toEqual([])
  })

  it.each(['', '{}', '{"version":1,"width":1,"height":1}', '{"version":2,"width":1,"height":1}\n[1,"z","x"]'])(
    'is refused where it is none: %s',
    text => {
      expect(() => parseCast(text)).toThrowError(expect.objectContaining({ code: 'ERR_LEDGER_CORRUPT' }))
    },
  )
})

describe('a timeline', () => {
  const shown = async (...events: [channel: string, bytes: Uint8Array][]) => {
    let text = ''
    const source = (async function* (): AsyncGenerator<TimelineEvent> {
      for (const [channel, bytes] of events) yield { at: 0, channel, bytes }
    })()
    await showTimeline(source, part => {
      text += part
    })
    return text
  }
  const column = (name: string, type: number) => [
    ...[Buffer.from(`${name}\0`), Buffer.alloc(6), int32(type), Buffer.alloc(6), int16(0)],
  ]
  const row = (...cells: (string | null)[]) =>
    message(
      type.dataRow,
      int16(cells.length),
      ...cells.map(cell =>
        cell === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(cell)), Buffer.from(cell)]),
      ),
    )

  it('of PostgreSQL is a table, as psql has it', async () => {
    const described = message(type.rowDescription, int16(2), ...column('id', 23), ...column('name', 25))
    const text = await shown(
      ['head', Buffer.concat([Buffer.from('{"kind":"rows","columns":["id","name"]}\n'), described])],
      ['rows', Buffer.concat([row('1', 'Customer 0001'), row('22', null)])],
      ['rows', row('3', 'evil \u001b]0;x\u0007')],
      ['end', message(type.commandComplete, 'SELECT 3')],
    )
    expect(text).toBe(
      [
        ' id |       name        ',
        '----+-------------------',
        '  1 | Customer 0001',
        ' 22 | ',
        '  3 | evil \\x1B]0;x\\x07',
        '(3 rows)',
        '',
        '',
      ].join('\n'),
    )
  })

  it('of HTTP is its head and body, nothing of which acts', async () => {
    const text = await shown(
      ['head', Buffer.from('{"kind":"json"}\nHTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n')],
      ['body', Buffer.from('{"name":"\u001b[2J"}')],
    )
    expect(text).toBe('HTTP/1.1 200 OK\ncontent-type: application/json\n\n{"name":"\\u{001b}[2J"}\n')
  })
})
