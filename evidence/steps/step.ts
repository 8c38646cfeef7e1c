/**
 * Running named steps: each says what it established, fails with findings, or could not be made for want of what an earlier one gives.
 */
import { type AnyError, isOurs } from '../../lib/errors.ts'
import type { Step } from '../finding.ts'
import type { Findings } from '../findings.ts'

/** A step that could not be made. `needed`: without it the whole is incomplete; else it was not asked for. */
class NotExamined extends Error {
  readonly needed: boolean

  constructor(why: string, needed: boolean) {
    super(why)
    this.needed = needed
  }
}

export function skip(why: string, needed = true): never {
  throw new NotExamined(why, needed)
}

/** The values, each established. An earlier step that failed leaves undefined, and this one is not made. */
export function need<T extends readonly unknown[]>(...values: T): { [I in keyof T]: Exclude<T[I], undefined> } {
  if (values.some(value => value === undefined)) skip('an earlier step failed')
  return values as { [I in keyof T]: Exclude<T[I], undefined> }
}

/** What is said of no entry at all is no word on the ledger: the step over the tree has named what could not be read. */
export function needRead({ isUnread }: { readonly isUnread: boolean }): void {
  if (isUnread) skip('no entry could be read')
}

export interface StepsTaken {
  readonly steps: readonly Step[]
  /** Whether one was not made that the whole needs. */
  readonly skipped: boolean
}

export interface NamedStep<F> {
  readonly name: string
  /** @returns what it established. May add findings; a typed error becomes one more. */
  readonly run: () => Promise<string>
  readonly asFinding: (error: AnyError) => F
}

/**
 * Runs all of them, in order, also after a failure: what can still be told is.
 * @param findings to which steps add: one that added any has failed, and its detail is the first
 * @throws Misuse, and whatever is no error of ours: neither says anything of what is verified
 */
export async function takeSteps<F extends { readonly code: string; readonly what: string }>(
  named: readonly NamedStep<F>[],
  findings: Findings<F>,
): Promise<StepsTaken> {
  const steps: Step[] = []
  let skipped = false
  for (const { name, run, asFinding } of named) {
    let detail = ''
    try {
      detail = await run()
    } catch (error) {
      if (error instanceof NotExamined) {
        skipped ||= error.needed
        const found = findings.takeFirst()
        const status = found === undefined ? 'not-examined' : 'failed'
        steps.push({ name, status, detail: found?.what ?? error.message })
        continue
      }
      if (!isOurs(error) || error.name === 'Misuse') throw error
      findings.add(asFinding(error))
    }
    const first = findings.takeFirst()
    steps.push(first === undefined ? { name, status: 'ok', detail } : { name, status: 'failed', detail: first.what })
  }
  return { steps, skipped }
}
