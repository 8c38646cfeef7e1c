/**
 * A process of its own that asks one path over many connections that stay open, one request at a time on each. Told by messages:
 * `{ port, path, clients, seconds, token }`; answers `{ requests, latencies }`.
 */
import { connect } from 'node:net'

interface Asked {
  readonly port: number
  readonly path: string
  readonly clients: number
  readonly seconds: number
  readonly token: string
}

const blank = Buffer.from('\r\n\r\n')
const lastChunk = Buffer.from('0\r\n\r\n')

process.on('message', async (asked: Asked) => {
  const until = performance.now() + asked.seconds * 1000
  const found = await Promise.all(Array.from({ length: asked.clients }, () => client(asked, until)))
  const latencies = found.flat()
  process.send!({ requests: latencies.length, latencies })
})

/** @returns milliseconds of each request */
function client({ port, path, token }: Asked, until: number): Promise<number[]> {
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${token}\r\n\r\n`)
  return new Promise((resolve, reject) => {
    const latencies: number[] = []
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, ask)
    let started = 0
    let got: Buffer = Buffer.alloc(0)
    function ask() {
      started = performance.now()
      socket.write(request)
    }
    socket.on('data', (part: Buffer) => {
      got = got.length === 0 ? part : Buffer.concat([got, part])
      if (!isWhole(got)) return
      if (got[9] !== 0x32) return reject(new Error(got.toString('latin1', 0, 300)))
      got = Buffer.alloc(0)
      const now = performance.now()
      latencies.push(now - started)
      if (now < until) return ask()
      socket.destroy()
      resolve(latencies)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed')))
  })
}

/** By its length, where the head says it; else by the last chunk. */
function isWhole(got: Buffer): boolean {
  const end = got.indexOf(blank)
  if (end < 0) return false
  const length = /content-length: (\d+)/i.exec(got.toString('latin1', 0, end))?.[1]
  if (length !== undefined) return got.length >= end + 4 + Number(length)
  return got.subarray(-lastChunk.length).equals(lastChunk)
}
