/** A file that is read again only when it is another one: moved into place, or written to. */
import { readFile, stat } from 'node:fs/promises'
import { Fault } from '../errors.ts'

/**
 * @param what it is, as an error names it
 * @returns a reader. @throws Fault ERR_IDENTITY_UNAVAILABLE where the file cannot be read, or is malformed
 */
export function readWhenChanged<T>(file: string, what: string, parse: (text: string) => T): () => Promise<T> {
  let known: { readonly state: string; readonly value: T } | undefined
  return async () => {
    try {
      const { ino, size, mtimeNs } = await stat(file, { bigint: true })
      const state = `${ino} ${size} ${mtimeNs}`
      if (known?.state !== state) known = { state, value: parse(await readFile(file, 'utf8')) }
      return known.value
    } catch (cause) {
      // Nobody is let in on what was known before.
      known = undefined
      throw new Fault('ERR_IDENTITY_UNAVAILABLE', `${what} cannot be read`, {}, cause)
    }
  }
}
