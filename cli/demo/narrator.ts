/** Tells the demo's story, a line at a time; a claim that does not hold ends it with an error. */
import { colour, type Output, painted } from '../output.ts'

export class Narrator {
  readonly #out: Output
  #claims = 0

  constructor(out: Output) {
    this.#out = out
  }

  get claims(): number {
    return this.#claims
  }

  act(title: string): void {
    this.#out.line()
    this.#out.line(colour.bold(title))
  }

  line(text: string): void {
    this.#out.wrapped(`    ${text}`, 6)
  }

  /** @throws Error where it does not hold: the demo shows nothing that is not so */
  claim(holds: boolean, text: string): void {
    if (!holds) throw new DemoFailure(text)
    this.#claims += 1
    this.#out.wrapped(painted`  ${colour.green('✓')} ${text}`, 4)
  }
}

/** Something that the demo says did not hold. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure'

  constructor(text: string) {
    super(`the demo's claim does not hold: ${text}`)
  }
}
