/**
 * Findings in their order: of each code the first hundred, and how many more there were, since what
 * is verified may be made to have no end of them.
 */

const mostTold = 100

export class Findings<F extends { readonly code: string; readonly what: string }> {
  readonly #told: F[] = []
  readonly #counts = new Map<F['code'], number>()
  #first: F | undefined

  /** @returns what is wrong, as a step's detail */
  add(finding: F): string {
    const count = (this.#counts.get(finding.code) ?? 0) + 1
    this.#counts.set(finding.code, count)
    if (count <= mostTold) this.#told.push(finding)
    this.#first ??= finding
    return finding.what
  }

  addAll(findings: Iterable<F>): void {
    for (const finding of findings) this.add(finding)
  }

  /** Those of another, behind these; what it did not keep is counted. */
  merge(other: Findings<F>): void {
    const untold = new Map(other.#counts)
    for (const finding of other.#told) {
      this.add(finding)
      untold.set(finding.code, untold.get(finding.code)! - 1)
    }
    for (const [code, count] of untold) {
      if (count > 0) this.#counts.set(code, this.#counts.get(code)! + count)
    }
  }

  /** @returns the first one added since the last call */
  takeFirst(): F | undefined {
    const first = this.#first
    this.#first = undefined
    return first
  }

  has(holds: (code: F['code']) => boolean): boolean {
    return [...this.#counts.keys()].some(holds)
  }

  all(): readonly F[] {
    const more = [...this.#counts].flatMap(([code, count]) =>
      count <= mostTold ? [] : [{ code, what: `and ${count - mostTold} more of these` } as F],
    )
    return [...this.#told, ...more]
  }
}
