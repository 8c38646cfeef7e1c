/** From what winston hands to a transport to an entry: a name and a level in clear, everything else disclosed, secrets withheld. */

import { wordOf } from '../../lib/entries.ts'
import type { Exchange } from '../../lib/exchange.ts'
import { canonical, type Json } from '../../lib/format/canonical.ts'
import type { DraftOf } from '../../lib/ledger/ledger.ts'
import { withoutSecrets } from '../http/redact.ts'

const longestDetails = 16 * 1024

/** @param info `event` names it: `login-failed`. What stands beside `level` and `message` are its details. */
export function eventDraft(
  info: Readonly<Record<string, unknown>>,
  source: string,
  exchange: Exchange | undefined,
): DraftOf<'event'> {
  const { level, message, event, ...details } = info
  const actors = exchange?.perhaps('actors')
  return {
    kind: 'event',
    source,
    event: typeof event === 'string' ? wordOf(event) : 'log',
    level: wordOf(String(level)),
    exchange: exchange?.id,
    subject: actors?.subject,
    disclose: {
      message: shortened(text(message)),
      details: Object.keys(details).length === 0 ? undefined : readable(details),
    },
    slot: actors === undefined ? 'events' : `principal:${actors.subject}`,
  }
}

const text = (message: unknown) =>
  (typeof message === 'string' ? message : (JSON.stringify(message) ?? '')).toWellFormed()

const shortened = (whole: string) =>
  whole.length > longestDetails ? `${whole.slice(0, longestDetails)} [cut]`.toWellFormed() : whole

/** As JSON has them; an error as its name and message. What cannot be written as an entry is said to be so. */
function readable(details: object): Json {
  const seen = new WeakSet<object>()
  try {
    const written = JSON.stringify(details, (_, value: unknown) => {
      if (typeof value === 'bigint') return String(value)
      if (value instanceof Error) return { error: value.name, message: value.message }
      if (typeof value === 'object' && value !== null) {
        if (seen.has(value)) return '[again]'
        seen.add(value)
      }
      return value
    })
    const shown = withoutSecrets(JSON.parse(written.toWellFormed()) as Json)
    if (written.length > longestDetails) return shortened(canonical(shown))
    canonical(shown)
    return shown
  } catch {
    return '[details that are no JSON]'
  }
}
