/** The table by which a command is found and loaded: each file of commands is in it, under the names that it registers and no others. */
import { readdirSync } from 'node:fs'
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { ascii, type Output } from '../../cli/output.ts'
import { register, table } from '../../cli/table.ts'
import { printFindings, printSteps } from '../../cli/trust.ts'

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

describe('what others wrote, in what is printed', () => {
  it('begins no line of its own, in a finding or in a step', () => {
    const lines: string[] = []
    const out: Output = {
      ...{ json: false, table: () => {}, result: () => {} },
      line: (text = '') => void lines.push(...text.split('\n')),
      wrapped: text => void lines.push(...text.split('\n')),
    }
    const text = 'x\n::stop-commands::abc\nOK  all is well'
    printFindings(out, [{ code: 'SEAL_INVALID', what: text, file: text, expected: text, actual: text }])
    printSteps(out, [{ name: 'seals', status: 'failed', detail: text }])
    expect(lines).toHaveLength(4)
    for (const line of lines) expect(line).toContain('x\\n::stop-commands::abc\\nOK')
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
