/** Key files of a rotation: the new key waits beside the old one, whole or absent, and takes its place when the ledger names it. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Misuse } from '../../lib/errors.ts'

export const nextFile = (path: string): string => `${path}.next`

/** Owner only, durable, and never half written. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const aside = `${path}.tmp`
  await rm(aside, { force: true })
  const file = await open(aside, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(aside, path)
  await syncFolder(dirname(path))
}

/** @returns its text, or undefined where there is none */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Misuse('ERR_OPTION_INVALID', `${path} cannot be read`, {}, error)
  }
}

/** The new key takes the old one's place, in one step; the old one stays beside it. @returns where the old one is now */
export async function replaceKey(path: string, old: string): Promise<string> {
  const kept = join(dirname(path), `${basename(path)}.until-${old}`)
  await link(path, kept).catch((error: NodeJS.ErrnoException) => {
    // A run that was cut off here has kept it already.
    if (error.code !== 'EEXIST') throw error
  })
  await rename(nextFile(path), path)
  await syncFolder(dirname(path))
  return kept
}

/**
 * ssh refuses a private key that others can read, and so does a rotation: it would make another
 * one like it. @throws Misuse ERR_OPTION_INVALID
 */
export async function requireOwnerOnly(path: string): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return
  throw new Misuse(
    'ERR_OPTION_INVALID',
    `${path} can be read by others (mode ${(mode & 0o777).toString(8)}): chmod 600 it first`,
  )
}

/** @throws Misuse ERR_OPTION_INVALID */
export function notePrivateKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new Misuse('ERR_OPTION_INVALID', `${path} is no private key in PEM`)
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}
