/** The file of local keys, read strictly: a list of records, each without the secret that it is for. */
import { Misuse } from '../errors.ts'
import type { Json } from '../format/canonical.ts'
import { isSubjectId } from '../policy/rules.ts'

export interface KeyRecord {
  readonly id: string
  readonly subject: string
  readonly type: 'person' | 'agent' | 'service'
  readonly owner?: string
  readonly principal?: string
  /** SHA-256 of the secret, in hex. */
  readonly hash: string
  /** RFC 3339, UTC. */
  readonly issued: string
  readonly expires: string
  readonly revoked?: string
}

const time = (value: string) =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/.test(value) && !Number.isNaN(Date.parse(value))
const isType = (value: string) => ['person', 'agent', 'service'].includes(value)

// biome-ignore format: a table
const fields: readonly (readonly [name: keyof KeyRecord, required: boolean, holds: (value: string) => boolean])[] = [
  ['id',        true,  value => /^[0-9a-f]{12}$/.test(value)],
  ['subject',   true,  isSubjectId],
  ['type',      true,  isType],
  ['owner',     false, isSubjectId],
  ['principal', false, isSubjectId],
  ['hash',      true,  value => /^[0-9a-f]{64}$/.test(value)],
  ['issued',    true,  time],
  ['expires',   true,  time],
  ['revoked',   false, time],
]

/** @throws Misuse ERR_OPTION_INVALID */
export function parseKeys(text: string): readonly KeyRecord[] {
  let records: Json
  try {
    records = JSON.parse(text) as Json
  } catch {
    throw malformed('it is not JSON')
  }
  if (!Array.isArray(records)) throw malformed('it is no list')
  const ids = new Set<string>()
  for (const [i, record] of (records as Json[]).entries()) {
    if (typeof record !== 'object' || record === null || Array.isArray(record))
      throw malformed(`key ${i + 1} is no record`)
    checkRecord(record as Readonly<Record<string, Json>>, i + 1)
    const { id } = record as unknown as KeyRecord
    if (ids.has(id)) throw malformed(`key ${i + 1} has an id that is taken`)
    ids.add(id)
  }
  return records as unknown as readonly KeyRecord[]
}

function checkRecord(record: Readonly<Record<string, Json>>, number: number): void {
  for (const name of Object.keys(record)) {
    if (!fields.some(([known]) => known === name)) throw malformed(`key ${number} has an unknown member`)
  }
  for (const [name, required, holds] of fields) {
    const value = record[name]
    if (value === undefined && !required) continue
    if (typeof value !== 'string' || !holds(value)) throw malformed(`key ${number} has a malformed ${name}`)
  }
  if (record.type !== 'person' && record.owner === undefined)
    throw malformed(`key ${number} is ${record.type === 'agent' ? "an agent's" : "a service's"}, and names no owner`)
  // An agent under a person's type could approve, and one that answers for another leaves nobody who does.
  if ((record.type === 'agent') !== String(record.subject).startsWith('agent:'))
    throw malformed(`key ${number} has a subject of another type`)
  if (record.type === 'person' && record.owner !== undefined)
    throw malformed(`key ${number} is a person's, and names an owner`)
  if (record.type !== 'agent' && record.principal !== undefined)
    throw malformed(`key ${number} is no agent's, and names a principal`)
  if ([record.owner, record.principal].some(name => String(name).startsWith('agent:')))
    throw malformed(`key ${number} names an agent where a person must be`)
}

const malformed = (what: string) => new Misuse('ERR_OPTION_INVALID', `the file of local keys is malformed: ${what}`)
