/** Waiting until something covers so many entries: whoever comes while it is being made waits for the next one, together. */

interface Covering {
  readonly size: number
}

export class Coverage {
  readonly #make: () => Promise<Covering>
  #covered = 0
  #current: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /** @param make makes what covers all entries of the moment when it begins */
  constructor(make: () => Promise<Covering>) {
    this.#make = make
  }

  async reach(size: number): Promise<void> {
    if (size <= this.#covered) return
    this.#next ??= this.#after(this.#current)
    await this.#next
  }

  async #after(current: Promise<void>): Promise<void> {
    await current.catch(() => undefined)
    this.#current = this.#next ?? Promise.resolve()
    this.#next = undefined
    this.#covered = Math.max(this.#covered, (await this.#make()).size)
  }
}
