/** The suite as a user has it: from the package, in a runner that is not ours. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { adapterConformance } from '../../conformance/index.ts'
import { install, root, shell } from '../support/samples.ts'
import { lineDoor } from './line.ts'

it('runs under node:test, from the package', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'counterfoil-conformance-'))
  try {
    install(folder, 'sources')
    const door = pathToFileURL(fileURLToPath(new URL('./line.ts', import.meta.url))).href
    const file = `
import { test } from 'node:test'
import { adapterConformance } from 'counterfoil/conformance'
import { lineDoor } from '${door}'
for (const { title, run } of adapterConformance(lineDoor())) test(title, run)
`
    writeFileSync(join(folder, 'door.test.mjs'), file)
    const loader = pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href
    const { status, text } = await shell(`"${process.execPath}" --import "${loader}" --test door.test.mjs`, folder)
    expect(status, text).toBe(0)
    expect(text).toMatch(new RegExp(`^. pass ${adapterConformance(lineDoor()).length}$`, 'm'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 300_000)
