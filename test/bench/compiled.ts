/** The code as it is shipped: under tsx functions are renamed at run time, and a thread takes longer to start than what it is to do. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Within the package, so that what it imports is found.
const folder = join(root, 'node_modules/.cache/counterfoil-bench')

/** Compiles lib/ and evidence/, without a look at types. @returns the URL of a compiled module, by its path without suffix */
export function compiled(): (module: string) => string {
  rmSync(folder, { recursive: true, force: true })
  const compilerOptions: ts.CompilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2023,
    rewriteRelativeImportExtensions: true,
    verbatimModuleSyntax: true,
  }
  for (const part of ['lib', 'evidence']) {
    for (const name of readdirSync(join(root, part), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue
      const source = readFileSync(join(root, part, name), 'utf8')
      const file = join(folder, part, `${name.slice(0, -3)}.js`)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, ts.transpileModule(source, { compilerOptions, fileName: name }).outputText)
    }
  }
  return module => pathToFileURL(join(folder, `${module}.js`)).href
}
