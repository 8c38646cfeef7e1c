/** A session as a list of what was asked in it, in order: each with what is recorded of its reply, and what there is no recording of. */
import { type ErasedBy, type RecordedAttachment, type SessionRecord, sayErased } from '../../evidence/index.ts'
import type { Json } from '../../lib/format/canonical.ts'
import type { EntryOf } from '../../lib/format/entry.ts'

export interface Asked {
  readonly decision: EntryOf<'decision'>
  /** As disclosed; undefined where a control keeps no more than its digest. */
  readonly action: Json | undefined
  /** What was disclosed of it, the action with it. */
  readonly erased?: ErasedBy
  outcome?: EntryOf<'outcome'>
  settled?: EntryOf<'settled'>['result']
  readonly attachments: RecordedAttachment[]
}

export interface SessionStory {
  readonly opened: EntryOf<'session-opened'> | undefined
  readonly closed: EntryOf<'session-closed'> | undefined
  readonly asked: readonly Asked[]
}

export function storyOf(records: readonly SessionRecord[], attachments: readonly RecordedAttachment[]): SessionStory {
  const asked = new Map<string, Asked>()
  let opened: EntryOf<'session-opened'> | undefined
  let closed: EntryOf<'session-closed'> | undefined
  for (const { entry, opened: disclosed, erased } of records) {
    switch (entry.kind) {
      case 'session-opened':
        opened = entry
        break
      case 'session-closed':
        closed = entry
        break
      case 'decision':
        asked.set(entry.exchange, {
          ...{ decision: entry, action: disclosed.values.action, attachments: [] },
          ...(erased === undefined ? {} : { erased }),
        })
        break
      case 'outcome': {
        const of = asked.get(entry.exchange)
        if (of !== undefined) of.outcome = entry
        break
      }
      case 'settled':
        for (const exchange of entry.exchanges) {
          const of = asked.get(exchange)
          if (of !== undefined) of.settled = entry.result
        }
    }
  }
  for (const attachment of attachments) asked.get(attachment.entry.exchange)?.attachments.push(attachment)
  return { opened, closed, asked: [...asked.values()] }
}

/** What was asked, as a person would have typed it, behind the prompt of its protocol. */
export function promptOf({ decision: { protocol, target, accesses }, action }: Asked): string {
  const prompt = protocol === 'postgres' ? `${target}=> ` : protocol === 'ssh' ? `${loginOf(accesses)}$ ` : '> '
  return prompt + (asTyped(action) ?? accesses.map(({ action: verb, resource }) => `${verb} ${resource}`).join(', '))
}

/** The statement, where what was asked is one: an error shows a place in it. */
export const statementOf = ({ action }: Asked): string | undefined => stringIn(action, 'statement')

function asTyped(action: Json | undefined): string | undefined {
  const statement = stringIn(action, 'statement')
  if (statement !== undefined) {
    const text = statement.trimEnd()
    const values = member(action, 'values')
    if (!Array.isArray(values) || values.length === 0) return text.endsWith(';') ? text : `${text};`
    // As psql 16 has it: values are bound to the statement, which then has no semicolon.
    return `${text.replace(/;$/, '')} \\bind ${values.map(literal).join(' ')} \\g`
  }
  const command = stringIn(action, 'exec')
  if (command !== undefined) return command
  if (member(action, 'shell') !== undefined) return '(a shell)'
  const [method, path] = ['method', 'path'].map(name => stringIn(action, name))
  if (method !== undefined && path !== undefined) return `${method} ${path}`
  return action === undefined || action === null || typeof action === 'boolean' ? undefined : JSON.stringify(action)
}

const literal = (value: Json) =>
  value === null ? 'NULL' : typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : JSON.stringify(value)

const member = (value: Json | undefined, name: string): Json | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [name: string]: Json | undefined })[name]
    : undefined

function stringIn(value: Json | undefined, name: string): string | undefined {
  const found = member(value, name)
  return typeof found === 'string' ? found : undefined
}

/** `deploy@web1`, of `fleet/web1/deploy/exec`. */
function loginOf(accesses: EntryOf<'decision'>['accesses']): string {
  const [, host, login] = accesses[0]?.resource.split('/') ?? []
  return `${login ?? '-'}@${host ?? '-'}`
}

/** That what was disclosed of it is gone, and on whose word; undefined where it is not. */
export const whatIsGone = ({ erased }: Asked): string | undefined =>
  erased === undefined ? undefined : `what was disclosed of this is gone: ${sayErased(erased)}`

/** What is said in the place of a recording, and of what became of it; undefined where its recording says all. */
export function withoutRecording({ decision, outcome, attachments }: Asked): string | undefined {
  if (decision.verdict === 'deny') return `refused: ${decision.code ?? 'no code'} (exchange ${decision.exchange})`
  if (attachments.length > 0) return undefined
  const what =
    outcome === undefined
      ? 'it has no outcome yet'
      : `${outcome.result}${outcome.code === undefined ? '' : ` ${outcome.code}`}, ${outcome.items} ${
          decision.protocol === 'postgres' ? 'row' : 'part'
        }${outcome.items === 1 ? '' : 's'}, ${outcome.bytes} bytes`
  return `not recorded (${what}): no control asked for it, or nothing was shown (exchange ${decision.exchange})`
}

/** When it was over, and what became of it. */
export function endOf({ decision, outcome, settled }: Asked): string {
  if (outcome === undefined) return decision.verdict === 'deny' ? '' : 'no outcome'
  const took = Date.parse(outcome.time) - Date.parse(decision.time)
  const stood = settled ?? outcome.settled
  const became = stood === undefined || stood === 'nothing' ? '' : `, ${stood}`
  const masked = outcome.masked === undefined ? '' : `, masked ${outcome.masked.join(',')}`
  return `${outcome.result}${outcome.code === undefined ? '' : ` ${outcome.code}`} after ${took} ms${became}${masked}`
}
