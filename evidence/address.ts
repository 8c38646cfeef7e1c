/**
 * Reads a ledger from an https address, where tiles are static files: one origin and no redirects, no body longer than it can rightly be,
 * no wait without an end. What the network did is no finding about the ledger: it is a Fault, and the verification could not tell.
 */
import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, get as httpsGet } from 'node:https'
import { Fault, LedgerError, Misuse } from '../lib/errors.ts'
import type { LedgerSource } from './ledger-files.ts'

const timeoutMs = 20_000
const attempts = 3
const atOnce = 8

export const isAddress = (where: string): boolean => /^https?:\/\//i.test(where)

/**
 * @param ca PEM of the authorities that are trusted; default: those of the system and NODE_EXTRA_CA_CERTS
 * @throws Misuse ERR_OPTION_INVALID: no https, but for loopback; or an address with a password, a query or a fragment
 */
export function openAddress(address: string, ca?: string): LedgerSource {
  const base = baseOf(address)
  const secure = base.protocol === 'https:'
  const pool = { keepAlive: true, maxSockets: atOnce }
  const agent = secure ? new HttpsAgent({ ...pool, ...(ca === undefined ? {} : { ca }) }) : new HttpAgent(pool)
  const ask = async (path: string, most: number): Promise<Buffer | undefined> => {
    for (let left = attempts - 1; ; left -= 1) {
      try {
        return await answer(new URL(path, base), path, most, agent)
      } catch (error) {
        if (!(error instanceof Again)) throw error
        if (left === 0) throw unreachable(path, error.message)
      }
    }
  }
  return {
    root: undefined,
    read: async (path, most) => {
      const bytes = await ask(path, most)
      if (bytes === undefined) throw new LedgerError('ERR_LEDGER_MISSING', `${path} is missing`, { file: path })
      return bytes
    },
    readIfThere: ask,
    close: () => agent.destroy(),
  }
}

function baseOf(address: string): URL {
  const wrong = (what: string) => new Misuse('ERR_OPTION_INVALID', `the address of a ledger ${what}`)
  if (!URL.canParse(address)) throw wrong('is none')
  const url = new URL(address)
  const loopback = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname)
  if (url.protocol !== 'https:' && !loopback) throw wrong('is https')
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw wrong('has no user, password, query or fragment')
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

/** Worth another attempt. */
class Again extends Error {}

const unreachable = (path: string, what: string) =>
  new Fault('ERR_LEDGER_UNAVAILABLE', `${path} could not be had: ${what}`, { file: path })

function answer(url: URL, path: string, most: number, agent: HttpAgent): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const get = url.protocol === 'https:' ? httpsGet : httpGet
    const signal = AbortSignal.timeout(timeoutMs)
    const fail = (error: NodeJS.ErrnoException) =>
      reject(
        signal.aborted
          ? unreachable(path, `no answer within ${timeoutMs / 1000} s`)
          : new Again(`the connection failed (${error.code ?? 'no code'})`),
      )
    const request = get(url, { agent, signal, headers: { 'accept-encoding': 'identity' } }, response => {
      response.on('error', fail)
      const status = response.statusCode ?? 0
      if (status === 200) return void take(response, path, most).then(resolve, reject)
      response.resume()
      if (status === 404 || status === 410) return resolve(undefined)
      if (status >= 500 || status === 429) return reject(new Again(`the answer is ${status}`))
      const redirected = status >= 300 && status < 400
      return reject(unreachable(path, redirected ? 'redirects are not followed' : `the answer is ${status}`))
    })
    request.on('error', fail)
  })
}

async function take(response: IncomingMessage, path: string, most: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let length = 0
  const tooLong = () => {
    response.destroy()
    return new LedgerError('ERR_LEDGER_CORRUPT', `${path} is larger than ${most} bytes`, { file: path })
  }
  if (Number(response.headers['content-length'] ?? 0) > most) throw tooLong()
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      length += piece.length
      if (length > most) throw tooLong()
      pieces.push(piece)
    }
  } catch (error) {
    if (error instanceof LedgerError) throw error
    const { name, code } = error as NodeJS.ErrnoException
    if (name === 'AbortError') throw unreachable(path, `no end within ${timeoutMs / 1000} s`)
    throw new Again(`the connection failed (${code ?? 'no code'})`)
  }
  return Buffer.concat(pieces)
}
