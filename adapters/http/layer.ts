/**
 * Methods of a response that stand in front of node's own, and lead to a capture. They are the same functions for every response: what is
 * made anew for each one, getters above all, gives each a hidden class of its own, and costs more than the rest of a request.
 */
import type { ServerResponse } from 'node:http'
import type { Capture } from './capture.ts'

type Any = (this: unknown, ...given: unknown[]) => unknown

/**
 * What is put in front, by how it is answered. Own members: express gives a response another
 * prototype in each application that it mounts.
 */
const told = ['write', 'end', 'destroy', 'writeHead', 'flushHeaders', 'addTrailers'] as const
const heads = ['setHeader', 'appendHeader', 'removeHeader', 'setHeaders'] as const
const listening = ['on', 'addListener', 'prependListener', 'off', 'removeListener'] as const
const states = ['headersSent', 'writableEnded', 'writableNeedDrain'] as const

type Name = (typeof told)[number] | (typeof heads)[number] | (typeof listening)[number]

/** The methods as they were before. */
export class Real {
  readonly #response: ServerResponse
  readonly #before: Readonly<Record<Name, Any>>
  /** Of a guard around this one: what leaves here is what its handlers write. */
  readonly outer: Capture | undefined
  #calls = 0

  constructor(response: ServerResponse, before: Readonly<Record<Name, Any>>, outer: Capture | undefined) {
    this.#response = response
    this.#before = before
    this.outer = outer
  }

  /**
   * What is heard meanwhile is of middleware in front of the guard (compressors, sessions),
   * as the head leaves: the handlers' turn is over.
   */
  get leaving(): boolean {
    return this.#calls > 0
  }

  write(bytes: Uint8Array): boolean {
    return this.call('write', bytes) as boolean
  }

  /** Without a callback: compressors take it for a chunk. */
  end(bytes?: Uint8Array): void {
    if (bytes === undefined) this.call('end')
    else this.call('end', bytes)
  }

  destroy(error?: Error): void {
    this.call('destroy', error)
  }

  writeHead(status: number): void {
    this.call('writeHead', status)
  }

  flushHeaders(): void {
    this.call('flushHeaders')
  }

  addTrailers(trailers: unknown): void {
    this.call('addTrailers', trailers)
  }

  setHeader(name: string, value: unknown): void {
    this.call('setHeader', name, value)
  }

  removeHeader(name: string): void {
    this.call('removeHeader', name)
  }

  on(event: string, listener: () => void): void {
    this.call('on', event, listener)
  }

  off(event: string, listener: () => void): void {
    this.call('off', event, listener)
  }

  /** @internal */
  call(name: Name, ...given: unknown[]): unknown {
    this.#calls += 1
    try {
      return this.#before[name].apply(this.#response, given)
    } finally {
      this.#calls -= 1
    }
  }
}

interface Layer {
  /** Where a response keeps the capture that this layer leads to. */
  readonly key: symbol
  readonly methods: Readonly<Record<string, Any>>
  readonly getters: PropertyDescriptorMap
}

/** A response may be guarded twice, by a router's guard within an application's: each has a layer of its own. */
const layers: Layer[] = []

/** @returns what stood there before */
export function putInFront(response: ServerResponse, capture: Capture): Real {
  const on = response as unknown as Record<symbol | string, unknown>
  let depth = 0
  while (layers[depth] !== undefined && on[layers[depth]!.key] !== undefined) depth += 1
  layers[depth] ??= makeLayer()
  const { key, methods, getters } = layers[depth]!
  const outer = depth === 0 ? undefined : (on[layers[depth - 1]!.key] as Capture)
  const before = {
    ...{ write: on.write, end: on.end, destroy: on.destroy, writeHead: on.writeHead, flushHeaders: on.flushHeaders },
    ...{ addTrailers: on.addTrailers, setHeader: on.setHeader, appendHeader: on.appendHeader },
    ...{ removeHeader: on.removeHeader, setHeaders: on.setHeaders, on: on.on, addListener: on.addListener },
    ...{ prependListener: on.prependListener, off: on.off, removeListener: on.removeListener },
  } as Record<Name, Any>
  const real = new Real(response, before, outer)
  makeDictionary(on)
  on[key] = capture
  for (const name in methods) on[name] = methods[name]
  Object.defineProperties(response, getters)
  return real
}

const [first, last] = [Symbol('first'), Symbol('last')]

/**
 * Express has given the response another prototype, and from then on V8 makes a hidden class anew for every member that
 * is added: 5 us for each of twenty. As a dictionary the response takes them all in 5 us. A member that is deleted, and
 * was not the last, makes it one.
 */
function makeDictionary(on: Record<symbol | string, unknown>): void {
  on[first] = on[last] = undefined
  delete on[first]
  delete on[last]
}

function makeLayer(): Layer {
  const key = Symbol('counterfoil.capture')
  type Captured = ServerResponse & { readonly [key]: Capture }
  const of = (response: unknown) => (response as Captured)[key]
  const methods: Record<string, Any> = {
    write(chunk, encoding, callback) {
      return of(this).write(chunk, encoding, callback)
    },
    end(...given) {
      of(this).end(...given)
      return this
    },
    destroy(error) {
      of(this).destroy(error as Error)
      return this
    },
    writeHead(status, message, headers) {
      of(this).writeHead(status as number, message, headers)
      return this
    },
    flushHeaders() {
      of(this).flushHeaders()
    },
    addTrailers(trailers) {
      of(this).addTrailers(trailers)
    },
    // An informational reply would leave before anything is recorded; RFC 8297 lets it be left out.
    writeEarlyHints(_, callback) {
      ;(callback as (() => void) | undefined)?.()
    },
  }
  for (const name of heads) {
    methods[name] = function (...given) {
      const capture = of(this)
      if (capture.mayChangeHead()) capture.real.call(name, ...given)
      return this
    }
  }
  for (const name of listening) {
    methods[name] = function (event, listener) {
      const capture = of(this)
      const room = capture.emitterOf(event)
      if (room === undefined) capture.real.call(name, event, listener)
      else room[name](event as string, listener as () => void)
      return this
    }
  }
  const getters = Object.fromEntries(
    states.map(name => [
      name,
      {
        configurable: true,
        get(this: unknown) {
          return of(this)[name]
        },
      },
    ]),
  )
  return { key, methods, getters }
}
