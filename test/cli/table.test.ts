/** The table by which a command is found and loaded: each file of commands is in it, under the names that it registers and no others. */
import { readdirSync } from 'node:fs'
import { Command } from 'commander'
import { describe, expect, it, vi } from 'vitest'
import { printBundle } from '../../cli/commands/bundle.ts'
import { Narrator } from '../../cli/demo/narrator.ts'
import { ascii, colour, type Output, output, painted } from '../../cli/output.ts'
import { register, table } from '../../cli/table.ts'
import { printFindings, printSteps, printVerdict } from '../../cli/trust.ts'
import type { BundleResult } from '../../evidence/index.ts'

const namesOf = ({ commands }: Command) => commands.map(command => command.name())

it('names what each file registers', async () => {
  expect(table).toHaveLength(readdirSync('cli/commands').filter(name => name.endsWith('.ts')).length)
  for (const [names, load] of table) {
    const program = new Command()
    ;(await load())(program)
    expect(namesOf(program)).toEqual(names)
  }
})

it('registers what was asked for alone, and everything where that is nothing of it', async () => {
  const registered = async (asked: string | undefined) => {
    const program = new Command()
    await register(program, asked)
    return namesOf(program)
  }
  expect(await registered('verify')).toEqual(['verify'])
  expect(await registered('pending')).toEqual(['request', 'pending', 'approve', 'deny', 'revoke'])
  for (const asked of [undefined, '--help', 'help', 'verfy', 'toString'])
    expect(await registered(asked)).toEqual(table.flatMap(([names]) => names))
})

const printedBy = (print: (out: Output) => void, json = false): string[] => {
  const written: string[] = []
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation(text => written.push(String(text)) > 0)
  try {
    print(output(json))
  } finally {
    stdout.mockRestore()
  }
  return written.join('').trimEnd().split('\n')
}

describe('sentences that are set in', () => {
  const claim = "the gateway cannot stop it; the server's own log names it, and the bundle notes it as an exception"
  const told = (out: Output) => {
    const tell = new Narrator(out)
    tell.line(claim)
    tell.claim(true, claim)
    const manifest = { stamps: ['PROVISIONAL'], withheld: { principals: ['p'], entries: [1] } }
    const begins = 'the ledger begins on 2026-07-02, after the beginning of this period'
    const rest = {
      directory: 'b',
      count: 3,
      results: [],
      reconciliations: [{ name: 'crm-csvlog', word: 'x', bypasses: [] }],
    }
    printBundle(out, { ...rest, manifest, begins } as unknown as BundleResult)
  }

  it('are one line each in a pipe, and are broken between words on a terminal', () => {
    const piped = printedBy(told)
    expect(piped).toHaveLength(8)
    const { isTTY, columns } = process.stdout
    Object.assign(process.stdout, { isTTY: true, columns: 50 })
    try {
      const shown = printedBy(told)
      for (const line of shown) expect(line.length).toBeLessThanOrEqual(50)
      expect(shown.join(' ').split(/\s+/)).toEqual(piped.join(' ').split(/\s+/))
    } finally {
      Object.assign(process.stdout, { isTTY, columns })
    }
  })
})

it('a bundle says why a control could not be tested, once for all that could not for one reason, and where something is withheld', () => {
  const silent = 'nothing is recorded'
  const result = (control: string, test: string, ...whys: readonly string[]) => ({
    ...{ control, test, population: 1, exceptions: 0, word: whys.length === 0 ? 'not-occurring' : 'unable-to-test' },
    unable: whys.map(why => ({ from: '', to: '', why })),
  })
  const results = [
    result('AC-01', 'tested'),
    result('AC-07', 'approval-by-another', 'the rules in force are withheld'),
    { ...result('AC-08', 'none', silent), unable: [], why: 'it asks for nothing' },
    ...['a', 'b', 'c', 'd', 'e'].map(test => result('LG-01', test, silent)),
    result('LG-02', 'f', silent, 'a later one', 'a third'),
  ]
  const manifest = { stamps: [], withheld: { principals: ['p'], entries: [1, 12, 30, 31, 32] } }
  const bundle = { directory: 'b', count: 3, results, reconciliations: [], manifest } as unknown as BundleResult
  expect(printedBy(out => printBundle(out, bundle)).slice(results.length + 1, -1)).toEqual([
    '  unable to test AC-07 approval-by-another: the rules in force are withheld',
    '  unable to test AC-08 none: it asks for nothing',
    '  unable to test LG-01 a, LG-01 b, LG-01 c and 2 more: nothing is recorded',
    '  unable to test LG-02 f: nothing is recorded, and 2 more (results/LG-02.json)',
    '  withheld: what is disclosed of 1 principal, and what names them in 5 other entries (#1, #12, #30 and 2 more)',
  ])
})

describe('what others wrote, in what is printed', () => {
  it('begins no line of its own, in a finding or in a step', () => {
    const text = 'x\n::stop-commands::abc\nOK  all is well'
    const lines = printedBy(out => {
      printFindings(out, [{ code: 'SEAL_INVALID', what: text, file: text, expected: text, actual: text }])
      printSteps(out, [{ name: 'seals', status: 'failed', detail: text }])
    })
    expect(lines).toHaveLength(4)
    for (const line of lines) expect(line).toContain('x\\u{000a}::stop-commands::abc\\u{000a}OK')
  })

  it('is no line, no colour and no command of its own, whichever way it is printed', () => {
    const text = 'x\n::error::y\u001b[8m\u001b[32mOK\u2028##[stop-commands]z ##vso[task.complete]'
    const shown =
      'x\\u{000a}::error::y\\u{001b}[8m\\u{001b}[32mOK\\u{2028}#\\u{0023}[stop-commands]z #\\u{0023}vso[task.complete]'
    const ways: readonly ((out: Output) => void)[] = [
      out => out.line(text),
      out => out.line(`  ${text}`),
      out => out.line(colour.red(text)),
      out => out.line(painted`  ${colour.bold('#1')} ${text}`),
      out => out.wrapped(painted`${colour.bold(text)}`, 2),
      out => out.table([[text, colour.green(text)]]),
      out => printVerdict(out, 'TAMPERED', text),
    ]
    for (const way of ways) {
      const [line, ...more] = printedBy(way)
      expect([line, more]).toEqual([expect.stringContaining(shown), []])
      expect(line).not.toMatch(/[\p{Cc}\u2028]|##\w*\[/u)
    }
    expect(JSON.parse(printedBy(out => out.result(text, () => {}), true).join(''))).toBe(text)
    expect(printedBy(out => out.result(text, () => {}), true).join('')).not.toMatch(/##\w*\[/)
  })

  it('is escaped in JSON where a terminal could obey it, and is the same value', () => {
    const value = { file: 'a\u009b2J\u202e\u2028\u0007\n', of: [1, 'é'] }
    for (const indent of [undefined, 2]) {
      const text = ascii(value, indent)
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\u2028]/u)
      expect(JSON.parse(text)).toEqual(value)
    }
    expect(ascii(value, 2).split('\n')).toHaveLength(JSON.stringify(value, null, 2).split('\n').length)
  })
})
