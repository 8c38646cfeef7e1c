/**
 * What a path means: its one spelling, and where it leads. A symbolic link makes one file reachable under a path that policy knows
 * nothing of, so a request is judged by both, and sent on by where it led: all of them must be permitted, and every mask of each applies.
 * Paths are bytes; they are kept as latin1 text here, a character a byte.
 */
import { Refusal } from '../../../lib/errors.ts'
import type { Json } from '../../../lib/format/canonical.ts'
import { spelt } from '../operation.ts'

export interface Path {
  /** As asked for, made absolute; `.`, `..` and doubled slashes are still in it. */
  readonly asked: string
  /** Every absolute path that it may mean. */
  readonly means: readonly string[]
  /** Where it leads, as the host says; as spelt, where the host does not. */
  readonly leads: string
}

/** Asks the host where a path leads. @returns undefined where it leads nowhere */
export type RealPath = (path: string) => Promise<string | undefined>

export class Paths {
  readonly #realPath: RealPath
  /** What relative paths are relative to. */
  readonly #home: string

  constructor(realPath: RealPath, home: string) {
    this.#realPath = realPath
    this.#home = home
  }

  /** @param follow whether the request follows a link at the very end of the path. @throws Refusal ERR_ACCESS_DENIED */
  async resolve(bytes: Buffer, follow: boolean): Promise<Path> {
    const asked = absolute(textOf(bytes), this.#home)
    const literal = normal(asked)
    const [, folder, name] = /^(.*?)\/+([^/]+)\/*$/s.exec(asked) ?? []
    let leads: string | undefined
    if (follow || name === undefined || name === '.' || name === '..') leads = await this.#realPath(asked)
    else {
      const real = await this.#realPath(folder === '' ? '/' : folder!)
      leads = real === undefined ? undefined : `${real}/${name}`
    }
    leads = leads?.startsWith('/') ? normal(leads) : literal
    return { asked, means: [...new Set([literal, leads])], leads }
  }

  /**
   * Every path that a link's target may mean: relative ones are relative to the link, but servers take the two in either order (OpenSSH
   * does not keep to the draft).
   */
  async either(one: Buffer, other: Buffer): Promise<readonly Path[]> {
    const found: Path[] = []
    for (const [of, beside] of [
      [one, other],
      [other, one],
    ] as const) {
      found.push(await this.resolve(of, false))
      const text = textOf(of)
      if (text.startsWith('/')) continue
      const near = absolute(textOf(beside), this.#home).replace(/\/+[^/]*\/*$/, '')
      found.push(await this.resolve(Buffer.from(`${near}/${text}`, 'latin1'), true))
    }
    return found
  }
}

function textOf(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  // C ends a path there, and would mean another one than was judged.
  if (text.includes('\0')) throw new Refusal('ERR_ACCESS_DENIED', 'a path with a NUL in it')
  return text
}

const absolute = (path: string, home: string) => (path.startsWith('/') ? path : `${home}/${path}`)

/** Without `.`, `..`, doubled and final slashes. */
export function normal(path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  return `/${kept.join('/')}`
}

/** `TARGET/HOST/LOGIN/sftp/srv/data` */
export const resourceOf = (base: string, path: string): string =>
  `${base}/sftp${path
    .split('/')
    .map(segment => spelt(Buffer.from(segment, 'latin1')))
    .join('/')}`

/** A path as an approver reads it: as text where it is some, else spelt as in resources, under another name. */
export function shown(path: string): { readonly [name: string]: Json } {
  const bytes = Buffer.from(path, 'latin1')
  const text = bytes.toString('utf8')
  return Buffer.from(text).equals(bytes)
    ? { path: text }
    : {
        bytes: path
          .split('/')
          .map(s => spelt(Buffer.from(s, 'latin1')))
          .join('/'),
      }
}
