/**
 * The masks in force, as one reply is read: which of them mean a value, what is shown in its place, and what was done with each so far.
 */
import type { MaskRule, Strategy } from '../control.ts'
import { Fault } from '../errors.ts'
import { cellMaskFor } from './cell.ts'
import { appliedWord, isNamed, parseSelector, type Selector } from './selector.ts'
import { type MaskTools, strictest } from './strategies.ts'

export interface Selection {
  readonly rule: MaskRule
  readonly selector: Selector
  readonly won: Set<Strategy>
  /** Words of what detectors found under it. */
  readonly found: Set<string>
}

export class Selections {
  readonly each: readonly Selection[]
  /** Those that mean every value. */
  readonly all: readonly Selection[]
  readonly #tools: MaskTools

  /** @throws Fault ERR_MASK_FAILED for a rule that names no field */
  constructor(rules: readonly MaskRule[], tools: MaskTools) {
    this.each = rules.map(select)
    this.all = this.each.filter(({ selector }) => selector.kind === 'all')
    this.#tools = tools
  }

  /** Those that mean a member of this name, wherever it lies. */
  named(name: string): readonly Selection[] {
    return this.each.filter(({ selector }) => selector.kind === 'name' && isNamed(selector.name, name))
  }

  /** @returns what is shown instead: null for no value, undefined where no rule means it */
  mask(text: string, by: readonly Selection[]): string | null | undefined {
    const strategy = this.win(by)
    return strategy === undefined ? undefined : this.#masked(text, strategy, by)
  }

  win(by: readonly Selection[]): Strategy | undefined {
    const strategy = strictest(by.map(({ rule }) => rule.strategy))
    if (strategy !== undefined) for (const { won } of by) won.add(strategy)
    return strategy
  }

  /** Sorted words `CONTROL:FIELD:STRATEGY`; `CONTROL:FIELD:absent` for a field that nothing so far contained. */
  applied(): string[] {
    const words = this.each.flatMap(({ rule, won, found }) =>
      won.size === 0
        ? [appliedWord(rule, 'absent')]
        : [...[...won].map(strategy => appliedWord(rule, strategy)), ...found],
    )
    return [...new Set(words)].sort()
  }

  #masked(text: string, strategy: Strategy, by: readonly Selection[]): string | null {
    const report = (word: (rule: MaskRule) => string) => {
      for (const { rule, found } of by) found.add(word(rule))
    }
    const rules = by.map(({ rule }) => rule)
    return cellMaskFor(strategy, rules, this.#tools, report)(text)
  }
}

function select(rule: MaskRule): Selection {
  const selector = parseSelector(rule.field)
  if (selector === undefined) throw new Fault('ERR_MASK_FAILED', 'a mask that names no field')
  return { rule, selector, won: new Set(), found: new Set() }
}
