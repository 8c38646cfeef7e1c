/** What the admin address answers, as a table: method and path to one call of the desk. */
import { Refusal } from '../../lib/errors.ts'
import type { Json } from '../../lib/format/canonical.ts'
import type { Guard } from '../../lib/guard.ts'
import type { Subject } from '../../lib/identity/subject.ts'

export type Handler = (guard: Guard, subject: Subject, body: Body, id: string) => Promise<unknown>
export type Body = { readonly [name: string]: Json | undefined }

export interface Route {
  readonly method: 'GET' | 'POST'
  /** `:id` stands for one segment. */
  readonly path: string
  readonly handle: Handler
}

// biome-ignore format: a table
export const routes: readonly Route[] = [
  { method: 'GET',  path: '/v1/whoami',              handle: async (_, { id, type, issuer }) => ({ id, type, issuer }) },
  { method: 'GET',  path: '/v1/pending',             handle: async ({ desk }, subject) => ({ pending: await desk.pending(subject) }) },
  { method: 'POST', path: '/v1/grants',              handle: async ({ desk }, subject, body) => ({ id: await desk.request(subject, grantRequest(body)) }) },
  { method: 'POST', path: '/v1/items/:id/approve',   handle: async ({ desk }, subject, _, id) => desk.approve(subject, id) },
  { method: 'POST', path: '/v1/items/:id/deny',      handle: async ({ desk }, subject, _, id) => desk.deny(subject, id) },
  { method: 'POST', path: '/v1/items/:id/revoke',    handle: async ({ desk }, subject, body, id) => desk.revoke(subject, id, optionalText(body, 'reason')) },
]

/** @returns the route and the id in its path, or undefined */
export function findRoute(method: string, path: string): { route: Route; id: string } | undefined {
  for (const route of routes) {
    const [before, after] = route.path.split(':id')
    if (route.method !== method) continue
    if (after === undefined) {
      if (path === route.path) return { route, id: '' }
    } else if (path.startsWith(before!) && path.endsWith(after)) {
      const id = path.slice(before!.length, path.length - after.length)
      if (/^[\w-]{1,64}$/.test(id)) return { route, id }
    }
  }
  return undefined
}

/** As many as an entry holds. */
const mostActions = 64

function grantRequest(body: Body) {
  const { resource, actions, seconds } = body
  if (typeof resource !== 'string' || !/^[\x21-\x7e]{1,512}$/.test(resource))
    throw invalid('resource must be a resource or a glob')
  if (
    !Array.isArray(actions) ||
    actions.length > mostActions ||
    !actions.every(a => typeof a === 'string' && /^[\x21-\x7e]{1,64}$/.test(a))
  ) {
    throw invalid(`actions must be a list of at most ${mostActions} words`)
  }
  if (typeof seconds !== 'number') throw invalid('seconds must be a number')
  const reason = optionalText(body, 'reason')
  return { resource, actions: actions as string[], seconds, ...(reason === undefined ? {} : { reason }) }
}

function optionalText(body: Body, name: string): string | undefined {
  const value = body[name]
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value.length > 2000 || !value.isWellFormed())
    throw invalid(`${name} must be a text of at most 2000 characters`)
  return value
}

const invalid = (what: string) => new Refusal('ERR_OBLIGATION_UNMET', what)
