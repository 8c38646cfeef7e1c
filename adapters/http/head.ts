/** The head of a reply: what it says of the body, and what of it may stand once the body is masked. */
import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Form } from '../../lib/reply.ts'
import { isSecretName, withheld } from './redact.ts'

export interface Head {
  readonly status: number
  readonly message: string | undefined
  /** False for HEAD, 204 and 304, whatever the handlers write (RFC 9110, 6.4.1). */
  readonly hasBody: boolean
}

/** What the body is made of, and so whether a mask can be applied to it. */
export function formOf(response: ServerResponse, head: Head): Form {
  if (!head.hasBody) return { kind: 'empty' }
  // A part of a document may be a document too: `123` out of `"078-05-1123"`.
  if (head.status === 206) return { kind: 'opaque' }
  const encoding = response.getHeader('content-encoding')
  if (encoding !== undefined && encoding !== 'identity') return { kind: 'opaque' }
  // Of codings other than this one the body is not what it seems (RFC 9112, 7).
  const transfer = String(response.getHeader('transfer-encoding') ?? 'chunked')
  if (transfer.trim().toLowerCase() !== 'chunked') return { kind: 'opaque' }
  return formOfType(String(response.getHeader('content-type') ?? ''))
}

// biome-ignore format: a table
const forms: readonly (readonly [RegExp, Exclude<Form['kind'], 'rows'>])[] = [
  [/^application\/([\w.-]+\+)?json$/,                          'json'],
  [/^application\/(x-)?(ndjson|jsonl|jsonlines|json-lines)$/,   'json-lines'],
  [/^application\/([\w.-]+\+)?json-seq$/,                      'json-sequence'],  // RFC 7464, RFC 8091
  [/^text\/event-stream$/,                                      'events'],
  // Markup writes characters in ways of its own, so that what it shows is not found in its text.
  [/^text\/(plain|csv|tab-separated-values)$/,                  'text'],
]

/** Charsets in which what detectors find is written as in ASCII. */
const likeAscii = /^(utf-?8|us-ascii|iso-8859-1|windows-1252)$/

/** Of a media type (RFC 9110, 8.3.1). JSON is UTF-8 whatever it says (RFC 8259, 8.1), and is refused where it is not. */
export function formOfType(type: string): Form {
  const [name = '', ...parameters] = type.toLowerCase().split(';')
  const kind = forms.find(([pattern]) => pattern.test(name.trim()))?.[1] ?? 'opaque'
  const charsets = parameters.flatMap(one => /^\s*charset\s*=\s*"?([^"]*?)"?\s*$/.exec(one)?.[1] ?? [])
  return { kind: kind === 'json' || charsets.every(charset => likeAscii.test(charset)) ? kind : 'opaque' }
}

/** The head for a recording: status line and headers, those withheld that hold a secret by their name. */
export function shownHead(response: ServerResponse, { status, message }: Head, without: readonly string[]): Uint8Array {
  const headers = Object.entries(response.getHeaders()).filter(([name]) => !without.includes(name))
  const lines = headers.flatMap(([name, value]) =>
    [value ?? []].flat().map(one => `${name}: ${isSecretName(name) ? withheld : one}`),
  )
  const reason = (without.length === 0 && message) || STATUS_CODES[status] || ''
  return Buffer.from(`${[`HTTP/1.1 ${status} ${reason}`, ...lines].join('\r\n')}\r\n\r\n`)
}

/** What these say of the whole is no longer true of what is shown, or would let it be guessed. */
export const untrueOnceMasked: readonly string[] = [
  'content-length',
  'etag',
  'last-modified',
  'accept-ranges',
  'content-range',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
  'trailer',
]

/** A conditional or partial request would be answered from the unmasked whole: each is a question about it. */
export const conditional: readonly string[] = [
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-match',
  'if-range',
  'range',
]
