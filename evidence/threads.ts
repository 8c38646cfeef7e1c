/** Bundles examined by several threads, and handed on in order: what comes out is what one thread would give, or an error. */
import { createRequire } from 'node:module'
import { setImmediate } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import type { LedgerFiles } from './ledger-files.ts'
import { type Stored, storedIn, type Task } from './stored.ts'

/** A bundle takes a millisecond: so many make a task worth handing over, and bound what waits to be taken. */
const bundlesInTask = 16
const tasksAhead = 2

/** As it was built; or as it was written, and then read as this file is, which Node 20 does not do in threads by itself. */
const asWritten = import.meta.url.endsWith('.ts')
const script = new URL(asWritten ? './thread.ts' : './thread.js', import.meta.url)

function threadOptions(workerData: ThreadData): WorkerOptions {
  if (!asWritten) return { workerData }
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm/api')).href.replace(/cjs$/, 'mjs')
  const register = `data:text/javascript,import { register } from ${JSON.stringify(loader)}; register()`
  return { workerData, execArgv: [...process.execArgv, '--import', register] }
}

/** What a thread is given at its start. */
export interface ThreadData {
  readonly directory: string
}

/** What it is asked, by number, and answers. */
export interface Asked {
  readonly number: number
  readonly task: Task
}
export interface Answered {
  readonly number: number
  readonly stored: readonly Stored[]
}

/** Not the ledger's fault: says nothing of it, and so is no finding. */
class ThreadFailed extends Error {
  override readonly name = 'ThreadFailed'
}

/**
 * This thread takes the answers in order, and its own part of the work while the next one is not there: a thread more
 * would have all its code to compile, and what it finds to hand over.
 * @param threads with this one: 2 or more
 * @throws ThreadFailed where one ends before it has answered
 */
export async function* storedByThreads(
  files: LedgerFiles,
  directory: string,
  whole: Task,
  threads: number,
): AsyncGenerator<Stored> {
  const crew = Array.from({ length: threads - 1 }, () => new Thread(directory))
  try {
    const parts: Part[] = []
    let [from, number] = [whole.from, 0]
    const next = () => {
      const task = taskOf(whole, from, Math.min(whole.to, from + bundlesInTask))
      from = task.to
      number += 1
      return { number, task }
    }
    const most = threads * tasksAhead
    while (from < whole.to || parts.length > 0) {
      for (const thread of crew) {
        while (from < whole.to && parts.length < most && thread.asked < tasksAhead) parts.push(thread.ask(next()))
      }
      // Answers that are there come in.
      await setImmediate()
      const first = parts[0]
      if (first?.stored !== undefined) {
        parts.shift()
        yield* first.stored
      } else if (from < whole.to && parts.length < most) {
        const stored: Stored[] = []
        for await (const one of storedIn(files, next().task)) stored.push(one)
        parts.push({ stored, answered: Promise.resolve() })
      } else {
        await first?.answered
      }
    }
  } finally {
    await Promise.all(crew.map(thread => thread.end()))
  }
}

/** What some bundles hold, as soon as that is known. */
interface Part {
  stored: readonly Stored[] | undefined
  /** Rejects where it will never be known. */
  readonly answered: Promise<void>
}

/** What is handed over is copied: of the bundles whose leaves are wanted, only those of the task. */
function taskOf(whole: Task, from: number, to: number): Task {
  const leaves = new Set<number>()
  for (let n = from; n < to; n += 1) if (whole.leaves.has(n)) leaves.add(n)
  return { ...whole, from, to, leaves }
}

class Thread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, { resolve(stored: readonly Stored[]): void; reject(error: Error): void }>()
  #failed: Error | undefined

  constructor(directory: string) {
    this.#worker = new Worker(script, threadOptions({ directory }))
    this.#worker.on('message', ({ number, stored }: Answered) => {
      this.#waiting.get(number)?.resolve(stored)
      this.#waiting.delete(number)
    })
    this.#worker.on('error', cause => this.#fail(new ThreadFailed('a thread of the verification failed', { cause })))
    this.#worker.on('exit', () => this.#fail(new ThreadFailed('a thread of the verification ended before its work')))
  }

  /** How much it has been asked and not answered. */
  get asked(): number {
    return this.#waiting.size
  }

  ask(asked: Asked): Part {
    const answered = new Promise<readonly Stored[]>((resolve, reject) => {
      if (this.#failed !== undefined) return reject(this.#failed)
      this.#waiting.set(asked.number, { resolve, reject })
      this.#worker.postMessage(asked)
    }).then(stored => {
      part.stored = stored
    })
    const part: Part = { stored: undefined, answered }
    // Whoever takes answers in order may never come to this one.
    answered.catch(() => undefined)
    return part
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #fail(error: Error): void {
    this.#failed ??= error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
