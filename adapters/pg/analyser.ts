/** Statements analysed against the catalog as it is now, and remembered by their text until definitions change. */
import type { Catalog, Snapshot } from './catalog.ts'
import { type Analysis, analyse, type Overlay } from './statement.ts'

export interface Analysed {
  readonly text: string
  readonly analysis: Analysis
  readonly names: Snapshot
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

  #remember(analysed: Analysed): void {
    this.#known.delete(analysed.text)
    if (this.#known.size >= mostRemembered) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(analysed.text, analysed)
  }
}
