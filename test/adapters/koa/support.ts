/** What koa applications have in front of their routes. */
import type { Context, Next } from 'koa'

/** As body parsers for koa do: the parsed body stands on `context.request.body`. */
export async function jsonBody(context: Context, next: Next): Promise<void> {
  if (context.is('application/json')) {
    const parts: Buffer[] = []
    for await (const part of context.req) parts.push(part as Buffer)
    Object.assign(context.request, { body: JSON.parse(Buffer.concat(parts).toString()) as unknown })
  }
  await next()
}
