/**
 * Which settings of a session a client may change: those that neither move how the server reads a statement away from how we
 * read it, nor change who acts. Everything else is refused, however it is asked for: SET, set_config(), a startup option.
 */
import { ProtocolViolation } from './violation.ts'

/**
 * Not here, each for its reason: standard_conforming_strings, client_encoding and backslash_quote (the server would read
 * another statement than we did), search_path (names would resolve elsewhere), role, session_authorization and
 * session_replication_role (who acts, and which triggers fire), synchronous_commit (a commit would not be durable),
 * application_name (our mark in the server's own log, by which a direct connection is told from ours).
 */
const free = new Set([
  'bytea_output',
  'client_min_messages',
  'cursor_tuple_fraction',
  'datestyle',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'enable_bitmapscan',
  'enable_hashagg',
  'enable_hashjoin',
  'enable_indexonlyscan',
  'enable_indexscan',
  'enable_mergejoin',
  'enable_nestloop',
  'enable_seqscan',
  'enable_sort',
  'extra_float_digits',
  'from_collapse_limit',
  'geqo',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'intervalstyle',
  'jit',
  'join_collapse_limit',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'lock_timeout',
  'maintenance_work_mem',
  'max_parallel_workers_per_gather',
  'plan_cache_mode',
  'statement_timeout',
  'timezone',
  'transaction_deferrable',
  'transaction_isolation',
  'transaction_read_only',
  'transaction_timeout',
  'work_mem',
  'xmlbinary',
])

/** Settings that may be set to what they are already. */
const pinned: Readonly<Record<string, (value: string) => boolean>> = {
  standard_conforming_strings: value => ['on', 'true', 'yes', '1'].includes(value.toLowerCase()),
  client_encoding: isUtf8,
}

export function isUtf8(encoding: string): boolean {
  return ['utf8', 'utf-8', 'unicode'].includes(encoding.toLowerCase())
}

/** @param value undefined for RESET and DEFAULT: back to what the session was opened with, which is what we pinned */
export function maySet(name: string, value: readonly string[] | undefined, searchPath: readonly string[]): boolean {
  const setting = name.toLowerCase()
  if (value === undefined) return setting in pinned || setting === 'search_path' || free.has(setting)
  if (setting === 'search_path') return samePath(value, searchPath)
  const allowed = Object.hasOwn(pinned, setting) ? pinned[setting] : undefined
  return allowed === undefined ? free.has(setting) : value.length === 1 && allowed(value[0]!)
}

function samePath(value: readonly string[], searchPath: readonly string[]): boolean {
  return value.length === searchPath.length && value.every((schema, i) => schema === searchPath[i])
}

/** What a client's startup packet asks to set, checked. `user`, `database` and `options` are no settings. */
export function startupSettings(
  parameters: ReadonlyMap<string, string>,
  searchPath: readonly string[],
): ReadonlyMap<string, string> {
  const asked = new Map<string, string>()
  for (const [name, value] of parameters) {
    if (['user', 'database', 'options', 'replication', 'application_name'].includes(name)) continue
    if (!name.startsWith('_pq_.')) asked.set(name.toLowerCase(), value)
  }
  for (const [name, value] of optionSettings(parameters.get('options') ?? '')) asked.set(name, value)
  const kept = new Map<string, string>()
  for (const [name, value] of asked) {
    const values = name === 'search_path' ? value.split(',').map(schema => schema.trim()) : [value]
    if (!maySet(name, values, searchPath)) {
      throw new ProtocolViolation(
        '42501',
        'a startup option asks for a setting that this gateway does not let clients change',
      )
    }
    if (free.has(name)) kept.set(name, value)
  }
  return kept
}

/** `-c name=value --name=value`, backslash escapes, as the server reads them. Any other switch is refused. */
function optionSettings(options: string): readonly (readonly [string, string])[] {
  const words = [...options.matchAll(/(?:\\[\s\S]|[^\s\\])+/g)].map(match => match[0].replace(/\\([\s\S])/g, '$1'))
  const found: (readonly [string, string])[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    const setting =
      word === '-c' ? words[++at] : word.startsWith('-c') || word.startsWith('--') ? word.slice(2) : undefined
    const cut = setting?.indexOf('=') ?? -1
    if (setting === undefined || cut < 1) {
      throw new ProtocolViolation('42501', 'a startup option that this gateway does not know')
    }
    found.push([setting.slice(0, cut).replaceAll('-', '_').toLowerCase(), setting.slice(cut + 1)])
  }
  return found
}

/** Settings as the `options` of a startup packet. */
export function toOptions(settings: ReadonlyMap<string, string>): string {
  return [...settings].map(([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`).join(' ')
}

const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** As `set search_path to` has it. */
export const searchPathText = (schemas: readonly string[]): string => schemas.map(quoteIdentifier).join(', ')
