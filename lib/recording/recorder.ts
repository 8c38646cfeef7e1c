/** The port of a recorder: from what happens to the bytes of a recording. Which one a reply gets, its head says. */
import type { Input } from '../exchange.ts'
import type { Data, Head } from '../reply.ts'
import { Asciicast, asciicastType } from './asciicast.ts'
import type { KeptInput } from './kept.ts'
import { Timeline } from './timeline.ts'

export interface Recorder {
  /** Media type of the whole. */
  readonly type: string
  /** @param at milliseconds since the recording began. @returns bytes to be kept, maybe none yet */
  head(head: Head, at: number): Uint8Array
  data(frame: Data, at: number): Uint8Array
  input(input: Input, at: number): Uint8Array
  /** What is still owed. @param bytes how the reply ended, where the protocol says it in bytes: a tag, an error */
  end(at: number, bytes?: Uint8Array): Uint8Array
}

/**
 * @param now Unix milliseconds at its beginning
 * @param kept what of the input is
 */
export function recorderFor(
  head: Head,
  now: number,
  kept: KeptInput,
): { readonly recorder: Recorder; readonly part: 'terminal' | 'response' } {
  const { form } = head
  if (form.kind === 'text' && form.terminal !== undefined) {
    return { recorder: new Asciicast(form.terminal, now, kept), part: 'terminal' }
  }
  return { recorder: new Timeline(kept), part: 'response' }
}

export { asciicastType }
