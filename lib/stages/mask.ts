/** Out: masks frames before they leave, nearest the upstream. What cannot be masked under a mask is refused. */
import type { Stage } from '../compose.ts'
import type { MaskRule } from '../control.ts'
import { Fault, Refusal } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { matches } from '../glob.ts'
import { detectorsFor, foundWord } from '../masking/cell.ts'
import { EventMasker } from '../masking/events.ts'
import { longestRecord } from '../masking/framing.ts'
import { maskJson } from '../masking/json.ts'
import { JsonRecords, type MaskedRecords, type RecordMasker } from '../masking/records.ts'
import { planRows, type RowsPlan } from '../masking/rows.ts'
import { appliedWord, isNamed } from '../masking/selector.ts'
import type { MaskTools } from '../masking/strategies.ts'
import { canStream, isForAll, TextMasker } from '../masking/text.ts'
import type { Place } from '../operation.ts'
import type { Data, Frame, Head, Reply, RowsForm } from '../reply.ts'

/** A JSON document is masked whole, so it is held in memory: beyond this it is refused. */
const longestDocument = longestRecord

/** @param tools a key, where a control hashes: without one its replies fail */
export function mask(tools: MaskTools = {}): Stage {
  return async (exchange, next) => {
    const { masks } = exchange.fact('obligations')
    const applied = new Set<string>()
    exchange.learn('masked', applied)
    if (masks.length === 0) return next()
    refuseMoves(exchange, masks)
    return masked(await next(), { rules: masks, applied, tools })
  }
}

/** What the server brings from under a mask to where that mask does not follow would be read there in clear. */
function refuseMoves({ operation }: Exchange, masks: readonly MaskRule[]): void {
  for (const { from, to } of operation.moves ?? []) {
    const lost = masks.some(
      rule => (from === 'anywhere' || covers(rule, from)) && (to === undefined || !covers(rule, to)),
    )
    if (!lost) continue
    const what = from === 'anywhere' ? `data of ${operation.target}` : nameOf(from)
    const where = to === undefined ? 'where no mask follows' : `${nameOf(to)}, where that mask does not follow`
    throw new Refusal('ERR_OBLIGATION_UNMET', `${what} is under a mask: it may not be brought to ${where}`)
  }
}

const covers = (rule: MaskRule, { resource, field }: Place) =>
  matches(rule.resource, resource) && (field === undefined || rule.field === '*' || isNamed(rule.field, field))

const nameOf = ({ resource, field }: Place) => (field === undefined ? resource : `${resource}, ${field},`)

interface Work {
  readonly rules: readonly MaskRule[]
  /** Words of what was done, added as it is. */
  readonly applied: Set<string>
  readonly tools: MaskTools
}

async function* masked(reply: Reply, work: Work): AsyncGenerator<Frame> {
  let transform: Transform = headless
  for await (const frame of reply) {
    if (frame.type === 'data') {
      yield* transform.data(frame)
      continue
    }
    // A head may follow another (several results in one reply), and an end follows all: the document before it is whole.
    yield* transform.flush()
    transform = passes
    if (frame.type === 'head') transform = transformFor(frame, work)
    yield frame
  }
}

interface Transform {
  data(frame: Data): Iterable<Data>
  flush(): Iterable<Data>
}

const passes: Transform = { data: frame => [frame], flush: () => [] }

/** Before any head nothing says what data is made of. */
const headless: Transform = {
  data: () => {
    throw new Fault('ERR_MASK_FAILED', 'data came before the head that says what it is')
  },
  flush: () => [],
}

/** @throws Refusal ERR_OBLIGATION_UNMET @throws Fault ERR_UPSTREAM where what cannot be masked tells of an error: no other way of asking mends that */
function transformFor(head: Head, work: Work): Transform {
  try {
    return transformOf(head, work)
  } catch (error) {
    if (head.failed !== true || !(error instanceof Refusal)) throw error
    throw new Fault('ERR_UPSTREAM', 'the upstream failed, and how it says so cannot be masked', {}, error)
  }
}

function transformOf({ form }: Head, work: Work): Transform {
  const { rules, applied, tools } = work
  switch (form.kind) {
    case 'empty':
      return passes
    case 'rows':
      return rows(
        form,
        planRows(form.columns, rules, tools, word => applied.add(word)),
        applied,
      )
    case 'json':
      return document(work)
    case 'json-lines':
      return records(new JsonRecords('lines', rules, tools), applied)
    case 'json-sequence':
      return records(new JsonRecords('sequence', rules, tools), applied)
    case 'events':
      return records(new EventMasker(rules, tools), applied)
    case 'text':
      if (canStream(rules)) return text(work)
      throw fieldless(rules)
    case 'opaque':
      throw unmaskable()
  }
}

const unmaskable = () =>
  new Refusal('ERR_OBLIGATION_UNMET', 'this reply is under a mask, and in a form that cannot be masked')

/** Says what can be done about it. */
function fieldless(rules: readonly MaskRule[]): Refusal {
  const named = rules.filter(rule => !isForAll(rule)).map(({ control }) => control)
  // A pattern that only a whole text can be searched for.
  if (named.length === 0) return unmaskable()
  const what = 'this reply is text, which has no fields that a mask could name'
  const how = `let ${[...new Set(named)].join(', ')} cover less, or say "*": detect`
  return new Refusal('ERR_OBLIGATION_UNMET', `${what}: ${how}`)
}

/** Each channel is a text of its own. Items that are held back are counted with the bytes they leave with. */
function text({ rules, applied }: Work): Transform {
  for (const rule of rules) applied.add(appliedWord(rule, 'detect'))
  const found = (kind: string) => {
    for (const rule of rules) applied.add(foundWord(kind)(rule))
  }
  const channels = new Map<string, { masker: TextMasker; mark: ByteOrderMark; items: number }>()
  const shown = (channel: string, bytes: Uint8Array): Data[] => {
    const of = channels.get(channel)!
    if (bytes.length === 0) return []
    const items = of.items
    of.items = 0
    return [{ type: 'data', channel, bytes, items }]
  }
  return {
    data: ({ channel, bytes, items }) => {
      const of = channels.get(channel) ?? {
        masker: new TextMasker(detectorsFor(rules), found),
        mark: new ByteOrderMark(),
        items: 0,
      }
      channels.set(channel, of)
      of.mark.refuse(bytes)
      of.items += items
      return shown(channel, of.masker.push(bytes))
    },
    flush: () => [...channels].flatMap(([channel, { masker }]) => shown(channel, masker.end())),
  }
}

/** Of UTF-16 or UTF-32: whoever reads the text heeds it more than what the head says (WHATWG Encoding, 6), and it is then no ASCII. */
class ByteOrderMark {
  #first = ''

  /** @throws Refusal ERR_OBLIGATION_UNMET where the text begins with one */
  refuse(bytes: Uint8Array): void {
    if (this.#first.length >= 8) return
    this.#first += Buffer.from(bytes.subarray(0, 4)).toString('hex')
    if (/^(fffe|feff|0000feff)/.test(this.#first)) throw unmaskable()
  }
}

function rows(form: RowsForm, plan: RowsPlan, applied: Set<string>): Transform {
  for (const word of plan.applied) applied.add(word)
  if (plan.masks.every(cell => cell === undefined)) return passes
  return {
    data: frame => {
      try {
        return [{ ...frame, bytes: form.rewrite(frame.bytes, plan.masks) }]
      } catch (error) {
        throw new Fault('ERR_MASK_FAILED', 'a row could not be masked', {}, error)
      }
    },
    flush: () => [],
  }
}

function document({ rules, applied, tools }: Work): Transform {
  const parts: Uint8Array[] = []
  let length = 0
  let channel = 'body'
  return {
    data: frame => {
      length += frame.bytes.length
      if (length > longestDocument) {
        throw new Fault('ERR_MASK_FAILED', `a document of over ${longestDocument} bytes is too long to be masked`)
      }
      channel = frame.channel
      parts.push(frame.bytes)
      return []
    },
    flush: () => {
      if (length === 0) return []
      const result = maskJson(Buffer.concat(parts), rules, tools)
      for (const word of result.applied) applied.add(word)
      return [{ type: 'data', channel, bytes: result.bytes, items: 1 }]
    },
  }
}

/** Each record leaves as soon as it is whole. What is said of them holds for all so far: a field is absent until one has it. */
function records(masker: RecordMasker, applied: Set<string>): Transform {
  let channel = 'body'
  let said: readonly string[] = []
  const shown = ({ bytes, records: items }: MaskedRecords): Data[] => {
    if (bytes.length === 0) return []
    const words = masker.applied
    for (const word of said) if (!words.includes(word)) applied.delete(word)
    for (const word of words) applied.add(word)
    said = words
    return [{ type: 'data', channel, bytes, items }]
  }
  return {
    data: frame => {
      channel = frame.channel
      return shown(masker.push(frame.bytes))
    },
    flush: () => shown(masker.end()),
  }
}
