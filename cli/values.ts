/** How values of options are read: what is written wrongly is refused with the option's name. */
import { Option } from 'commander'
import { duration, durationPattern } from '../lib/duration.ts'
import { Misuse } from '../lib/errors.ts'

/** An option that may be given several times. Its value is a list. */
export const repeatable = (flags: string, description: string): Option =>
  new Option(flags, `${description}; repeatable`)
    .argParser((value: string, before: readonly string[]) => [...before, value])
    .default([], 'none')

/** @returns a reader of whole numbers. It throws Misuse ERR_OPTION_INVALID */
export const count =
  (option: string) =>
  (value: string): number => {
    if (/^(0|[1-9]\d{0,15})$/.test(value) && Number.isSafeInteger(Number(value))) return Number(value)
    throw new Misuse('ERR_OPTION_INVALID', `${option} is a whole number`)
  }

/** @returns a reader of durations, in milliseconds. It throws Misuse ERR_OPTION_INVALID */
export const period =
  (option: string) =>
  (value: string): number => {
    if (durationPattern.test(value)) return duration(value)
    throw new Misuse('ERR_OPTION_INVALID', `${option} is a whole number and a unit: 30s, 90m, 8h, 2d`)
  }
