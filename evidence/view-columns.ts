/** The documented views of a verified ledger, as a table: each view's columns, their DuckDB types, and what they mean. */

export type ColumnType = 'VARCHAR' | 'BIGINT' | 'BOOLEAN' | 'VARCHAR[]'

export type ColumnSpec = readonly [name: string, type: ColumnType, meaning: string]

const actors: readonly ColumnSpec[] = [
  ['subject', 'VARCHAR', 'pseudonym of who acted'],
  ['subject_name', 'VARCHAR', 'name, where disclosed'],
  ['subject_type', 'VARCHAR', 'person, agent or service'],
  ['principal', 'VARCHAR', 'pseudonym of the person on whose behalf an agent acted'],
  ['principal_name', 'VARCHAR', 'name, where disclosed'],
  ['owner', 'VARCHAR', 'pseudonym of the person accountable for the agent'],
  ['owner_name', 'VARCHAR', 'name, where disclosed'],
]

// Times are RFC 3339 in UTC to the millisecond, as text: they compare as text, and cast to TIMESTAMPTZ. `index` is the position
// in the ledger, which is the order that counts where two times are equal.
// biome-ignore format: a table
export const views = {
  operations: [
    ['index', 'BIGINT', 'entry of the decision'],
    ['exchange', 'VARCHAR', 'id of the operation'],
    ['session', 'VARCHAR', 'the session it belongs to, where there is one'],
    ['time', 'VARCHAR', 'when the decision was recorded'],
    ['asked_at', 'VARCHAR', 'when it was asked for, from its id; a proven read runs before its decision is recorded'],
    ['in_period', 'BOOLEAN', 'whether its decision lies in the period'],
    ...actors,
    ['protocol', 'VARCHAR', 'postgres, http, ...'],
    ['target', 'VARCHAR', 'the listener, first segment of every resource'],
    ['method', 'VARCHAR', 'how the subject was identified'],
    ['actions', 'VARCHAR[]', 'verbs, in the order of resources'],
    ['resources', 'VARCHAR[]', 'what each verb is applied to'],
    ['action_digest', 'VARCHAR', 'commitment to the exact action'],
    ['action', 'VARCHAR', 'the exact action as JSON, where disclosed'],
    ['reason', 'VARCHAR', 'where disclosed'],
    ['address', 'VARCHAR', 'where it came from, where disclosed'],
    ['controls', 'VARCHAR[]', 'controls that the decision cites'],
    ['observed', 'VARCHAR[]', 'controls in observe mode that would have refused'],
    ['risk', 'VARCHAR', 'low or high'],
    ['read', 'BOOLEAN', 'proved to change nothing'],
    ['verdict', 'VARCHAR', 'permit or deny'],
    ['code', 'VARCHAR', 'why it was denied'],
    ['policy', 'VARCHAR', 'digest of the policy that decided'],
    ['grant_id', 'VARCHAR', 'the grant it ran under'],
    ['approval_id', 'VARCHAR', 'the approval it used'],
    ['durability', 'VARCHAR', 'durable or written'],
    ['placement', 'VARCHAR', 'gateway (contains) or embedded (cooperates)'],
    ['outcome_index', 'BIGINT', 'entry of the outcome'],
    ['outcome_time', 'VARCHAR', 'when the outcome was recorded'],
    ['result', 'VARCHAR', 'completed, failed, aborted, unknown; open where no outcome is recorded; null where denied'],
    ['outcome_code', 'VARCHAR', 'why it failed'],
    ['items', 'BIGINT', 'rows, lines or parts offered to the client'],
    ['bytes', 'BIGINT', 'bytes offered to the client'],
    ['offered', 'VARCHAR', 'commitment to what was offered, after masking'],
    ['masked', 'VARCHAR[]', 'CONTROL:FIELD:STRATEGY; CONTROL:FIELD:detect:KIND for what was found; CONTROL:FIELD:absent where the reply had no such field'],
    ['settled', 'VARCHAR', 'committed, rolled-back, unknown, nothing'],
  ],
  grants: [
    ['grant_id', 'VARCHAR', ''],
    ['requested_index', 'BIGINT', 'entry of the request'],
    ['requested_at', 'VARCHAR', ''],
    ['said_again', 'BOOLEAN', 'whether a rollover says it again: it was requested in an earlier ledger, before `requested_at`'],
    ['in_period', 'BOOLEAN', 'whether it was requested in the period; false where it is said again'],
    ...actors,
    ['resource', 'VARCHAR', 'scope: a glob'],
    ['resource_pattern', 'VARCHAR', 'the same as a regular expression (RE2), for regexp_full_match'],
    ['actions', 'VARCHAR[]', 'scope: verbs; * is any'],
    ['seconds', 'BIGINT', 'asked for'],
    ['longest', 'BIGINT', 'seconds that the controls allowed'],
    ['roles', 'VARCHAR[]', 'every one of which the approver had to hold'],
    ['controls', 'VARCHAR[]', 'that asked for it'],
    ['reason', 'VARCHAR', 'where disclosed'],
    ['reason_given', 'BOOLEAN', 'whether the request commits to a reason; it is all that a request may disclose'],
    ['verdict', 'VARCHAR', 'approve or deny; null while undecided'],
    ['decided_index', 'BIGINT', ''],
    ['decided_at', 'VARCHAR', ''],
    ['decided_in_period', 'BOOLEAN', 'whether it was decided in the period; false where a rollover says that again'],
    ['approver', 'VARCHAR', 'pseudonym'],
    ['approver_name', 'VARCHAR', 'name, where disclosed'],
    ['approver_type', 'VARCHAR', 'person, agent or service'],
    ['starts_at', 'VARCHAR', 'the window includes it'],
    ['ends_at', 'VARCHAR', 'the window excludes it'],
    ['revoked_index', 'BIGINT', ''],
    ['revoked_at', 'VARCHAR', ''],
    ['revoked_by', 'VARCHAR', 'pseudonym'],
    ['over_at', 'VARCHAR', 'when it was revoked, or its window ended; null where neither has come by the newest entry, or it was not given'],
    ['over_in_period', 'BOOLEAN', 'whether that lies in the period'],
  ],
  /** One row for each approver's decision and each operation that used the approval; one with nulls where there is none. */
  approvals: [
    ['approval_id', 'VARCHAR', ''],
    ['requested_index', 'BIGINT', 'entry of the request'],
    ['requested_at', 'VARCHAR', ''],
    ['requested_exchange', 'VARCHAR', 'the operation that asked for it'],
    ['in_period', 'BOOLEAN', 'whether it was requested in the period'],
    ...actors,
    ['controls', 'VARCHAR[]', 'that asked for it'],
    ['people', 'BIGINT', 'distinct approvers needed'],
    ['roles', 'VARCHAR[]', 'every one of which each approver had to hold'],
    ['action_digest', 'VARCHAR', 'commitment to the action that was shown to the approver'],
    ['until', 'VARCHAR', 'worth nothing from then on'],
    ['approver', 'VARCHAR', 'pseudonym'],
    ['approver_name', 'VARCHAR', 'name, where disclosed'],
    ['approver_type', 'VARCHAR', 'person, agent or service'],
    ['verdict', 'VARCHAR', 'approve or deny; null while undecided'],
    ['decided_index', 'BIGINT', ''],
    ['decided_at', 'VARCHAR', ''],
    ['exchange', 'VARCHAR', 'the operation that used it; null where none has'],
    ['action_matches', 'BOOLEAN', 'whether that operation commits to the same action'],
    ['uses', 'BIGINT', 'operations that used it'],
  ],
  sessions: [
    ['index', 'BIGINT', ''],
    ['session', 'VARCHAR', ''],
    ['opened_at', 'VARCHAR', ''],
    ['closed_at', 'VARCHAR', 'null while open'],
    ['close_reason', 'VARCHAR', ''],
    ['in_period', 'BOOLEAN', 'whether it was opened in the period'],
    ...actors,
    ['protocol', 'VARCHAR', ''],
    ['target', 'VARCHAR', ''],
    ['method', 'VARCHAR', ''],
    ['strength', 'VARCHAR', 'as the identity provider says'],
    ['credential', 'VARCHAR', 'which credential, never the credential'],
    ['tls', 'BOOLEAN', ''],
    ['address', 'VARCHAR', 'where disclosed'],
    ['client', 'VARCHAR', 'what the client calls itself, where disclosed'],
  ],
  /** One row for each entry that says it: the newest before an operation is what was known then. */
  principals: [
    ['subject', 'VARCHAR', 'pseudonym'],
    ['type', 'VARCHAR', 'person, agent or service'],
    ['owner', 'VARCHAR', 'pseudonym'],
    ['name', 'VARCHAR', 'where disclosed'],
    ['issuer', 'VARCHAR', 'where disclosed'],
    ['index', 'BIGINT', ''],
    ['time', 'VARCHAR', ''],
  ],
  policies: [
    ['index', 'BIGINT', ''],
    ['time', 'VARCHAR', 'in force from then on'],
    ['in_period', 'BOOLEAN', 'whether it came into force in the period'],
    ['digest', 'VARCHAR', 'as decisions cite it'],
    ['model', 'VARCHAR', 'digest of the text'],
    ['rules', 'VARCHAR', 'digest of the text'],
    ['controls', 'VARCHAR', 'digest of the text'],
    ['rules_disclosed', 'BOOLEAN', 'whether the text of the rules is at hand; without it, nobody can tell who held a role'],
    ['changed_by', 'VARCHAR', 'pseudonym'],
  ],
  /** Who held which role, directly or through another, as the disclosed texts of the rules say. */
  memberships: [
    ['policy', 'VARCHAR', 'digest of the policy'],
    ['member', 'VARCHAR', 'name, as in principals'],
    ['role', 'VARCHAR', ''],
  ],
  /** What was kept of what was shown, and of what was typed: attachments, which the ledger commits to. */
  recordings: [
    ['index', 'BIGINT', 'entry of the attachment'],
    ['time', 'VARCHAR', ''],
    ['in_period', 'BOOLEAN', ''],
    ['attachment', 'VARCHAR', 'id'],
    ['exchange', 'VARCHAR', 'the operation it is of'],
    ['session', 'VARCHAR', ''],
    ['part', 'VARCHAR', 'request, response or terminal'],
    ['type', 'VARCHAR', 'media type'],
    ['bytes', 'BIGINT', 'of the recording, before encryption'],
    ['chunks', 'BIGINT', ''],
    ['content', 'VARCHAR', 'commitment to its bytes; null where it was cut'],
    ['location', 'VARCHAR', 'the file in this bundle; else in the ledger; ERASED (by #n)'],
    ['cut', 'BOOLEAN', 'whether a crash cut it: bytes and chunks are those that are left'],
    ['cut_by', 'BIGINT', 'entry that tells of that crash; null where its end could not be written'],
    ['sealed_to', 'VARCHAR[]', 'fingerprints of the OpenPGP keys that alone can open it, where disclosed; else empty'],
  ],
  /** What was tried and refused: of grants and approvals, and of the vault. */
  attempts: [
    ['index', 'BIGINT', ''],
    ['time', 'VARCHAR', ''],
    ['in_period', 'BOOLEAN', ''],
    ['verb', 'VARCHAR', 'approve, deny or revoke; of the vault: erase, place or release'],
    ['of_id', 'VARCHAR', 'the grant or approval; of the vault: a pseudonym, a session, a hold, or ledger'],
    ['subject', 'VARCHAR', 'pseudonym'],
    ['subject_name', 'VARCHAR', 'name, where disclosed; ERASED (by #n)'],
    ['approvers', 'VARCHAR[]', 'of an erasure: pseudonyms'],
    ['code', 'VARCHAR', ''],
    ['why', 'VARCHAR', ''],
    ['hold', 'VARCHAR', 'the hold that was in the way'],
  ],
  /** Whose disclosures were destroyed, on whose word. */
  erasures: [
    ['index', 'BIGINT', ''],
    ['time', 'VARCHAR', ''],
    ['in_period', 'BOOLEAN', ''],
    ['scope', 'VARCHAR', 'principal or session'],
    ['of_id', 'VARCHAR', 'pseudonym, or the session'],
    ['of_name', 'VARCHAR', 'name of a principal, where disclosed; ERASED (by #n)'],
    ['ground', 'VARCHAR', 'a word for why'],
    ['basis', 'VARCHAR', 'where disclosed'],
    ['erased_by', 'VARCHAR', 'pseudonym of who asked for it'],
    ['erased_by_name', 'VARCHAR', 'name, where disclosed; ERASED (by #n)'],
    ['approvers', 'VARCHAR[]', 'pseudonyms'],
    ['approver_names', 'VARCHAR[]', 'names, where disclosed; else ERASED (by #n), or the pseudonym'],
    ['slots', 'BIGINT', 'keys that were destroyed'],
  ],
  /** Which earlier ledgers of the series were disposed of, all but their last checkpoint, on whose word. */
  disposals: [
    ['index', 'BIGINT', ''],
    ['time', 'VARCHAR', ''],
    ['said_again', 'BOOLEAN', 'whether a rollover says it again: it was done in an earlier ledger, before `time`'],
    ['in_period', 'BOOLEAN', 'whether it was done in the period; false where it is said again'],
    ['ledger', 'VARCHAR', 'its origin'],
    ['size', 'BIGINT', 'entries that it had'],
    ['root', 'VARCHAR', 'of its tree, base64url'],
    ['ground', 'VARCHAR', 'a word for why'],
    ['basis', 'VARCHAR', 'where disclosed'],
    ['disposed_by', 'VARCHAR', 'pseudonym of who asked for it'],
    ['disposed_by_name', 'VARCHAR', 'name, where disclosed; ERASED (by #n)'],
    ['approvers', 'VARCHAR[]', 'pseudonyms'],
    ['approver_names', 'VARCHAR[]', 'names, where disclosed; else ERASED (by #n), or the pseudonym'],
  ],
  /** What could not be erased, from when to when. */
  holds: [
    ['hold', 'VARCHAR', 'id'],
    ['in_period', 'BOOLEAN', 'whether it stood at any time of the period'],
    ['scope', 'VARCHAR', 'ledger, principal or session'],
    ['of_id', 'VARCHAR', 'pseudonym, or the session; null for the ledger'],
    ['of_name', 'VARCHAR', 'name of a principal, where disclosed; ERASED (by #n)'],
    ['placed_index', 'BIGINT', ''],
    ['placed_at', 'VARCHAR', ''],
    ['placed_again', 'BOOLEAN', 'whether a rollover says it again: it was placed in an earlier ledger, before `placed_at`'],
    ['placed_by', 'VARCHAR', 'pseudonym'],
    ['placed_by_name', 'VARCHAR', 'name, where disclosed; ERASED (by #n)'],
    ['reason', 'VARCHAR', 'where disclosed'],
    ['released_index', 'BIGINT', 'null while it stands'],
    ['released_at', 'VARCHAR', ''],
    ['released_again', 'BOOLEAN', 'the same of its end; null while it stands'],
    ['released_by', 'VARCHAR', 'pseudonym'],
    ['released_by_name', 'VARCHAR', 'name, where disclosed; ERASED (by #n)'],
    ['released_reason', 'VARCHAR', 'where disclosed'],
  ],
  heartbeats: [
    ['index', 'BIGINT', ''],
    ['time', 'VARCHAR', ''],
    ['in_period', 'BOOLEAN', ''],
    ['writer', 'VARCHAR', ''],
    ['seq', 'BIGINT', ''],
    ['kind', 'VARCHAR', 'heartbeat, started, stopped or recovered'],
    ['open', 'BIGINT', 'operations in flight'],
    ['interval', 'BIGINT', 'seconds until the next is due'],
    ['epoch', 'BIGINT', ''],
    ['placement', 'VARCHAR', 'gateway or embedded'],
    ['software', 'VARCHAR', ''],
    ['torn', 'BIGINT', 'bytes set aside at recovery'],
  ],
  gaps: [
    ['kind', 'VARCHAR', 'silence, sequence, crash; stopped where nothing could pass'],
    ['writer', 'VARCHAR', ''],
    ['starts_at', 'VARCHAR', ''],
    ['ends_at', 'VARCHAR', ''],
    ['index', 'BIGINT', 'entry that ends it'],
    ['in_period', 'BOOLEAN', 'whether any of it lies in the period'],
    ['detail', 'VARCHAR', ''],
  ],
  checkpoints: [
    ['size', 'BIGINT', ''],
    ['root', 'VARCHAR', 'base64'],
    ['role', 'VARCHAR', 'opening or closing'],
  ],
  /** What each control asked for, for each version of the policy: from the controls as declared, not from the ledger's citations. */
  requirements: [
    ['control', 'VARCHAR', ''],
    ['policy', 'VARCHAR', 'digest of the policy'],
    ['resource_pattern', 'VARCHAR', 'covers: regular expression (RE2)'],
    ['action_pattern', 'VARCHAR', 'covers: regular expression (RE2); null is any'],
    ['risk', 'VARCHAR', 'covers: null is any'],
    ['effective_from', 'VARCHAR', 'null is always'],
    ['observed_until', 'VARCHAR', 'observe mode; null is enforced'],
    ['grant_longest_ms', 'BIGINT', 'null where no grant is asked for'],
    ['grant_reason', 'BOOLEAN', 'whether a grant needs a reason; null where none is asked for'],
    ['grant_role', 'VARCHAR', 'role that who approves a grant must hold; null is any'],
    ['approval_people', 'BIGINT', 'null where no approval is asked for'],
    ['approval_role', 'VARCHAR', 'role that who approves must hold; null is any'],
    ['mask_fields', 'VARCHAR[]', 'null where nothing is masked; each as the words in operations.masked have it'],
    ['record_response', 'VARCHAR', 'digest or masked; null where neither is asked for'],
    ['revocation_ms', 'BIGINT', 'how long after the end of a grant anything may still go on'],
  ],
} as const satisfies Record<string, readonly ColumnSpec[]>

export type ViewName = keyof typeof views
export const viewNames = Object.keys(views) as readonly ViewName[]

export type Cell = string | number | boolean | null | readonly string[]
export type Row = Readonly<Record<string, Cell>>

/** One JSON object a line, members in the columns' order. */
export function toNdjson(columns: readonly ColumnSpec[], rows: readonly Row[]): string {
  return rows
    .map(row => `${JSON.stringify(Object.fromEntries(columns.map(([name]) => [name, row[name] ?? null])))}\n`)
    .join('')
}

/** The statements that make the views tables in DuckDB. @param folder where the files lie, without a trailing slash */
export function openSql(folder: string, names: readonly ViewName[] = viewNames): string {
  return names
    .map(name => {
      const columns = views[name].map(([column, type]) => `"${column}": '${type}'`).join(', ')
      const file = `${folder}/${name}.jsonl`.replaceAll("'", "''")
      return `create table ${name} as select * from read_json('${file}', format = 'newline_delimited', columns = {${columns}});\n`
    })
    .join('')
}
