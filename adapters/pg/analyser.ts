/** Statements analysed against the catalog as it is now, and remembered by their text until definitions change. */

import { analyse } from './analyse.ts'
import type { Analysis, Named, Overlay } from './analysis.ts'
import type { Catalog } from './catalog.ts'
import type { Snapshot } from './snapshot.ts'

export interface Analysed {
  readonly text: string
  readonly analysis: Analysis
  readonly names: Snapshot
  /** What of the text it is, where not the whole: the statement that a PREPARE or a DECLARE in it names. */
  readonly of?: Named
}

/** The statement that a text names. It may hold a credential where any part of the text may: it is shown as a part of it. */
export function namedIn(analysed: Analysed, { kind, name }: Named): Analysed {
  const { analysis } = analysed
  const made = analysis.parts.findLast(({ makes }) => makes?.kind === kind && makes.name === name)!.makes!
  return { ...analysed, of: { kind, name }, analysis: { ...made.analysis, secret: analysis.secret } }
}

const mostRemembered = 2000
const longestRemembered = 16 * 1024

export class Analyser {
  readonly #catalog: Catalog
  readonly #known = new Map<string, Analysed>()

  constructor(catalog: Catalog) {
    this.#catalog = catalog
  }

  /** @throws ProtocolViolation where the text cannot be parsed; Fault where the catalog cannot be read */
  async analyse(text: string, overlay: Overlay): Promise<Analysed> {
    const names = await this.#catalog.current()
    // What a session created itself is no other session's business, and hides what others see.
    const alone = overlay.temporary.size > 0 || overlay.created.size > 0
    const known = alone ? undefined : this.#known.get(text)
    if (known?.names === names) return known
    const first = { text, names, analysis: analyse(text, names, overlay) }
    // The name may be newer than what we know. What stays unknown is called so, and nothing is permitted by accident.
    if (first.analysis.missed && this.#catalog.mayBeBehind()) {
      const newer = await this.#catalog.refresh()
      return { text, names: newer, analysis: analyse(text, newer, overlay) }
    }
    if (!alone && !first.analysis.missed && text.length <= longestRemembered) this.#remember(first)
    return first
  }

  /** Reads it once more, where the catalog has been read since. */
  async again(analysed: Analysed, overlay: Overlay): Promise<Analysed> {
    if ((await this.#catalog.current()) === analysed.names) return analysed
    const { of, text } = analysed
    const whole = await this.analyse(text, overlay)
    return of === undefined ? whole : namedIn(whole, of)
  }

  #remember(analysed: Analysed): void {
    this.#known.delete(analysed.text)
    if (this.#known.size >= mostRemembered) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(analysed.text, analysed)
  }
}
