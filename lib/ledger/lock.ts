/**
 * One writer for each directory, with no native module: a child `flock -xn 3` locks a descriptor that it inherits. The lock
 * belongs to the open file description, so it survives the child, and dies with this process, SIGKILL included. A second open in
 * the same process has a description of its own, and is refused as well.
 */
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  statfsSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { Fault, LedgerError, Misuse } from '../errors.ts'
import { asLinked, irregular } from './files.ts'

export const lockFile = 'LOCK'

/** File systems where flock is advisory at best between hosts (statfs f_type): NFS, SMB, CIFS, SMB2, AFS, Ceph, Lustre, GPFS. */
const networked = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x5346414f, 0x00c36400, 0x0bd00bd0, 0x47504653])

export interface Lock {
  /** Idempotent. */
  release(): void
  /**
   * @throws LedgerError ERR_LEDGER_LOCKED where its file was removed or replaced: another process may have locked the new one
   * @throws Fault ERR_LEDGER_UNAVAILABLE once it is released
   */
  requireHeld(): void
}

/**
 * @throws LedgerError ERR_LEDGER_LOCKED where another process, or this one, holds it; `data.pid` says who, where known
 * @throws LedgerError ERR_LEDGER_CORRUPT where LOCK is a link. Fault ERR_LEDGER_UNAVAILABLE where it could not be tried
 * @throws Misuse ERR_PACKAGE_MISSING without the program `flock`, ERR_OPTION_INVALID on a network file system
 */
export function lockDirectory(directory: string): Lock {
  if (networked.has(statfsSync(directory).type >>> 0)) {
    throw new Misuse('ERR_OPTION_INVALID', 'a ledger cannot live on a network file system: its lock would not hold')
  }
  const path = join(directory, lockFile)
  const descriptor = openLock(path)
  try {
    const child = spawnSync('flock', ['-xn', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] })
    const { error } = child
    if (error !== undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Misuse(
        'ERR_PACKAGE_MISSING',
        'the program flock (package util-linux) is needed to lock a ledger',
        {},
        error,
      )
    }
    // 1 is what it says of a lock that is held (flock(1), EXIT STATUS): anything else, that it could not try.
    if (child.status === 1) throw locked(descriptor)
    if (child.status !== 0) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger could not be locked', {}, error)
    ftruncateSync(descriptor)
    writeSync(descriptor, `${process.pid}\n`)
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
  let held = true
  // As long as it is open, no other file has its number.
  const { ino } = fstatSync(descriptor)
  return {
    requireHeld: () => {
      if (!held) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')
      if (lstatSync(path, { throwIfNoEntry: false })?.ino !== ino) throw lost()
    },
    release: () => {
      // Once: by the second time the number may be another file's.
      if (held) closeSync(descriptor)
      held = false
    },
  }
}

/** Written before anything is judged: no link is followed, and who holds it is read from nothing else than a file. */
function openLock(path: string): number {
  const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants
  let descriptor: number
  try {
    descriptor = openSync(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o644)
  } catch (error) {
    throw asLinked(error, path)
  }
  if (fstatSync(descriptor).isFile()) return descriptor
  closeSync(descriptor)
  throw irregular(path)
}

const lost = () =>
  new LedgerError(
    'ERR_LEDGER_LOCKED',
    `${lockFile} was removed or replaced: another process may have opened the ledger since. Nothing more is written; see who touched it, and start this process again`,
  )

function locked(descriptor: number): LedgerError {
  const pid = Number(/^\d{1,10}\n$/.exec(readFileSync(descriptor, 'latin1'))?.[0] ?? Number.NaN)
  const known = Number.isNaN(pid) ? {} : { pid }
  const who = Number.isNaN(pid) ? 'another process' : `process ${pid}`
  return new LedgerError(
    'ERR_LEDGER_LOCKED',
    `the ledger is open already, by ${who}: stop what writes to it first`,
    known,
  )
}
