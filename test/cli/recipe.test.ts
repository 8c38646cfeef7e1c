/** The recipes of the README for CI: they are YAML of the right form, and their commands do what is said of them. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { interop } from '../support/interop.ts'
import { install, manifest, root, sample, shell } from '../support/samples.ts'

interface Workflow {
  readonly jobs: { readonly verify: { readonly steps: readonly { readonly run?: string; readonly if?: string }[] } }
}
interface Pipeline {
  readonly ledger: { readonly script: readonly string[]; readonly after_script: readonly string[] }
}

const github = (parse(sample('github')) as Workflow).jobs.verify.steps.flatMap(({ run }) => run ?? [])
const gitlab = (parse(sample('gitlab')) as Pipeline).ledger
const recipes = { github, gitlab: [...gitlab.script, ...gitlab.after_script] }
const fixtures = join(root, 'fixtures')
let scratch: string

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'recipe-'))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe.each(Object.entries(recipes))('the recipe for %s', (name, commands) => {
  it('installs the version that this is', () => {
    expect(commands[0]).toBe(`npm install --global counterfoil@${manifest.version}`)
  })

  interop(
    'git',
    'verifies against the pin that was committed, and commits and pushes the newer one',
    async git => {
      const [origin, where] = [join(scratch, `${name}.git`), join(scratch, name)]
      const run = (...words: string[]) => execFileSync(git, words, { cwd: where, encoding: 'utf8' })
      execFileSync(git, ['init', '--quiet', '--bare', '--initial-branch=main', origin])
      execFileSync(git, ['clone', '--quiet', origin, where], { stdio: 'ignore' })
      run('checkout', '--quiet', '-B', 'main')
      cpSync(join(fixtures, 'ledgers/whole/pin'), join(where, 'crm.pin'))
      run('add', 'crm.pin')
      run('-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '--quiet', '--message', 'first')
      run('push', '--quiet', 'origin', 'HEAD:main')
      install(where)
      const before = readFileSync(join(where, 'crm.pin'), 'utf8')
      const key = join(fixtures, 'keys/test-only.seal.pub.asc')
      const text = commands
        .slice(1)
        .filter(command => !command.includes('remote set-url'))
        .join('\n')
        .replace('https://ledger.example/crm/', `'${join(fixtures, 'ledgers/whole/ledger')}'`)
        .replace(/\$\{\{ vars\.FINGERPRINT \}\}/, '$FINGERPRINT')
      const environment = { FINGERPRINT: key, CI_DEFAULT_BRANCH: 'main' }
      const ran = await shell(`set -e\n${text}`, where, environment)
      expect(ran.status, ran.text).toBe(0)
      expect(ran.text).toContain('OK')
      const pushed = execFileSync(git, ['-C', origin, 'show', 'main:crm.pin'], { encoding: 'utf8' })
      expect(pushed).not.toBe(before)
      expect(pushed).toBe(readFileSync(join(where, 'crm.pin'), 'utf8'))
    },
    60_000,
  )
})
