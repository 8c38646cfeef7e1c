/** A door in a process of its own. */
import { fork } from 'node:child_process'
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

/** @param folder where its ledger may lie */
export async function openDoor(asked: Omit<Asked, 'directory'>, folder: string): Promise<Opened> {
  const directory = join(mkdtempSync(join(folder, `${asked.door}-`)), 'ledger')
  const file = fileURLToPath(new URL('./server.ts', import.meta.url))
  const child = fork(file, [JSON.stringify({ ...asked, directory })], { stdio: 'inherit' })
  const [first] = await Promise.race([once(child, 'message'), once(child, 'exit')])
  if (typeof first !== 'object') throw new Error(`the door ${asked.door} did not open`)
  return {
    port: (first as { port: number }).port,
    async usage() {
      child.send('usage')
      return (await once(child, 'message'))[0] as Usage
    },
    close: () => child.kill(),
  }
}
