/** A real server on loopback, and a client that hears every byte of an answer, whole or not. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Served {
  readonly port: number
  ask(path: string, options?: AskOptions): Promise<Heard>
  close(): Promise<void>
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: http.OutgoingHttpHeaders
  readonly body?: string | Uint8Array
}

export interface Heard {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly trailers: NodeJS.Dict<string>
  readonly text: string
  readonly bytes: Buffer
  /** The body came to its end. */
  readonly whole: boolean
}

export async function listen(listener: http.RequestListener, options: http.ServerOptions = {}): Promise<Served> {
  const server = http.createServer(options, listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    ask: (path, given) => ask(port, path, given),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** @param path sent as it stands. @throws where no head came at all */
function ask(port: number, path: string, { method = 'GET', headers = {}, body }: AskOptions = {}): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', path, method, headers, agent: false }, response => {
      const parts: Buffer[] = []
      response.on('data', part => parts.push(part))
      response.on('error', () => undefined)
      response.on('close', () => {
        const bytes = Buffer.concat(parts)
        const { statusCode = 0, headers, trailers, complete } = response
        resolve({ status: statusCode, headers, trailers, bytes, text: bytes.toString(), whole: complete })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}
