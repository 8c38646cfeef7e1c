/** A control: what is promised, to whom it applies, and what it requires. Declared once; enforced, cited and reported on. */

/** What is shown instead of a value; `strategies.ts` has them in their order of strictness. */
export type Strategy = 'detect' | 'last4' | 'partial' | 'hash' | 'redact' | 'null'

export interface Control {
  readonly id: string
  readonly title: string
  readonly owner?: string
  /** Trust Services Criteria ids, from the closed list of 61. */
  readonly criteria: readonly string[]
  readonly covers: {
    /** A glob: `*` within a segment, `**` across; segments end at `/` and `.`. */
    readonly resource: string
    readonly actions?: readonly string[]
    readonly risk?: 'low' | 'high'
  }
  readonly require?: {
    readonly grant?: { readonly longestMs: number; readonly reason: boolean; readonly from?: string }
    readonly approval?: {
      readonly people: number
      /** A role that each approver must hold. */
      readonly from?: string
      readonly withinMs: number
      readonly waitMs: number
    }
  }
  /** Field (column, or JSON pointer) to strategy. */
  readonly mask?: Readonly<Record<string, Strategy>>
  /** Kind to pattern: what `detect` looks for beside what it always does. */
  readonly patterns?: Readonly<Record<string, string>>
  readonly record?: { readonly request?: 'digest' | 'masked'; readonly response?: 'digest' | 'masked' }
  readonly durability?: 'strict' | 'written'
  /** `observe`: decided and recorded as "would have refused", until a date at most 90 days ahead. */
  readonly mode: 'enforce' | { readonly observeUntil: string }
  readonly tests: 'auto' | readonly ControlTest[]
  readonly effective?: { readonly from: string }
  /** What the entity holds its tests to, where it is not what a test has of its own. */
  readonly thresholds?: {
    /** Milliseconds after the end of a grant within which what it let through must be over. */
    readonly revocationMs: number
  }
}

export interface ControlTest {
  readonly population: string
  readonly exceptions: string
}

/** What a decision obliges the guard to do: the union of every matching control, the strictest of each. */
export interface Obligations {
  /** Ids of all controls that matched, sorted. */
  readonly controls: readonly string[]
  readonly grant?: {
    readonly longestMs: number
    readonly reason: boolean
    /** Roles every one of which an approver of the grant must hold. */
    readonly roles: readonly string[]
    /** Ids of the controls that ask for it. */
    readonly controls: readonly string[]
    /** The accesses that must lie within the grant's scope. */
    readonly accesses: readonly { readonly action: string; readonly resource: string }[]
  }
  readonly approval?: {
    readonly people: number
    readonly roles: readonly string[]
    readonly withinMs: number
    readonly waitMs: number
    readonly controls: readonly string[]
  }
  readonly masks: readonly MaskRule[]
  /** What is recorded beyond the entries; the most that any control asks for. */
  readonly record: {
    /** `digest`: the action is committed to, and disclosed to nobody. Absent: disclosed, as `masked`. */
    readonly request?: 'digest' | 'masked'
    /** `masked`: kept as an attachment, as it was shown. Absent: a commitment only, as `digest`. */
    readonly response?: 'digest' | 'masked'
  }
  readonly durability: 'durable' | 'written'
  /** Controls in observe mode whose requirement would have refused. Masks have no observe mode. */
  readonly observed: readonly ObservedRequirement[]
}

export interface MaskRule {
  readonly control: string
  /** The control's resource glob. */
  readonly resource: string
  /** A column's name, a JSON pointer, or `*`. */
  readonly field: string
  readonly strategy: Strategy
  /** The control's own, where it has any. */
  readonly patterns?: Readonly<Record<string, string>>
}

export interface ObservedRequirement {
  readonly control: string
  readonly grant: boolean
  readonly approval: boolean
}
