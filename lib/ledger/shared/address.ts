/** Where a ledger's leader listens for processes of the same host: a socket in a folder that only its owner may enter. */
import { chmodSync, closeSync, constants, lstatSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Misuse } from '../../errors.ts'

export const leaderFolder = 'leader'

export const socketFolder = (directory: string): string => join(directory, leaderFolder)

/** `sun_path` of unix(7) holds 108 bytes, the last of them zero. */
const longestPath = 107

export interface SocketAddress {
  readonly path: string
  /** Once it is bound, or connected to. */
  release(): void
}

/** A path that the system can take, however long the directory's is: then by way of a descriptor of the folder. */
export function socketAddress(directory: string): SocketAddress {
  const path = join(socketFolder(directory), 'socket')
  if (Buffer.byteLength(path) <= longestPath) return { path, release: () => undefined }
  const folder = openSync(socketFolder(directory), constants.O_RDONLY | constants.O_DIRECTORY)
  return { path: `/proc/self/fd/${folder}/socket`, release: () => closeSync(folder) }
}

/** By who holds the lock: nobody listens at a socket that is there by then. */
export function prepareAddress(directory: string): void {
  const folder = socketFolder(directory)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  requireOwn(folder)
  chmodSync(folder, 0o700)
  removeAddress(directory)
}

export const removeAddress = (directory: string): void =>
  rmSync(join(socketFolder(directory), 'socket'), { force: true })

/** That nobody else put the folder there, to be told what we append. @throws Misuse ERR_OPTION_INVALID */
export function requireOwn(folder: string): void {
  const { uid, mode } = lstatSync(folder)
  if (uid === process.geteuid?.() && (mode & constants.S_IFMT) === constants.S_IFDIR) return
  throw new Misuse('ERR_OPTION_INVALID', "the ledger's folder for its socket belongs to somebody else")
}
