/**
 * What a kill in the midst of something would leave: the folder as it lies just before the n-th of the
 * calls that change files, without ending the process. Of the write-ahead log, which is written past these
 * calls, it has whatever of a write has come so far.
 */
import {
  appendFileSync,
  cpSync,
  existsSync,
  promises as fs,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'
import { decodeFrame } from '../../lib/format/frame.ts'

type Call = (...args: unknown[]) => Promise<unknown>
const calls = ['mkdir', 'open', 'rename', 'rm', 'unlink'] as const
const callsOfFiles = ['sync', 'truncate', 'write', 'writeFile'] as const

export interface Crash {
  readonly directory: string
  /** Where the image goes: a folder that is not there yet. */
  readonly image: string
  /** At which call, from 1; where there are fewer, the image is taken at the end. */
  readonly at: number
}

/**
 * Does the work to its end, whatever comes of it.
 * @param work is told whether the image was taken: what is acknowledged before must be in it
 */
export async function crashDuring(
  { directory, image, at }: Crash,
  work: (isTaken: () => boolean) => Promise<unknown>,
): Promise<void> {
  let met = 0
  const isTaken = () => met >= at
  const restore = await beforeEachCall(() => {
    met += 1
    if (met === at) copy(directory, image)
  })
  try {
    await work(isTaken).catch(() => undefined)
  } finally {
    restore()
  }
  if (!isTaken()) copy(directory, image)
}

/** Calls back before each call that changes a file. @returns what ends it */
export async function beforeEachCall(before: () => void): Promise<() => void> {
  const file = await fs.open('/dev/null')
  const ofFiles = Object.getPrototypeOf(file) as Record<string, Call>
  await file.close()
  const undo = [
    ...calls.map(name => replace(fs as unknown as Record<string, Call>, name, before)),
    ...callsOfFiles.map(name => replace(ofFiles, name, before)),
  ]
  return () => {
    for (const each of undo) each()
  }
}

function replace(of: Record<string, Call>, name: string, before: () => void): () => void {
  const real = of[name]!
  of[name] = function (this: unknown, ...args: unknown[]) {
    before()
    return real.apply(this, args)
  }
  return () => {
    of[name] = real
  }
}

/** A call that is under way in another thread may take a file away while it is copied: then it is copied anew. */
export function copy(directory: string, image: string): void {
  for (let left = 20; ; left -= 1) {
    try {
      cpSync(directory, image, { recursive: true })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || left === 0) throw error
      rmSync(image, { recursive: true, force: true })
    }
  }
}

/** Bytes of a write that was cut off, behind the last frame. */
export function tear(directory: string, rubbish: Uint8Array): void {
  const folder = join(directory, 'wal')
  const name = existsSync(folder)
    ? readdirSync(folder)
        .filter(one => one.endsWith('.seg'))
        .at(-1)
    : undefined
  if (name === undefined) return
  const path = join(folder, name)
  const bytes = readFileSync(path)
  let end = 0
  for (let next = decodeFrame(bytes, 0); next !== undefined; next = decodeFrame(bytes, end)) end = next.end
  truncateSync(path, end)
  appendFileSync(path, rubbish)
}
