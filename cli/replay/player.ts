/** Plays an asciicast (version 2) on a terminal: in its own time or faster, with pauses; or all of it at once. */
import { LedgerError } from '../../lib/errors.ts'
import { SafeTerminal } from './safe.ts'

export interface CastEvent {
  /** Seconds from the beginning. */
  readonly at: number
  readonly code: 'o' | 'i' | 'r' | 'm'
  readonly text: string
}

export interface Cast {
  readonly width: number
  readonly height: number
  readonly events: readonly CastEvent[]
}

/** @throws LedgerError ERR_LEDGER_CORRUPT */
export function parseCast(text: string): Cast {
  const [first, ...lines] = text.split('\n').filter(line => line !== '')
  try {
    const { version, width, height } = JSON.parse(first ?? '') as Record<string, number>
    if (version !== 2 || !Number.isSafeInteger(width) || !Number.isSafeInteger(height)) throw new Error('its head')
    const events = lines.map(line => {
      const [at, code, shown] = JSON.parse(line) as [number, CastEvent['code'], string]
      if (typeof at !== 'number' || typeof shown !== 'string' || !'oirm'.includes(code)) throw new Error('an event')
      return { at, code, text: shown }
    })
    return { width: width!, height: height!, events }
  } catch (cause) {
    throw new LedgerError('ERR_LEDGER_CORRUPT', 'the recording is no asciicast', {}, cause)
  }
}

export interface PlayOptions {
  /** How many times as fast; 0: at once. */
  readonly speed: number
  /** Seconds that nothing happened for count as this many at most. */
  readonly idle: number
  /** Seconds to begin at. */
  readonly from: number
  /** Waits, in milliseconds. @returns `quit` to end */
  readonly wait: (ms: number) => Promise<'go on' | 'quit'>
  readonly write: (text: string) => void
}

/** What was typed is not shown: the terminal's echo of it is. */
export async function play({ events }: Cast, { speed, idle, from, wait, write }: PlayOptions): Promise<void> {
  const terminal = new SafeTerminal()
  let last = from
  for (const { at, code, text } of events) {
    const pause = at < from ? 0 : Math.min(at - last, idle)
    last = Math.max(last, at)
    if (speed > 0 && pause > 0 && (await wait((pause * 1000) / speed)) === 'quit') return
    if (code === 'o') write(terminal.show(text))
  }
}

/** Where a text was shown or typed: seconds and the line, for `--search`. Escape sequences do not part it. */
export function search({ events }: Cast, sought: string): readonly { readonly at: number; readonly line: string }[] {
  const found: { at: number; line: string }[] = []
  let line = ''
  for (const { at, code, text } of events) {
    if (code !== 'o' && code !== 'i') continue
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
    line += text.replaceAll(/\u001b(\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\))/g, '')
    if (line.includes(sought)) {
      const within = line.split(/\r?\n/).find(one => one.includes(sought)) ?? sought
      found.push({ at, line: within })
      line = ''
    }
    line = line.slice(-4096)
  }
  return found
}
