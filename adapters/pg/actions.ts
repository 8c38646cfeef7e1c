/**
 * The documented table of what each statement does and how much it risks, for the statements that need no reading beyond their
 * kind. SELECT, INSERT, UPDATE, DELETE, MERGE, COPY, CALL, EXPLAIN, SET and the like are read in statement.ts.
 */

export type Risk = 'low' | 'high'

export interface Kind {
  readonly action: string
  readonly risk: Risk
  /** What it is done to, where the statement names no relation. */
  readonly on?: 'schema' | 'database' | 'role' | 'server' | 'session'
  /** Changes nothing of the target. */
  readonly read?: true
  /** Its text may hold a credential: literals are left out of the action. */
  readonly secret?: true
}

// biome-ignore format: a table
export const kinds: Readonly<Record<string, Kind>> = {
  // definitions that add
  CreateStmt:                 { action: 'create', risk: 'low' },
  IndexStmt:                  { action: 'index', risk: 'low' },
  CreateSeqStmt:              { action: 'create', risk: 'low' },
  AlterSeqStmt:               { action: 'alter', risk: 'low' },
  CreateEnumStmt:             { action: 'create', risk: 'low', on: 'schema' },
  CompositeTypeStmt:          { action: 'create', risk: 'low' },
  CreateRangeStmt:            { action: 'create', risk: 'low', on: 'schema' },
  CreateDomainStmt:           { action: 'create', risk: 'low', on: 'schema' },
  AlterEnumStmt:              { action: 'alter', risk: 'low', on: 'schema' },
  CreateStatsStmt:            { action: 'create', risk: 'low', on: 'schema' },
  AlterStatsStmt:             { action: 'alter', risk: 'low', on: 'schema' },
  CommentStmt:                { action: 'comment', risk: 'low', on: 'database' },
  RefreshMatViewStmt:         { action: 'refresh', risk: 'low' },
  /** High where FULL: it rewrites the table under a lock. */
  VacuumStmt:                 { action: 'maintain', risk: 'low', on: 'database' },
  ReindexStmt:                { action: 'maintain', risk: 'low', on: 'database' },
  ClusterStmt:                { action: 'maintain', risk: 'low', on: 'database' },
  CheckPointStmt:             { action: 'maintain', risk: 'low', on: 'database' },
  // what destroys, or moves a name to other data
  DropStmt:                   { action: 'drop', risk: 'high', on: 'schema' },
  TruncateStmt:               { action: 'truncate', risk: 'high' },
  RenameStmt:                 { action: 'alter', risk: 'high', on: 'schema' },
  AlterObjectSchemaStmt:      { action: 'alter', risk: 'high', on: 'schema' },
  AlterDomainStmt:            { action: 'alter', risk: 'high', on: 'schema' },
  /** Low where every part is in mildAlterations. */
  AlterTableStmt:             { action: 'alter', risk: 'high' },
  LockStmt:                   { action: 'lock', risk: 'high' },
  // who may
  GrantStmt:                  { action: 'grant', risk: 'high', on: 'schema' },
  GrantRoleStmt:              { action: 'grant', risk: 'high', on: 'role' },
  AlterDefaultPrivilegesStmt: { action: 'grant', risk: 'high', on: 'schema' },
  CreateRoleStmt:             { action: 'create', risk: 'high', on: 'role', secret: true },
  AlterRoleStmt:              { action: 'alter', risk: 'high', on: 'role', secret: true },
  AlterRoleSetStmt:           { action: 'alter', risk: 'high', on: 'role' },
  DropRoleStmt:               { action: 'drop', risk: 'high', on: 'role' },
  DropOwnedStmt:              { action: 'drop', risk: 'high', on: 'role' },
  ReassignOwnedStmt:          { action: 'alter', risk: 'high', on: 'role' },
  AlterOwnerStmt:             { action: 'alter', risk: 'high', on: 'schema' },
  CreatePolicyStmt:           { action: 'create', risk: 'high', on: 'schema' },
  AlterPolicyStmt:            { action: 'alter', risk: 'high', on: 'schema' },
  SecLabelStmt:               { action: 'alter', risk: 'high', on: 'schema' },
  // code, and what runs it
  CreateFunctionStmt:         { action: 'create', risk: 'high', on: 'schema' },
  AlterFunctionStmt:          { action: 'alter', risk: 'high', on: 'schema' },
  CreateTrigStmt:             { action: 'create', risk: 'high', on: 'schema' },
  CreateEventTrigStmt:        { action: 'create', risk: 'high', on: 'database' },
  AlterEventTrigStmt:         { action: 'alter', risk: 'high', on: 'database' },
  RuleStmt:                   { action: 'create', risk: 'high', on: 'schema' },
  CreateExtensionStmt:        { action: 'create', risk: 'high', on: 'database' },
  AlterExtensionStmt:         { action: 'alter', risk: 'high', on: 'database' },
  AlterExtensionContentsStmt: { action: 'alter', risk: 'high', on: 'database' },
  CreatePLangStmt:            { action: 'create', risk: 'high', on: 'database' },
  CreateCastStmt:             { action: 'create', risk: 'high', on: 'schema' },
  CreateTransformStmt:        { action: 'create', risk: 'high', on: 'schema' },
  CreateConversionStmt:       { action: 'create', risk: 'high', on: 'schema' },
  CreateOpClassStmt:          { action: 'create', risk: 'high', on: 'schema' },
  CreateOpFamilyStmt:         { action: 'create', risk: 'high', on: 'schema' },
  DefineStmt:                 { action: 'create', risk: 'high', on: 'schema' },
  LoadStmt:                   { action: 'execute', risk: 'high', on: 'server' },
  // copies of the data elsewhere
  CreatePublicationStmt:      { action: 'create', risk: 'high', on: 'database' },
  AlterPublicationStmt:       { action: 'alter', risk: 'high', on: 'database' },
  CreateSubscriptionStmt:     { action: 'create', risk: 'high', on: 'database', secret: true },
  AlterSubscriptionStmt:      { action: 'alter', risk: 'high', on: 'database', secret: true },
  DropSubscriptionStmt:       { action: 'drop', risk: 'high', on: 'database' },
  CreateForeignTableStmt:     { action: 'create', risk: 'high' },
  CreateFdwStmt:              { action: 'create', risk: 'high', on: 'database', secret: true },
  AlterFdwStmt:               { action: 'alter', risk: 'high', on: 'database', secret: true },
  CreateForeignServerStmt:    { action: 'create', risk: 'high', on: 'database', secret: true },
  AlterForeignServerStmt:     { action: 'alter', risk: 'high', on: 'database', secret: true },
  CreateUserMappingStmt:      { action: 'create', risk: 'high', on: 'database', secret: true },
  AlterUserMappingStmt:       { action: 'alter', risk: 'high', on: 'database', secret: true },
  DropUserMappingStmt:        { action: 'drop', risk: 'high', on: 'database' },
  ImportForeignSchemaStmt:    { action: 'create', risk: 'high', on: 'database' },
  // the whole database or server
  CreateSchemaStmt:           { action: 'create', risk: 'high', on: 'database' },
  CreatedbStmt:               { action: 'create', risk: 'high', on: 'server' },
  DropdbStmt:                 { action: 'drop', risk: 'high', on: 'server' },
  AlterDatabaseStmt:          { action: 'alter', risk: 'high', on: 'database' },
  AlterDatabaseSetStmt:       { action: 'alter', risk: 'high', on: 'database' },
  AlterDatabaseRefreshCollStmt: { action: 'alter', risk: 'high', on: 'database' },
  AlterSystemStmt:            { action: 'alter', risk: 'high', on: 'server', secret: true },
  CreateTableSpaceStmt:       { action: 'create', risk: 'high', on: 'server' },
  DropTableSpaceStmt:         { action: 'drop', risk: 'high', on: 'server' },
  // the session alone
  VariableShowStmt:           { action: 'session', risk: 'low', on: 'session', read: true },
  ConstraintsSetStmt:         { action: 'session', risk: 'low', on: 'session', read: true },
  UnlistenStmt:               { action: 'session', risk: 'low', on: 'session', read: true },
  ListenStmt:                 { action: 'listen', risk: 'low', on: 'session', read: true },
  NotifyStmt:                 { action: 'notify', risk: 'low', on: 'session' },
}

/** A statement of a kind not listed anywhere: a newer server's, maybe. */
export const unlisted: Kind = { action: 'utility', risk: 'high', on: 'database' }

/** Parts of ALTER TABLE that only add or tighten; every other is high risk. */
export const mildAlterations = new Set([
  'AT_AddColumn',
  'AT_AddConstraint',
  'AT_AddIndex',
  'AT_AddIndexConstraint',
  'AT_ColumnDefault',
  'AT_SetNotNull',
  'AT_SetStatistics',
  'AT_SetStorage',
  'AT_ValidateConstraint',
])
