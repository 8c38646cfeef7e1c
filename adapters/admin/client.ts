/** Calls a running guard's admin address, and gives its refusals back as ours. */
import { Fault, Refusal, type RefusalCode } from '../../lib/errors.ts'
import type { Json } from '../../lib/format/canonical.ts'

export interface AdminClient {
  get(path: string): Promise<{ [name: string]: Json }>
  post(path: string, body?: Json): Promise<{ [name: string]: Json }>
}

/** @param server `http://127.0.0.1:9090` @param secret a token or a local key: never shown in an error */
export function adminClient(server: string, secret: string): AdminClient {
  const call = async (method: string, path: string, body?: Json) => {
    let response: Response
    try {
      response = await fetch(new URL(path, server), {
        method,
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(60_000),
      })
    } catch (error) {
      throw new Fault('ERR_UPSTREAM', `no guard answers at ${server}: is counterfoil serve running?`, {}, error)
    }
    const answer = (await response.json().catch(() => ({}))) as { [name: string]: Json }
    if (response.ok) return answer
    if (response.status === 401 || response.status === 403) {
      throw new Refusal(answer.code as RefusalCode, String(answer.detail))
    }
    throw new Fault('ERR_UPSTREAM', `the guard answered ${response.status}: ${String(answer.detail ?? answer.title)}`)
  }
  return { get: path => call('GET', path), post: (path, body) => call('POST', path, body) }
}
