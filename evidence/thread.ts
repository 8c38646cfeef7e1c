/** A thread of a verification: examines the bundles that it is asked about, one question after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { LedgerFiles } from './ledger-files.ts'
import { type Stored, storedIn } from './stored.ts'
import type { Answered, Asked, ThreadData } from './threads.ts'

const { directory } = workerData as ThreadData
const files = await LedgerFiles.open(directory)

parentPort!.on('message', async ({ number, task }: Asked) => {
  const stored: Stored[] = []
  for await (const one of storedIn(files, task)) stored.push(one)
  const answered: Answered = { number, stored }
  parentPort!.postMessage(answered)
})
