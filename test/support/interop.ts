/**
 * Tests that need a program of others' making: `interop('gpg', 'a seal verifies with gpg', async gpg => ...)`.
 * Where it is not installed the test is skipped with its name said; with COUNTERFOIL_INTEROP=required it fails instead.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { it } from 'vitest'

/** Where distributions put programs that are not always on the path of a test runner. */
const elsewhere = [
  '/usr/local/go/bin',
  '/usr/lib/postgresql/15/bin',
  '/usr/lib/postgresql/17/bin',
  '/usr/sbin',
  '/sbin',
]

/** @returns the program's path, or undefined where it is not installed */
export function findTool(tool: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...elsewhere]
  return folders
    .filter(folder => folder !== '')
    .map(folder => join(folder, tool))
    .find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export const interopRequired = (): boolean => process.env.COUNTERFOIL_INTEROP === 'required'

/** Whether a group of tests must be left out: its title names the tool. Where tools are required none is, and it fails. */
export const without = (tool: string): boolean => findTool(tool) === undefined && !interopRequired()

/**
 * Registers one test that needs `tool`, or several (`['go', 'flock']`: all of them).
 * @param test is given the path of the (first) tool
 */
export function interop(
  tool: string | readonly string[],
  title: string,
  test: (path: string) => void | Promise<void>,
  timeout?: number,
): void {
  const tools = typeof tool === 'string' ? [tool] : tool
  const missing = tools.filter(name => findTool(name) === undefined)
  if (missing.length === 0) {
    it(title, () => test(findTool(tools[0]!)!), timeout)
    return
  }
  const why = `${missing.join(' and ')} not installed`
  if (!interopRequired()) {
    it.skip(`${title} (skipped: ${why})`, () => undefined)
    return
  }
  it(title, () => {
    throw new Error(`COUNTERFOIL_INTEROP=required, and ${why}`)
  })
}
