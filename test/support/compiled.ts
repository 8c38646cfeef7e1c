/**
 * The product as plain JavaScript, for tests that start it as a command: a process that compiles its own sources takes longer to start than
 * what it is to do. Compiled once for each state of the sources, without a look at types, and kept within node_modules, where packages are found from.
 */
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))
const parts = ['lib', 'adapters', 'evidence', 'cli', 'conformance']
const compilerOptions: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2023,
  rewriteRelativeImportExtensions: true,
  verbatimModuleSyntax: true,
}

/** @returns the folder in which `cli/main.ts` is `cli/main.js` */
export function compiled(): string {
  const sources = parts.flatMap(part =>
    readdirSync(join(root, part), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts'))
      .sort()
      .map(name => ({ path: join(part, name), text: readFileSync(join(root, part, name), 'utf8') })),
  )
  const digest = createHash('sha256').update(ts.version)
  for (const { path, text } of sources) digest.update(`${path}\0${text}\0`)
  const cache = join(root, 'node_modules/.cache/counterfoil-compiled')
  const folder = join(cache, digest.digest('hex').slice(0, 16))
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  const made = mkdtempSync(join(cache, 'making-'))
  for (const { path, text } of sources) {
    const file = join(made, path.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, ts.transpileModule(text, { compilerOptions, fileName: path }).outputText)
  }
  copyFileSync(join(root, 'package.json'), join(made, 'package.json'))
  place(made, folder)
  // Of states of before, an hour old: nothing runs from them any more.
  for (const name of readdirSync(cache)) {
    const path = join(cache, name)
    if (path !== folder && statSync(path).mtimeMs < Date.now() - 3_600_000)
      rmSync(path, { recursive: true, force: true })
  }
  return folder
}

/** Two files of tests may have made it at once: then one of them is enough. */
function place(made: string, folder: string): void {
  try {
    renameSync(made, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
    rmSync(made, { recursive: true, force: true })
  }
}
