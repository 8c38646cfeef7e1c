/** What the demo keeps from whoever watches it, and what it does not. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { node, root, start } from '../support/samples.ts'

const run = promisify(execFile)
const source = (path: string) => JSON.stringify(pathToFileURL(join(root, path)).href)

/** @returns what the script wrote to standard error */
async function errorsOf(script: string): Promise<string> {
  const [command, ...args] = node('--input-type=module', '--eval', script)
  return (await run(command!, args, { cwd: root })).stderr
}

it('the identity provider of the demo starts, and stops, without a word on standard error', async () => {
  const script = `import { startIdentityProvider } from ${source('cli/demo/identity-provider.ts')}
const provider = await startIdentityProvider({ people: ['user@crm.example'], agents: [] })
await provider.login('user@crm.example')
await provider.close()`
  expect(await errorsOf(script)).toBe('')
})

it('a warning of anything else is written, also meanwhile, and all of them afterwards', async () => {
  const script = `import { withoutNotices } from ${source('cli/demo/notices.ts')}
const own = 'oidc-provider WARNING: Unsupported runtime. Use another.'
await withoutNotices(async () => { console.warn(own); console.warn('oidc-provider WARNING: something is wrong') })
await withoutNotices(async () => { throw new Error('real') }).catch(({ message }) => console.warn(message))
console.warn(own)`
  expect((await errorsOf(script)).split('\n')).toEqual([
    'oidc-provider WARNING: something is wrong',
    'real',
    'oidc-provider WARNING: Unsupported runtime. Use another.',
    '',
  ])
})

it('goes on after Ctrl-C, though what it started ends the process on that signal, before and afterwards', async () => {
  const script = `import { interrupted } from ${source('cli/demo/interrupted.ts')}
process.on('SIGINT', () => process.exit(130))
setTimeout(() => console.log('it waits'))
await interrupted()
console.log('it goes on')
setInterval(() => undefined, 1000)`
  const running = await start(node('--input-type=module', '--eval', script), /it waits/, root)
  running.signal('SIGINT')
  await running.says(/it goes on/)
  running.signal('SIGINT')
  expect((await running.ended).status).toBe(130)
})
