/** The client's side of a response: frames leave on it as far as the client takes them, or a refusal does in their place. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { drained } from '../../lib/drained.ts'
import type { Frame } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'
import type { Capture } from './capture.ts'
import { untrueOnceMasked } from './head.ts'
import type { Problem } from './problem.ts'

export class Outlet {
  readonly #response: ServerResponse
  readonly #capture: Capture
  /** What stood before the handlers ran (CORS, security headers): it stays on a refusal, theirs does not. */
  readonly #before: OutgoingHttpHeaders
  #gone = false
  #over = false
  /** The handlers' own may quote what is under a mask, and nobody reads it (RFC 9112, 4): the standard one stands there then. */
  #phrase = ''

  constructor(response: ServerResponse, capture: Capture) {
    this.#response = response
    this.#capture = capture
    this.#before = response.getHeaders()
  }

  /** The end has been given out, or a refusal in its place: what closes then is no hang-up. */
  get over(): boolean {
    return this.#over
  }

  /** Resolves when the client can take more. */
  async release(frame: Frame, masked: boolean, signal: AbortSignal): Promise<void> {
    const { real } = this.#capture
    if (frame.type === 'head') {
      this.#phrase = masked ? '' : (this.#capture.head.message ?? '')
      if (masked) for (const name of untrueOnceMasked) real.removeHeader(name)
      if (this.#capture.flushed) {
        this.#head()
        real.flushHeaders()
      }
    } else if (frame.type === 'data') {
      this.#head()
      if (!real.write(frame.bytes)) await race(drained(real), signal)
    } else {
      this.#head(0)
      if (!masked) for (const trailers of this.#capture.trailers) real.addTrailers(trailers as OutgoingHttpHeaders)
      this.#over = true
      await new Promise<void>(resolve => {
        real.on('finish', () => resolve())
        real.end()
      })
    }
  }

  /** Where nothing has left yet the problem is told; where something has, only the connection can say it. */
  refuse(problem: Problem): void {
    const { real } = this.#capture
    this.#capture.close()
    this.#over = true
    if (this.#gone) {
      this.#response.destroy()
      return
    }
    for (const name of this.#response.getHeaderNames()) real.removeHeader(name)
    for (const [name, value] of Object.entries(this.#before)) if (value !== undefined) real.setHeader(name, value)
    const body = Buffer.from(JSON.stringify(problem))
    if (problem.status === 401) real.setHeader('www-authenticate', 'Bearer')
    real.setHeader('content-type', 'application/problem+json')
    real.setHeader('content-length', body.length)
    real.setHeader('cache-control', 'no-store')
    this.#response.statusMessage = ''
    this.#gone = true
    real.writeHead(problem.status)
    real.end(body)
  }

  /** @param length where there is no body to come */
  #head(length?: number): void {
    if (this.#gone) return
    this.#gone = true
    const { head, real, trailers } = this.#capture
    // Node refuses to announce trailers where there is no body for them to follow.
    if (!head.hasBody) real.removeHeader('trailer')
    const declared = this.#response.hasHeader('content-length') || this.#response.hasHeader('transfer-encoding')
    if (length !== undefined && head.hasBody && !declared && trailers.length === 0) {
      real.setHeader('content-length', length)
    }
    this.#response.statusMessage = this.#phrase
    real.writeHead(head.status)
  }
}
