/** Injects faults into the system calls of a running process, by strace: an error instead of the call, or a kill in front of it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import {
  certificateFile,
  entryBundle,
  hashTile,
  slotFile,
  slotsInFile,
  tileWidth,
  vaultBundle,
} from '../../lib/format/layout.ts'

export interface Injection {
  readonly call: string
  /** An errno; `ZERO`: nothing was done, and no error told; or `KILL`. */
  readonly fault: string
  /** Which call of a thread is hit, from 1 on. */
  readonly when: number
  /** Each further call so many later is hit too. */
  readonly every?: number
}

export const describeInjection = ({ call, fault, when, every }: Injection): string =>
  `${call} ${fault} when=${when}${every === undefined ? '' : `+${every}`}`

/**
 * Every call that the ledger makes on its files, what of it can fail, and how many of it a thread makes in the script.
 * An interrupted one is tried again by the runtime. `read` is not among them: threads wake each other by reading, and a
 * runtime that cannot ends at once.
 */
// biome-ignore format: a table
export const faults: readonly { readonly call: string; readonly errors: readonly string[]; readonly most: number }[] = [
  { call: 'openat',     errors: ['EIO', 'ENOSPC', 'EMFILE', 'EINTR'], most: 240 },
  { call: 'write',      errors: ['EIO', 'ENOSPC', 'EINTR'],           most: 150 },
  { call: 'pwrite64',   errors: ['EIO', 'ENOSPC', 'EINTR', 'ZERO'],   most: 40 },
  { call: 'fdatasync',  errors: ['EIO', 'ENOSPC', 'EINTR'],           most: 27 },
  { call: 'fsync',      errors: ['EIO', 'ENOSPC', 'EINTR'],           most: 155 },
  { call: 'rename',     errors: ['EIO', 'ENOSPC'],                    most: 61 },
  { call: 'unlink',     errors: ['EIO'],                              most: 36 },
  { call: 'mkdir',      errors: ['EIO', 'ENOSPC'],                    most: 84 },
  { call: 'rmdir',      errors: ['EIO'],                              most: 3 },
  { call: 'ftruncate',  errors: ['EIO', 'EINTR'],                     most: 2 },
  { call: 'getdents64', errors: ['EIO'],                              most: 88 },
  { call: 'statx',      errors: ['EIO'],                              most: 76 },
]

const effect = ({ fault, when, every }: Injection): string => {
  const what = fault === 'KILL' ? 'signal=KILL' : fault === 'ZERO' ? 'retval=0' : `error=${fault}`
  return `${what}:when=${when}${every === undefined ? '' : `+${every}`}`
}

const widths = Array.from({ length: tileWidth }, (_, i) => i + 1)
const tiles = widths.flatMap(width =>
  [0, 1].flatMap(n => [entryBundle(n, width), vaultBundle(n, width), hashTile(0, n, width)]),
)
const slots = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(batch => slotFile(batch * slotsInFile))
const aside = ['checkpoint', 'checkpoint.d', 'epoch', certificateFile, hashTile(1, 0, 1), ...tiles, ...slots]
const writtenFiles = ['LOCK', ...slots, ...aside.map(path => `${path}.tmp`)]

/** @returns strace itself, attached to every thread of the process */
export function inject(strace: string, pid: number, injection: Injection, directory: string): Promise<ChildProcess> {
  const { call } = injection
  const rule = ['-e', `trace=${call}`, '-e', `inject=${call}:${effect(injection)}`]
  // Threads wake each other by writing too: of those calls, only the ones on the ledger's files are meant.
  const only = call === 'write' ? writtenFiles.map(path => join(directory, path)) : []
  return attach(strace, pid, [...rule, ...onlyOn(only)])
}

/** The same for calls on these paths, and no other. @param log where each is told. @returns what detaches it again */
export const injectOn = (strace: string, pid: number, injection: Injection, paths: readonly string[], log: string) =>
  attached(strace, pid, [
    ...['-e', `trace=${injection.call}`, '-e', `inject=${injection.call}:${effect(injection)}`],
    ...onlyOn(paths),
    ...['-o', log],
  ])

/** Lets every call go on, and tells it, with the paths of its descriptors. @returns what detaches it again */
export const watch = (strace: string, pid: number, calls: readonly string[], log: string) =>
  attached(strace, pid, ['-y', '-s', '0', '-e', `trace=${calls.join(',')}`, '-o', log])

/** @returns what detaches it again */
async function attached(strace: string, pid: number, options: readonly string[]): Promise<() => Promise<void>> {
  const child = await attach(strace, pid, options)
  return async () => {
    child.kill('SIGINT')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}

const onlyOn = (paths: readonly string[]) => paths.flatMap(path => ['-P', path])

/** @returns strace, once it is attached to every thread of the process */
function attach(strace: string, pid: number, options: readonly string[]): Promise<ChildProcess> {
  const log = options.includes('-o') ? [] : ['-o', '/dev/null']
  const child = spawn(strace, ['-f', ...log, ...options, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
  return new Promise((resolve, reject) => {
    let said = ''
    child.stderr.on('data', chunk => {
      said += chunk
      if (said.includes('attached')) resolve(child)
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`strace did not attach: ${said.trim()}`)))
  })
}
