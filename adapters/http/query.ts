/** A request's query as it is bound and recorded: every parameter, with all its values. */
import { Refusal } from '../../lib/errors.ts'

/**
 * A repeated parameter is read differently by different parsers (first, last, list), so all values are kept. Names get a `?` in
 * front: a name like `7` would be an index, and move to the front of its object.
 * @param url the request target as received
 * @throws Refusal ERR_ACCESS_DENIED where two queries would be recorded alike: bytes that are no UTF-8
 */
export function requestQuery(url: string): Readonly<Record<string, readonly string[]>> {
  const query: Record<string, string[]> = {}
  const start = url.indexOf('?')
  if (start < 0) return query
  for (const [name, value] of new URLSearchParams(url.slice(start + 1))) {
    // U+FFFD is what every wrong byte decodes to.
    if (`${name}${value}`.includes('\ufffd')) {
      throw new Refusal(
        'ERR_ACCESS_DENIED',
        'the query has a percent-encoding that is not UTF-8: its meaning would be ambiguous',
      )
    }
    const values = query[`?${name}`]
    if (values === undefined) query[`?${name}`] = [value]
    else values.push(value)
  }
  return query
}
