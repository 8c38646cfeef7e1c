/** A door in a process of its own. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Asked } from './server.ts'

export const ways = ['bare', 'guarded', 'masked'] as const
export type Way = (typeof ways)[number]

export interface Usage {
  /** Most bytes held since it was last asked. */
  readonly peak: number
  /** Microseconds of processor time so far, of all threads. */
  readonly cpu: number
}

export interface Opened {
  readonly port: number
  usage(): Promise<Usage>
  close(): void
}

/** The next thing that a process says. @throws where it ends instead */
export async function said(child: ChildProcess): Promise<unknown> {
  const over = new AbortController()
  const { signal } = over
  const never = () => new Promise<never>(() => undefined)
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error('a process of the bench has failed')
  }, never)
  try {
    return (await Promise.race([once(child, 'message', { signal }), ended]))[0]
  } finally {
    over.abort()
  }
}

/** @param folder where its ledger may lie */
export async function openDoor(asked: Omit<Asked, 'directory'>, folder: string): Promise<Opened> {
  const directory = join(mkdtempSync(join(folder, `${asked.door}-`)), 'ledger')
  const file = fileURLToPath(new URL('./server.ts', import.meta.url))
  const child = fork(file, [JSON.stringify({ ...asked, directory })], { stdio: 'inherit' })
  const { port } = (await said(child)) as { port: number }
  return {
    port,
    async usage() {
      child.send('usage')
      return (await said(child)) as Usage
    },
    close: () => child.kill(),
  }
}
