/**
 * What calling a function of pg_catalog means. A function is harmless when every variant of it is immutable or stable and it is
 * not denied here, or when it is volatile and allowed here. Whatever is neither may do anything, and is said to.
 */

/** Volatile, and yet they change and show nothing of the target. */
const allowed = new Set([
  'clock_timestamp',
  'gen_random_uuid',
  'pg_database_size',
  'pg_get_wal_resource_managers',
  'pg_indexes_size',
  'pg_is_in_recovery',
  'pg_jit_available',
  'pg_listening_channels',
  'pg_notification_queue_usage',
  'pg_partition_ancestors',
  'pg_partition_root',
  'pg_partition_tree',
  'pg_relation_size',
  'pg_sleep',
  'pg_table_size',
  'pg_total_relation_size',
  'random',
  'random_normal',
  'timeofday',
  'uuidv4',
  'uuidv7',
])

/** Not volatile, and yet they run SQL from a text, or show other sessions, files or settings. */
const denied = new Set([
  'pg_config',
  'pg_control_checkpoint',
  'pg_control_init',
  'pg_control_recovery',
  'pg_control_system',
  'pg_hba_file_rules',
  'pg_ident_file_mappings',
  'pg_mcv_list_items',
  'pg_show_all_file_settings',
  'pg_stat_get_activity',
  'pg_stat_get_backend_activity',
])
const deniedFamilies = [
  /_to_xml/,
  /^lo_/,
  /^pg_read_/,
  /^pg_ls_/,
  /^pg_logical_/,
  /^pg_stat_file/,
  /^pg_current_logfile/,
  /^dblink/,
  /^ts_stat/,
  /^binary_upgrade_/,
]

/** They write, but nothing beyond what their name says. */
// biome-ignore format: a table
const writers: Readonly<Record<string, 'low' | 'high'>> = {
  /** What it is given comes back, in numbers, from random(). */
  setseed: 'low',
  nextval: 'low', currval: 'low', lastval: 'low', setval: 'high',
  pg_notify: 'low', txid_current: 'low', pg_current_xact_id: 'low',
  pg_advisory_lock: 'low', pg_advisory_lock_shared: 'low', pg_advisory_xact_lock: 'low', pg_advisory_xact_lock_shared: 'low',
  pg_try_advisory_lock: 'low', pg_try_advisory_lock_shared: 'low', pg_try_advisory_xact_lock: 'low',
  pg_try_advisory_xact_lock_shared: 'low', pg_advisory_unlock: 'low', pg_advisory_unlock_shared: 'low',
  pg_advisory_unlock_all: 'low',
  pg_cancel_backend: 'high', pg_terminate_backend: 'high', pg_reload_conf: 'high', pg_rotate_logfile: 'high',
  pg_switch_wal: 'high', pg_create_restore_point: 'high', pg_stat_reset: 'high',
}

export type Effect =
  | { readonly kind: 'harmless' }
  | { readonly kind: 'writes'; readonly risk: 'low' | 'high' }
  /** It may reach anything. */
  | { readonly kind: 'unknown'; readonly risk: 'low' | 'high' }

export const harmless: Effect = { kind: 'harmless' }

/** @param steady every variant is immutable or stable */
export function effectOf(name: string, steady: boolean): Effect {
  if (Object.hasOwn(writers, name)) return { kind: 'writes', risk: writers[name]! }
  if (allowed.has(name)) return harmless
  const named = denied.has(name) || deniedFamilies.some(family => family.test(name))
  return steady && !named ? harmless : { kind: 'unknown', risk: 'high' }
}

/** Extensions whose members are what they say: types, operators and functions without a way to the tables. */
export const trustedExtensions = [
  'btree_gin',
  'btree_gist',
  'citext',
  'cube',
  'earthdistance',
  'fuzzystrmatch',
  'hstore',
  'intarray',
  'isn',
  'ltree',
  'pg_trgm',
  'pgcrypto',
  'postgis',
  'seg',
  'unaccent',
  'uuid-ossp',
  'vector',
]

/**
 * Volatile functions of extensions that neither read nor write a table: each was looked up. They make something of chance or of
 * their arguments alone; the triggers among them set a column to the time, the user, or the next number of a sequence.
 */
export const trustedFunctions = [
  'autoinc.autoinc',
  'insert_username.insert_username',
  'moddatetime.moddatetime',
  'pgcrypto.gen_random_bytes',
  'pgcrypto.gen_random_uuid',
  'pgcrypto.gen_salt',
  'pgcrypto.pgp_pub_encrypt',
  'pgcrypto.pgp_pub_encrypt_bytea',
  'pgcrypto.pgp_sym_encrypt',
  'pgcrypto.pgp_sym_encrypt_bytea',
  'uuid-ossp.uuid_generate_v1',
  'uuid-ossp.uuid_generate_v1mc',
  'uuid-ossp.uuid_generate_v4',
]

/** Relations of the system that show stored values, statements of others, or credentials. */
const leaking = new Set([
  'pg_authid',
  'pg_cursors',
  'pg_file_settings',
  'pg_hba_file_rules',
  'pg_ident_file_mappings',
  'pg_largeobject',
  'pg_prepared_statements',
  'pg_shadow',
  'pg_stat_activity',
  'pg_stat_statements',
  'pg_statistic',
  'pg_statistic_ext_data',
  'pg_stats',
  'pg_stats_ext',
  'pg_stats_ext_exprs',
  'pg_subscription',
  'pg_user_mapping',
  'pg_user_mappings',
])
const leakingInformation = new Set(['user_mapping_options'])

export function leaks(schema: string, name: string): boolean {
  if (schema === 'pg_toast' || schema.startsWith('pg_toast_')) return true
  if (schema === 'information_schema') return leakingInformation.has(name)
  return leaking.has(name)
}
