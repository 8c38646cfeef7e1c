/**
 * What the operator reads while it runs: one JSON line an event, by winston, on standard error. Diagnostics only: winston loses
 * pending lines when a process exits, so nothing that must be kept goes here. Never a statement, a value or a credential.
 */
import winston from 'winston'
import type { AnchorNews } from './anchors/anchoring.ts'
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

/** What becomes of a ledger while it is open, told alike by the gateway and by a guard in an application's own process. */
export function tellingOf(log: Diagnostics): {
  readonly onEvent: (what: string, facts?: Readonly<Record<string, unknown>>) => void
  readonly onAnchor: (news: AnchorNews) => void
} {
  return { onEvent: (what, facts) => void log.warn(what, facts), onAnchor: news => tellAnchor(log, news) }
}

/** What a witness that has seen more, or another history, says of this ledger is no hiccup. */
function tellAnchor(log: Diagnostics, news: AnchorNews): void {
  switch (news.what) {
    case 'cosigned':
      log.info('a witness cosigned', { witness: news.witness, size: news.size })
      return
    case 'not-cosigned': {
      const level = isOurs(news.error) && news.error.name === 'LedgerError' ? 'error' : 'warn'
      log[level]('a witness did not cosign', { witness: news.witness, ...loggable(news.error) })
      return
    }
    case 'not-asked':
      log.warn(
        'the published checkpoint cannot be read: no witness was asked, until the next round',
        loggable(news.error),
      )
      return
    case 'below-quorum':
      log.warn('fewer witnesses cosigned than the quorum', { cosigned: news.cosigned, quorum: news.quorum })
      return
    case 'not-recorded':
      log.warn('an anchor is kept and not recorded yet', loggable(news.error))
  }
}
