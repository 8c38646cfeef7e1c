/** Durations as people write them: a whole number and one unit, `30s`, `15m`, `8h`, `30d`. */
import { Misuse } from './errors.ts'

const units = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

export const durationPattern = /^[1-9][0-9]{0,5}[smhd]$/

/** @returns milliseconds. @throws Misuse ERR_OPTION_INVALID */
export function duration(text: string): number {
  if (!durationPattern.test(text)) {
    throw new Misuse('ERR_OPTION_INVALID', 'not a duration: a whole number and one unit, as 30s, 15m, 8h, 30d')
  }
  return Number(text.slice(0, -1)) * units[text.at(-1) as keyof typeof units]
}

/** The shortest exact spelling: 90000 is `90s`. @param ms a positive whole number of seconds in milliseconds */
export function formatDuration(ms: number): string {
  const unit = (['d', 'h', 'm', 's'] as const).find(u => ms % units[u] === 0) ?? 's'
  return `${Math.round(ms / units[unit])}${unit}`
}
