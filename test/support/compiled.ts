/**
 * The product as plain JavaScript, for tests that start it as a command, and with it the scripts that tests start: a
 * process that compiles its own sources takes longer to start than what it is to do. Compiled once for each state of
 * the sources, without a look at types, and kept within node_modules, where packages are found from.
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
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync, version } from 'esbuild'

const root = fileURLToPath(new URL('../../', import.meta.url))
const parts = ['lib', 'adapters', 'evidence', 'cli', 'conformance', 'test']
/** As the output has it, but for the quote at its end. */
const relativeImport = /(\b(?:from |import ?\(?)"\.\.?\/[^"\n]+)\.ts"/g

let made: string | undefined

/** @returns the folder in which `cli/main.ts` is `cli/main.js` */
export function compiled(): string {
  made ??= compile()
  return made
}

/** @param source the URL of a script of the tests, or of the product. @returns its path as JavaScript, for node alone */
export const compiledScript = (source: URL): string =>
  join(compiled(), relative(root, fileURLToPath(source)).replace(/\.ts$/, '.js'))

function compile(): string {
  const sources = parts.flatMap(part =>
    readdirSync(join(root, part), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts') && !/\.(test|d)\.ts$/.test(name))
      .sort()
      .map(name => join(part, name)),
  )
  const digest = createHash('sha256').update(version)
  for (const path of sources) digest.update(`${path}\0${readFileSync(join(root, path), 'utf8')}\0`)
  const cache = join(root, 'node_modules/.cache/counterfoil-compiled')
  const folder = join(cache, digest.digest('hex').slice(0, 16))
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  const making = mkdtempSync(join(cache, 'making-'))
  const { outputFiles } = buildSync({
    ...{ absWorkingDir: root, entryPoints: sources, outbase: '.', outdir: making, write: false, bundle: false },
    ...{ format: 'esm', platform: 'node', target: 'node20', sourcemap: false, logLevel: 'error' },
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  for (const { path, text } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text.replaceAll(relativeImport, '$1.js"'))
  }
  copyFileSync(join(root, 'package.json'), join(making, 'package.json'))
  place(making, folder)
  // Of states of before, an hour old: nothing runs from them any more. Another file of tests may be removing them too.
  for (const name of readdirSync(cache)) {
    const path = join(cache, name)
    const found = statSync(path, { throwIfNoEntry: false })
    if (path !== folder && found !== undefined && found.mtimeMs < Date.now() - 3_600_000)
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
