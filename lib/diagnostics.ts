/**
 * What the operator reads while it runs: one JSON line an event, by winston, on standard error. Diagnostics only: winston loses
 * pending lines when a process exits, so nothing that must be kept goes here. Never a statement, a value or a credential.
 */
import winston from 'winston'
import { describe, isOurs } from './errors.ts'

export type Diagnostics = Pick<winston.Logger, 'error' | 'warn' | 'info' | 'debug'>

/** @param to where the lines go; standard error unless said otherwise */
export function diagnostics(
  level: 'error' | 'warn' | 'info' | 'debug' = 'info',
  to: NodeJS.WritableStream = process.stderr,
): Diagnostics {
  return winston.createLogger({
    level,
    format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
    transports: [new winston.transports.Stream({ stream: to })],
  })
}

/** What may be logged of an error: our own code and text, of others' only the class. */
export const loggable = (error: unknown): { readonly code?: string; readonly what: string } =>
  isOurs(error) ? { code: error.code, what: error.message } : { what: describe(error) }
