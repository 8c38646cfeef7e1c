/** The scripted writer and what it imports as plain JavaScript, so that a thousand of them start in seconds and not in a thousand. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** @returns the path of the script, and what removes it all */
export function compileWriter(): { readonly script: string; remove(): void } {
  // Within node_modules, where packages are found from.
  const cache = join(root, 'node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  const out = mkdtempSync(join(cache, 'faults-'))
  writeFileSync(join(out, 'package.json'), '{"type":"module"}')
  for (const folder of ['lib', 'test/faults']) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue
      const { outputText } = ts.transpileModule(readFileSync(join(root, folder, name), 'utf8'), {
        compilerOptions: {
          module: ts.ModuleKind.ESNext,
          target: ts.ScriptTarget.ES2023,
          verbatimModuleSyntax: true,
          rewriteRelativeImportExtensions: true,
        },
      })
      const path = join(out, folder, name.replace(/\.ts$/, '.js'))
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, outputText)
    }
  }
  return {
    script: join(out, 'test/faults/children/scripted-writer.js'),
    remove: () => rmSync(out, { recursive: true, force: true }),
  }
}
