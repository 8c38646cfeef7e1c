/**
 * A client that leaves. As long as nothing stands between it and the host, that ends what it asked for; once a connection stands, what it
 * has sent before goes on to the host first.
 */
export class Leaving {
  readonly #gone: AbortSignal
  readonly #controller = new AbortController()
  #leave: () => void = () => undefined
  /** Resolves once the client has left: nothing can be shown to it any more. */
  readonly left = new Promise<void>(resolve => {
    this.#leave = resolve
  })

  constructor(gone: AbortSignal) {
    this.#gone = gone
    if (gone.aborted) this.#abort()
    else gone.addEventListener('abort', this.#abort, { once: true })
  }

  /** For the exchange. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The connection stands. */
  stands(): void {
    this.#gone.removeEventListener('abort', this.#abort)
  }

  /** The client has left it. */
  leave(): void {
    this.#leave()
  }

  #abort = () => this.#controller.abort(this.#gone.reason)
}
