/**
 * Chooses what of a verified ledger goes into a bundle: the two checkpoints around the period, the entries from before it that
 * still matter, and what is disclosed.
 */
import type { SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import type { Entry } from '../../lib/format/entry.ts'
import type { LedgerRecord } from '../verify.ts'
import type { Period } from '../views.ts'

export interface Bounds {
  /** Undefined: from the first entry on. */
  readonly opening: SignedCheckpoint | undefined
  readonly closing: SignedCheckpoint
}

/** The newest seal before the period's first entry, and the oldest signed checkpoint after its last. */
export function chooseBounds(
  records: readonly LedgerRecord[],
  seals: readonly SignedCheckpoint[],
  latest: SignedCheckpoint,
  period: Period,
): Bounds {
  const first = records.find(({ entry }) => entry.time >= period.from)?.index ?? latest.size
  const last = records.findLast(({ entry }) => entry.time < period.to)?.index ?? -1
  const bySize = [...seals].sort((a, b) => a.size - b.size)
  const opening = bySize.findLast(({ size }) => size <= first && size > 0)
  const closing = bySize.find(({ size }) => size > last && size >= (opening?.size ?? 0)) ?? latest
  return { opening, closing }
}

/**
 * Entries before the opening checkpoint that say what stood there: keys, principals, policies, what was open or is used later, and
 * each writer's last sign of life.
 */
export function openingState(records: readonly LedgerRecord[], opening: number): LedgerRecord[] {
  const before = records.filter(({ index }) => index < opening)
  const after = records.filter(({ index }) => index >= opening)
  const used = new Set(after.flatMap(({ entry }) => references(entry)))
  const closed = new Set<string>()
  for (const { entry } of before) {
    if (entry.kind === 'session-closed') closed.add(entry.session)
    if (entry.kind === 'outcome') closed.add(entry.exchange)
    if (entry.kind === 'decision' && entry.approval !== undefined) closed.add(entry.approval)
    if (entry.kind === 'grant-revoked') closed.add(entry.grant)
    if (entry.kind === 'grant-decided' && (entry.until ?? '') < (after[0]?.entry.time ?? '\uffff'))
      closed.add(entry.grant)
  }
  const last = new Map<string, number>()
  for (const { index, entry } of before) {
    last.set(entry.writer, index)
    if (entry.kind === 'started' || entry.kind === 'heartbeat') last.set(`${entry.writer} heartbeat`, index)
    if (entry.kind === 'started') last.set(`${entry.writer} started`, index)
  }
  const signs = new Set(last.values())
  const matters = ({ index, entry }: LedgerRecord) =>
    signs.has(index) ||
    lasting.has(entry.kind) ||
    references(entry).some(id => used.has(id) || (opens(entry) && !closed.has(id)))
  // With what was done under a grant that lives on comes what became of it, or it would seem to be under way.
  const kept = new Set(
    before.flatMap(record => (record.entry.kind === 'decision' && matters(record) ? [record.entry.exchange] : [])),
  )
  return before.filter(record => {
    const { entry } = record
    return matters(record) || (entry.kind === 'outcome' && kept.has(entry.exchange))
  })
}

/** What holds until another entry says otherwise, and how the ledger ended. */
const lasting: ReadonlySet<Entry['kind']> = new Set([
  ...(['opened', 'principal', 'policy', 'key-rotated', 'key-revoked'] as const),
  ...(['continued', 'disposed'] as const),
  ...(['erasure', 'hold-placed', 'hold-released', 'concluded'] as const),
])

/** What an entry belongs to: exchange, session, grant, approval. */
function references(entry: Entry): readonly string[] {
  const { exchange, session, grant, approval } = entry as {
    [K in 'exchange' | 'session' | 'grant' | 'approval']?: string
  }
  const settled = entry.kind === 'settled' ? entry.exchanges : []
  return [exchange, session, grant, approval, ...settled].filter(id => id !== undefined)
}

const opens = ({ kind }: Entry) =>
  ['decision', 'session-opened', 'grant-requested', 'grant-decided', 'approval-requested', 'approval-decided'].includes(
    kind,
  )

export interface DisclosurePolicy {
  readonly identities: 'identified' | 'pseudonyms'
  /** `approved`: of what was approved, as the approver saw it. */
  readonly actions: 'none' | 'approved' | 'all'
  /** Whether the recordings are in the bundle: then what commits to them can be checked there. */
  readonly recordings: boolean
}

/** Whether a disclosure goes into the bundle. Salts of what was offered never do: nothing here is checked with them. */
export function isShown(entry: Entry, name: string, { identities, actions, recordings }: DisclosurePolicy): boolean {
  switch (name) {
    case 'model':
    case 'controls':
      return true
    case 'name':
    case 'issuer':
    case 'rules':
    case 'reason':
    case 'basis':
    case 'sealedTo':
      return identities === 'identified'
    case 'action':
    case 'actionSalt': {
      const approved =
        entry.kind === 'approval-requested' || (entry.kind === 'decision' && entry.approval !== undefined)
      return actions === 'all' || (actions === 'approved' && approved)
    }
    case 'contentSalt':
      return recordings
    case 'address':
    case 'client':
      return identities === 'identified' && actions === 'all'
    default:
      return false
  }
}
