/** An approval, as a pure fold over entries: for one exact action, by other people, used once. */
import type { Access, Entry } from '../format/entry.ts'

export interface Approval {
  readonly id: string
  /** Index of the entry that asked for it, whose disclosures hold the action and its salt. */
  readonly index: number
  readonly exchange: string
  /** Pseudonyms. */
  readonly subject: string
  readonly principal: string | undefined
  readonly owner: string | undefined
  /** Commitment to the exact action. */
  readonly action: string
  readonly accesses: readonly Access[]
  readonly controls: readonly string[]
  /** Distinct approvers needed, and the roles that each must hold. */
  readonly people: number
  readonly roles: readonly string[]
  /** Unix milliseconds. */
  readonly requested: number
  /** Unix milliseconds: neither decided nor used from then on. */
  readonly until: number
  /** Pseudonyms, distinct. */
  readonly approvers: readonly string[]
  readonly status: 'pending' | 'approved' | 'denied' | 'used'
  /** The exchange that used it: of two processes that took it at once, the one whose decision stands first. */
  readonly usedBy?: string
}

export type Approvals = Map<string, Approval>

export function foldApproval(approvals: Approvals, entry: Entry, index: number): void {
  switch (entry.kind) {
    case 'approval-requested': {
      // The first under an id stands: what others were shown, and decide, is not changed under their hands.
      if (approvals.has(entry.approval)) return
      const { approval: id, exchange, subject, principal, owner, action, accesses, controls, people, roles } = entry
      const [requested, until] = [Date.parse(entry.time), Date.parse(entry.until)]
      // biome-ignore format: one line reads better than fourteen
      approvals.set(id, {
        id, index, exchange, subject, principal, owner, action, accesses, controls, people, roles, requested, until, approvers: [], status: 'pending',
      })
      return
    }
    case 'approval-decided': {
      const approval = approvals.get(entry.approval)
      if (approval?.status !== 'pending') return
      if (entry.verdict === 'deny') {
        approvals.set(approval.id, { ...approval, status: 'denied' })
        return
      }
      const approvers = [...new Set([...approval.approvers, entry.approver])]
      const status = approvers.length >= approval.people ? 'approved' : 'pending'
      approvals.set(approval.id, { ...approval, approvers, status })
      return
    }
    case 'decision': {
      const approval = entry.approval === undefined ? undefined : approvals.get(entry.approval)
      if (approval !== undefined && approval.usedBy === undefined && entry.verdict === 'permit')
        approvals.set(approval.id, { ...approval, status: 'used', usedBy: entry.exchange })
    }
  }
}
