/** Bundles examined by several threads, and handed on in order: what comes out is what one thread would give, or an error. */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import type { Stored, Task } from './stored.ts'

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

/** @throws ThreadFailed where one ends before it has answered */
export async function* storedByThreads(directory: string, whole: Task, threads: number): AsyncGenerator<Stored> {
  const crew = Array.from({ length: threads }, () => new Thread(directory))
  try {
    const waiting: Promise<readonly Stored[]>[] = []
    let [from, number] = [whole.from, 0]
    while (from < whole.to || waiting.length > 0) {
      while (from < whole.to && waiting.length < threads * tasksAhead) {
        const task = taskOf(whole, from, Math.min(whole.to, from + bundlesInTask))
        waiting.push(crew[number % threads]!.ask({ number, task }))
        from = task.to
        number += 1
      }
      yield* await waiting.shift()!
    }
  } finally {
    await Promise.all(crew.map(thread => thread.end()))
  }
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

  ask(asked: Asked): Promise<readonly Stored[]> {
    const answer = new Promise<readonly Stored[]>((resolve, reject) => {
      if (this.#failed !== undefined) return reject(this.#failed)
      this.#waiting.set(asked.number, { resolve, reject })
      this.#worker.postMessage(asked)
    })
    // Whoever takes answers in order may never come to this one.
    answer.catch(() => undefined)
    return answer
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
