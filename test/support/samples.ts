/** The samples of README.md, as they stand there, and what it takes to run them: a shell with the command on its path. */
import { spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { transformSync } from 'esbuild'
import { compiled } from './compiled.ts'

export const root = fileURLToPath(new URL('../../', import.meta.url))
export const read = (path: string): string => readFileSync(join(root, path), 'utf8')
export const manifest = JSON.parse(read('package.json')) as {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
}

/** Each fenced block behind `<!-- sample: NAME -->`, by name. */
export const samples: ReadonlyMap<string, string> = new Map(
  [...read('README.md').matchAll(/<!-- sample: (\S+) -->\n```\w*\n([\s\S]*?)```/g)].map(([, name, text]) => [
    name!,
    text!,
  ]),
)

export function sample(name: string): string {
  const text = samples.get(name)
  if (text === undefined) throw new Error(`README.md has no sample ${name}`)
  return text
}

/** The source that the build makes a file of dist/ from. */
export const sourceOf = (built: string): string => built.replace(/^(\.\/)?dist\//, '').replace(/(\.d\.ts|\.js)$/, '.ts')

const builtOf = (built: string): string => built.replace(/^(\.\/)?dist\//, '')

const loader = pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href

/**
 * A folder in which `counterfoil` is a command and a package, as if installed: made from the manifest.
 * @param of the sources as they are compiled; or as they lie, for who imports them from elsewhere too: twice over, nothing is of one make
 */
export function install(folder: string, of: 'compiled' | 'sources' = 'compiled'): void {
  const built = of === 'compiled' ? compiled() : root
  const placeOf = of === 'compiled' ? builtOf : sourceOf
  const modules = join(folder, 'node_modules')
  const own = join(modules, 'counterfoil')
  mkdirSync(join(modules, '.bin'), { recursive: true })
  mkdirSync(own)
  const main = join(built, placeOf(manifest.bin.counterfoil!))
  const command = `#!/bin/sh\nexec "${process.execPath}" ${of === 'compiled' ? '' : `--import "${loader}" `}"${main}" "$@"\n`
  writeFileSync(join(modules, '.bin/counterfoil'), command, { mode: 0o755 })
  const entries = Object.entries(manifest.exports).flatMap(([subpath, target], i) => {
    if (typeof target === 'string') return []
    const module = pathToFileURL(join(built, placeOf(target.default))).href
    writeFileSync(join(own, `${i}.js`), `export * from ${JSON.stringify(module)}\n`)
    writeFileSync(join(own, `${i}.d.ts`), `export * from ${JSON.stringify(join(root, sourceOf(target.default)))}\n`)
    return [[subpath, { types: `./${i}.d.ts`, default: `./${i}.js` }]]
  })
  const exported = { name: 'counterfoil', type: 'module', exports: Object.fromEntries(entries) }
  writeFileSync(join(own, 'package.json'), JSON.stringify(exported))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  for (const name of ['express', 'pg', '@types']) symlinkSync(join(root, 'node_modules', name), join(modules, name))
}

export interface Ran {
  readonly status: number | null
  /** Both streams, as a person sees them. */
  readonly text: string
}

export type Environment = Readonly<Record<string, string>>

const environment = (folder: string, extra: Environment) => ({
  ...process.env,
  NO_COLOR: '1',
  COUNTERFOIL_HOME: join(folder, 'home'),
  PATH: `${join(folder, 'node_modules/.bin')}:${process.env.PATH}`,
  ...extra,
})

/** Runs shell text to its end, in `folder`. */
export function shell(text: string, folder: string, extra: Environment = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-eu', '-c', text], { cwd: folder, env: environment(folder, extra) })
    let seen = ''
    child.stdin.end()
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', part => (seen += part))
    child.once('error', reject)
    child.once('close', status => resolve({ status, text: seen }))
  })
}

export interface Running {
  signal(name: NodeJS.Signals): void
  /** Resolves when it has printed this, from its start on. */
  says(pattern: RegExp): Promise<void>
  stop(): Promise<Ran>
  /** Resolves when it has ended by itself, or was told to. */
  readonly ended: Promise<Ran>
}

/** Starts what goes on until it is stopped. @param ready what it prints when it can be used; undefined: nothing is waited for */
export async function start(
  command: readonly string[],
  ready: RegExp | undefined,
  folder: string,
  extra: Environment = {},
): Promise<Running> {
  const child = spawn(command[0]!, command.slice(1), { cwd: folder, env: environment(folder, extra) })
  const printed = new EventEmitter().setMaxListeners(0)
  let seen = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', part => {
      seen += part
      printed.emit('more')
    })
  }
  const ended = new Promise<Ran>((done, reject) => {
    child.once('error', reject)
    child.once('close', status => done({ status, text: seen }))
  })
  const says = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (pattern.test(seen)) resolve()
      }
      printed.on('more', look)
      ended.then(({ text }) => reject(new Error(`it ended and did not say ${pattern}: ${text}`)), reject)
      look()
    })
  if (ready !== undefined) await says(ready)
  return {
    signal: name => void child.kill(name),
    says,
    ended,
    stop: () => {
      child.kill('SIGTERM')
      return ended
    },
  }
}

/** Node over the sources: `[node, --import, tsx, ...]`. */
export const node = (...args: string[]): string[] => [process.execPath, '--import', loader, ...args]

/** Makes plain JavaScript of a file of `folder`, without a look at types. @returns what starts it */
export function plain(file: string, folder: string): string[] {
  const { code } = transformSync(readFileSync(join(folder, file), 'utf8'), { loader: 'ts', format: 'esm' })
  const made = file.replace(/\.ts$/, '.js')
  writeFileSync(join(folder, made), code)
  return [process.execPath, made]
}

export async function freePort(): Promise<string> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return String(port)
}
