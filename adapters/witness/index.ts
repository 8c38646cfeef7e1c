/** A witness behind HTTP: one path, bodies of bounded length, nothing said of why where something of its own fails. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { listenOn } from '../../lib/listening.ts'
import { Witness, type WitnessOptions } from './witness.ts'

export interface WitnessServer {
  readonly port: number
  /** For whoever trusts this witness: `name+id+base64`, of type 0x04. */
  readonly verifierKey: string
  close(): Promise<void>
}

export interface ServeWitnessOptions extends WitnessOptions {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  /** What failed here, for its operator; whoever asked is told only that something did. */
  readonly onFault?: (error: unknown) => void
}

/** 63 hashes and a checkpoint with a hundred signatures fit many times over. */
const longestBody = 64 * 1024

/** @throws Misuse ERR_OPTION_INVALID, and what the server says of an address that it cannot listen on */
export async function serveWitness({ host, port, onFault, ...options }: ServeWitnessOptions): Promise<WitnessServer> {
  const witness = new Witness(options)
  const server = createServer((request, response) => {
    answer(witness, request, response).catch((error: unknown) => {
      onFault?.(error)
      if (response.headersSent) response.destroy()
      else reply(response, 500, 'the witness could not do its work\n')
    })
  })
  server.requestTimeout = 10_000
  server.headersTimeout = 10_000
  const { port: bound } = await listenOn(server, port, host)
  return { port: bound, verifierKey: witness.verifierKey, close: () => closed(server) }
}

async function answer(witness: Witness, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://witness')
  if (!pathname.endsWith('/add-checkpoint')) return reply(response, 404, 'there is only add-checkpoint\n')
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST')
    return reply(response, 405, 'add-checkpoint is posted\n')
  }
  const body = await bodyOf(request)
  if (body === undefined) {
    response.setHeader('connection', 'close')
    return reply(response, 413, 'over 64 KiB\n')
  }
  const { status, type, body: text } = await witness.addCheckpoint(body)
  reply(response, status, text, type)
}

function reply(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) }).end(text)
}

/** @returns undefined where it is longer than any submission */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += part.length
    if (length > longestBody) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function closed(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
