/** A recording of a session whose writer is killed before it has ended: what was asked, and what was shown. */
import { encodeEvent } from '../../lib/format/timeline.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import { decision } from './directory-ledger.ts'
import { customer, session } from './erasable-ledger.ts'

const exchange = '0190b0a0-0000-7000-8000-00000000bbbb'
export const attachedOf = {
  of: { exchange, session, part: 'response', type: 'application/vnd.counterfoil.timeline' },
  slot: `session:${session}`,
} as const

export const openingDrafts = (): Draft[] => [
  { kind: 'principal', subject: customer, type: 'person', disclose: { name: 'customer@crm.example' } },
  {
    ...{
      kind: 'session-opened',
      session,
      subject: customer,
      protocol: 'ssh',
      target: 'fleet',
      method: 'key',
      tls: false,
    },
    ...{ disclose: { address: '192.0.2.1' }, slot: attachedOf.slot },
  },
  { ...decision(exchange), session, subject: customer } as Draft,
]

/** Longer than half a chunk, so that chunks end within events. */
export const shownPart = (i: number): Buffer =>
  encodeEvent({ at: i, channel: 'stdout', bytes: Buffer.from(`line ${i}\n`.repeat(5000)) })
