/** Which cells of a row are masked, and how, by where each column comes from. Unknown origin is sensitive. Pure. */
import type { MaskRule, Strategy } from '../control.ts'
import { Fault } from '../errors.ts'
import { matches } from '../glob.ts'
import type { CellMask, Column } from '../reply.ts'
import { cellMaskFor } from './cell.ts'
import { appliedWord, isNamed, parseSelector } from './selector.ts'
import { type MaskTools, strictest } from './strategies.ts'

export interface RowsPlan {
  /** One for each column. */
  readonly masks: readonly (CellMask | undefined)[]
  /** Sorted words `CONTROL:FIELD:STRATEGY`; `CONTROL:FIELD:absent` for a field that no column can show. */
  readonly applied: readonly string[]
}

/**
 * @param rules every mask in force for the operation
 * @param report told, while cells are masked, words of what detectors find
 * @throws Fault ERR_MASK_FAILED where a rule cannot be applied to rows: a JSON pointer
 */
export function planRows(
  columns: readonly Column[],
  rules: readonly MaskRule[],
  tools: MaskTools = {},
  report: (word: string) => void = () => {},
): RowsPlan {
  if (rules.some(({ field }) => !isColumn(field))) {
    throw new Fault('ERR_MASK_FAILED', 'a mask on rows must name a column, not a JSON pointer')
  }
  const applied = new Map<MaskRule, Set<Strategy>>(rules.map(rule => [rule, new Set()]))
  const masks = columns.map(column => {
    const { by, strategy } = judge(column, rules)
    if (strategy === undefined) return undefined
    for (const rule of by) applied.get(rule)!.add(strategy)
    return cellMaskFor(strategy, by, tools, word => {
      for (const rule of by) report(word(rule))
    })
  })
  const words = [...applied].flatMap(([rule, strategies]) =>
    strategies.size === 0 ? [appliedWord(rule, 'absent')] : [...strategies].map(name => appliedWord(rule, name)),
  )
  return { masks, applied: [...new Set(words)].sort() }
}

const isColumn = (field: string) => {
  const selector = parseSelector(field)
  return selector !== undefined && selector.kind !== 'pointer'
}

interface Judgement {
  /** The rules that the column falls under. */
  readonly by: readonly MaskRule[]
  readonly strategy: Strategy | undefined
}

function judge(column: Column, rules: readonly MaskRule[]): Judgement {
  const { harmless, field, resources, through } = column
  if (harmless === true) return { by: [], strategy: undefined }
  // It could show any masked field of whatever the operation reaches.
  if (field === undefined || resources.length === 0) return redactedBy(rules)
  const explicit = rules.filter(rule => covers(rule, resources) && (rule.field === '*' || isNamed(rule.field, field)))
  // A view's own column names say nothing of which columns of its tables they show, unless a rule was written for the view.
  const beneath = rules.filter(rule => covers(rule, through ?? []))
  if (explicit.some(rule => !beneath.includes(rule)) || beneath.length === 0) {
    return { by: explicit, strategy: strictest(explicit.map(rule => rule.strategy)) }
  }
  return redactedBy([...new Set([...explicit, ...beneath])])
}

const covers = (rule: MaskRule, resources: readonly string[]) => resources.some(name => matches(rule.resource, name))

const redactedBy = (rules: readonly MaskRule[]): Judgement => ({
  by: rules,
  strategy: rules.length === 0 ? undefined : strictest(['redact', ...rules.map(rule => rule.strategy)]),
})
