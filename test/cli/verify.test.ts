/** `counterfoil verify` for programs: several ledgers, JUnit, annotations; and the text of strangers in each of them. */
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { annotations } from '../../cli/annotations.ts'
import { verify as register } from '../../cli/commands/verify.ts'
import { exit, exitStatusOf } from '../../cli/exit.ts'
import { escaped, junit, ledgerSuite } from '../../cli/junit.ts'
import { output, Painted, type Text } from '../../cli/output.ts'
import { progressOn } from '../../cli/progress.ts'
import { printFindings } from '../../cli/trust.ts'
import { type Verification, verifyLedger } from '../../evidence/index.ts'
import { interop } from '../support/interop.ts'

const fixtures = join(import.meta.dirname, '../../fixtures')
const keys = join(fixtures, 'keys')
let where: string

beforeAll(() => {
  where = mkdtempSync(join(tmpdir(), 'verify-cli-'))
})
afterAll(() => rmSync(where, { recursive: true, force: true }))

/** The command as `main.ts` runs it, without a process of its own. */
async function verify(
  ledgers: readonly string[],
  rest: readonly string[],
  github = '',
): Promise<{ status: unknown; text: string }> {
  const written: string[] = []
  vi.stubEnv('GITHUB_ACTIONS', github)
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation(text => written.push(String(text)) > 0)
  const before = process.exitCode
  try {
    const program = new Command().exitOverride()
    register(program)
    const paths = ledgers.map(name =>
      name.startsWith('http:') ? name : resolve(fixtures, 'ledgers', name, isAbsolute(name) ? '' : 'ledger'),
    )
    const key = join(keys, 'test-only.seal.pub.asc')
    await program.parseAsync(['verify', ...paths, '--key', key, ...rest], { from: 'user' })
    return { status: process.exitCode, text: written.join('') }
  } catch (error) {
    return { status: exitStatusOf(error), text: String(error) }
  } finally {
    process.exitCode = before
    stdout.mockRestore()
    vi.unstubAllEnvs()
  }
}

/** A verification in which strangers have had their say. */
async function hostile(what: string): Promise<Verification> {
  const fingerprint = readFileSync(join(keys, 'test-only.seal.fingerprint'), 'utf8')
  const real = await verifyLedger({ directory: join(fixtures, 'ledgers/altered/ledger'), fingerprint })
  return { ...real, findings: real.findings.map(finding => ({ ...finding, what, actual: what })), origin: what }
}

describe('several ledgers', () => {
  it('have a verdict each, a pin each, and the worst of them as the status', async () => {
    const [a, b, xml] = ['a.pin', 'b.pin', 'out.xml'].map(name => join(where, name)) as [string, string, string]
    const first = await verify(['whole', 'altered'], ['--pin', a, '--pin', b, '--first', '--junit', xml])
    expect(first.status, first.text).toBe(exit.broken)
    expect(first.text).toMatch(/OK {2}[\s\S]*TAMPERED {2}/)
    expect([existsSync(a), existsSync(b)]).toEqual([true, false])
    const report = readFileSync(xml, 'utf8')
    expect(report.match(/<testsuite /g)).toHaveLength(2)
    expect(report).toContain('<failure type="TAMPERED"')
    const again = await verify(['whole', 'nowhere'], ['--json'])
    expect(again.status).toBe(exit.incomplete)
    expect(JSON.parse(again.text).map(({ verdict }: Verification) => verdict)).toEqual(['OK', 'INCOMPLETE'])
    const went = await verify(['whole'], ['--pin', a, '--incremental'])
    expect(went).toEqual({ status: exit.good, text: expect.stringContaining('were not read') })
  })

  it('are told of all the same where an address does not answer, in every form', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const [dead, xml] = [`http://127.0.0.1:${port}/`, join(where, 'dead.xml')]
    for (const ledgers of [
      ['altered', dead],
      [dead, 'altered'],
    ]) {
      const { status, text } = await verify(ledgers, ['--junit', xml])
      expect(status, text).toBe(exit.broken)
      expect(text).toContain('LEDGER_UNREACHABLE')
      expect(readFileSync(xml, 'utf8').match(/<testsuite /g)).toHaveLength(2)
    }
    const alone = await verify([dead], ['--json', '--junit', xml])
    expect(alone.status).toBe(exit.incomplete)
    expect(JSON.parse(alone.text)).toMatchObject({ verdict: 'INCOMPLETE', findings: [{ code: 'LEDGER_UNREACHABLE' }] })
    expect(readFileSync(xml, 'utf8')).toContain('LEDGER_UNREACHABLE')
  })

  it('have options that make sense together, or are not verified', async () => {
    for (const rest of [
      ['--pin', 'one'],
      ['--pin', 'one', '--pin', 'one'],
      ['--first'],
      ['--incremental'],
      ['--depth', 'all'],
      ['--depth', 'deep'],
      ['--ca', 'nowhere.pem'],
    ]) {
      expect((await verify(['whole', 'altered'], rest)).status, rest.join(' ')).toBe(exit.usage)
    }
  })

  it('are annotated on GitHub, where something is wrong, and nowhere else', async () => {
    expect((await verify(['altered'], [], 'true')).text).toMatch(/^::error title=TAMPERED%3A /m)
    expect((await verify(['altered'], [])).text).not.toContain('::error')
    expect((await verify(['whole'], [], 'true')).text).not.toContain('::')
  })
})

describe('what strangers wrote', () => {
  const what = `]]></system-out>"<a b='&'>\u0000\u001b[31m\ud800\n::error::x\r\n::warning title=a,b:c%25::\u2028::x`

  it('stays text in JUnit', async () => {
    const report = junit([ledgerSuite({ ledger: what, verification: await hostile(what) })])
    for (const part of ['<a ', '\u0000', '\u001b', '\ud800', ']]>']) expect(report).not.toContain(part)
    expect(report.match(/<(?!\/?(testsuites?|testcase|failure|skipped|system-out)[ >/]|\?xml )/g)).toBe(null)
    expect(escaped('a\tb\n\u{1f600}')).toBe('a\tb\n\u{1f600}')
  })

  interop('xmllint', 'is well-formed XML to other readers', async xmllint => {
    const { execFileSync } = await import('node:child_process')
    const input = junit([ledgerSuite({ ledger: what, verification: await hostile(what) })])
    expect(execFileSync(xmllint, ['--noout', '-'], { input }).toString()).toBe('')
  })

  it('begins no workflow command of its own', async () => {
    const lines = annotations([ledgerSuite({ ledger: what, verification: await hostile(what) })])
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) {
      expect(line).toMatch(/^::error title=[^:,\r\n]*::/)
      expect(line).not.toMatch(/[\r\n\u2028]/)
    }
  })
})

describe('names of files that anybody laid there', () => {
  it('begin no workflow command and obey no terminal, in all that is said of a ledger', async () => {
    const ledger = join(where, 'laid')
    cpSync(join(fixtures, 'ledgers/whole/ledger'), ledger, { recursive: true })
    mkdirSync(join(ledger, 'anchors/2/x\n::notice title=counterfoil::OK, all is well'), { recursive: true })
    writeFileSync(join(ledger, 'checkpoint.d', 'a\u001b[8m##[stop-commands]x'), '')
    const { status, text } = await verify([ledger], [], 'true')
    expect(status, text).toBe(exit.broken)
    expect(text).toContain('all is well')
    expect(text.match(/^::\w+/gm)).toEqual(text.match(/^::error/gm))
    expect(text).not.toMatch(/(?!\n)\p{Cc}|##\w*\[/u)
  })
})

describe('a finding', () => {
  it('names no place twice, and leaves out none that it only seems to name', () => {
    const lines: string[] = []
    const out = { ...output(false), wrapped: (text: Text) => lines.push(text instanceof Painted ? text.text : text) }
    printFindings(out, [
      { code: 'A', what: 'a key was rotated (entry 64)', index: 64 },
      { code: 'B', what: 'entry 64 is altered', index: 6, file: 'tile/entries/000' },
      { code: 'C', what: 'checkpoint is missing', file: 'checkpoint' },
      { code: 'D', what: 'checkpoint.d/5 is missing', file: 'checkpoint' },
    ])
    expect(lines).toEqual([
      'A  a key was rotated (entry 64)',
      'B  entry 64 is altered (tile/entries/000, entry 6)',
      'C  checkpoint is missing',
      'D  checkpoint.d/5 is missing (checkpoint)',
    ])
  })
})

describe('progress', () => {
  it('is a line of a terminal that is taken away again, and nothing elsewhere', () => {
    const written: string[] = []
    const stream = (isTTY: boolean) =>
      ({ isTTY, columns: 60, write: (text: string) => written.push(text) }) as unknown as NodeJS.WriteStream
    const silent = progressOn(stream(false), 'ledger')
    silent(1, 2)
    silent.end()
    expect(written).toEqual([])
    const shown = progressOn(stream(true), 'ledger')
    shown(50, 100)
    shown.end()
    expect(written[0]).toMatch(/^\rledger {2}\[#{12}\.{12}] {2}50 %/)
    expect(written[0]!.length).toBeLessThan(66)
    expect(written.at(-1)).toBe('\r\u001b[K')
  })
})
