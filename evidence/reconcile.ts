/**
 * Reconciles the ledger with a second source that the guard does not write: the database's own log. A statement there that came by
 * another way than the gateway is named as a bypass. Statement texts are left where they are: they hold what the gateway masks.
 */
import { createHash } from 'node:crypto'
import { Misuse } from '../lib/errors.ts'
import type { ResultWord } from './control-test.ts'
import { parseCsv } from './csv.ts'
import type { Row } from './view-columns.ts'
import type { Period, Views } from './views.ts'

export interface ImportOptions {
  /** Names it in the bundle: letters, digits, dots, dashes. */
  readonly name: string
  readonly text: string
  /** `csvlog`: PostgreSQL's, versions 13 to 18. `csv`: with a header of time, user, application, session, line, tag, database. */
  readonly format?: 'csvlog' | 'csv'
  /** The gateway's listener whose upstream wrote this log. */
  readonly target: string
  /** The database user as whom the gateway connects. */
  readonly user: string
  /** As the gateway calls itself upstream. Default: `counterfoil:TARGET`. */
  readonly application?: string
  /** Known other ways in, which are shown with their reason and are no exceptions. */
  readonly explained?: readonly Explained[]
}

export interface Explained {
  readonly user?: string
  readonly application?: string
  readonly why: string
}

/** What a bundle keeps of a line of the log: enough to find it there, and nothing of its text. */
export interface ImportedStatement {
  /** In the imported file, from 1. */
  readonly line: number
  /** RFC 3339. */
  readonly time: string
  readonly user: string
  readonly database: string
  readonly application: string
  /** The server's id of the session, and the line's number in it. */
  readonly session: string
  readonly number: string
  readonly tag: string
}

export interface Import {
  readonly name: string
  /** Hex: of the file as imported. */
  readonly sha256: string
  readonly target: string
  readonly user: string
  readonly application: string
  readonly explained: readonly Explained[]
  /** Lines in the file. */
  readonly lines: number
  /** Time of its first and last line; empty where it has none. */
  readonly first: string
  readonly last: string
  readonly statements: readonly ImportedStatement[]
}

export interface Reconciliation {
  readonly name: string
  readonly target: string
  readonly word: ResultWord
  readonly why: string | undefined
  /** Statements in the server's log within the period. */
  readonly statements: number
  /** Of these, through the gateway. */
  readonly throughGateway: number
  /** Operations on this target that the ledger says were permitted. */
  readonly operations: number
  readonly explained: number
  readonly bypasses: readonly Row[]
}

export const bypassColumns = [
  'source',
  'line',
  'time',
  'user',
  'database',
  'application',
  'session',
  'number',
  'tag',
  'why',
] as const

// PostgreSQL, "Using CSV-Format Log Output": positions of the columns that are read here.
const column = {
  time: 0,
  user: 1,
  database: 2,
  session: 5,
  number: 6,
  tag: 7,
  message: 13,
  application: 22,
  backend: 23,
} as const
const executed =
  /^(?:duration: [0-9.]+ ms {2})?(?:statement|execute [^:]*|fastpath function call)[: ]\s*([A-Za-z]{2,20})?/

/** @throws Misuse ERR_OPTION_INVALID naming the line that cannot be read, LedgerError ERR_ENTRY_MALFORMED where it is no CSV */
export function readImport(options: ImportOptions): Import {
  const { name, text, format = 'csvlog', target, user, application = `counterfoil:${target}`, explained = [] } = options
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
    throw new Misuse('ERR_OPTION_INVALID', 'an import needs a plain name')
  const statements: ImportedStatement[] = []
  const times: string[] = []
  let lines = 0
  const read = format === 'csvlog' ? csvlogLine : genericLine(text)
  for (const { cells, line } of parseCsv(text)) {
    if (format === 'csv' && line === 1) continue
    lines += 1
    const found = read(cells, line, name)
    times.push(found.time)
    if (found.executes) statements.push(found.statement)
  }
  const sorted = times.sort()
  return {
    name,
    sha256: createHash('sha256').update(text).digest('hex'),
    target,
    user,
    application,
    explained,
    lines,
    first: sorted[0] ?? '',
    last: sorted.at(-1) ?? '',
    statements,
  }
}

interface Line {
  readonly time: string
  readonly executes: boolean
  readonly statement: ImportedStatement
}

function csvlogLine(cells: readonly string[], line: number, name: string): Line {
  if (cells.length < 23)
    throw new Misuse('ERR_OPTION_INVALID', `${name}:${line}: not a line of PostgreSQL's csvlog`, { line })
  const cell = (key: keyof typeof column) => cells[column[key]] ?? ''
  const time = utc(cell('time'), line, name)
  const byClient = cell('backend') === '' || cell('backend') === 'client backend'
  const ran = byClient ? executed.exec(cell('message')) : null
  const [user, database, application] = [cell('user'), cell('database'), cell('application')]
  const [session, number] = [cell('session'), cell('number')]
  // The server logs a simple query before it begins, as of an idle session: then its first word is the tag.
  const tag = cell('tag') === 'idle' ? (ran?.[1]?.toUpperCase() ?? 'unknown') : cell('tag')
  return { time, executes: ran !== null, statement: { line, time, user, database, application, session, number, tag } }
}

function genericLine(text: string): (cells: readonly string[], line: number, name: string) => Line {
  const header = parseCsv(text).next().value?.cells ?? []
  const missing = ['time', 'user', 'application', 'session'].find(wanted => !header.includes(wanted))
  if (missing !== undefined) throw new Misuse('ERR_OPTION_INVALID', `the CSV has no column ${missing}`)
  return (cells, line, name) => {
    const cell = (key: string) => cells[header.indexOf(key)] ?? ''
    const time = utc(cell('time'), line, name)
    const [user, database, application] = [cell('user'), cell('database'), cell('application')]
    const [session, number, tag] = [cell('session'), cell('line'), cell('tag')]
    return { time, executes: true, statement: { line, time, user, database, application, session, number, tag } }
  }
}

/** The server writes its own time zone; only UTC is unambiguous without a table of zones and their history. */
function utc(text: string, line: number, name: string): string {
  const [, date, clock, zone] =
    /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,6})?) ?(UTC|GMT|Z|\+00(?::?00)?)$/.exec(text) ?? []
  const at = date === undefined || zone === undefined ? Number.NaN : Date.parse(`${date}T${clock}Z`)
  if (!Number.isNaN(at)) return new Date(at).toISOString()
  throw new Misuse(
    'ERR_OPTION_INVALID',
    `${name}:${line}: a time that is not in UTC; set log_timezone = 'UTC' on the server`,
    { line },
  )
}

const isText = (value: unknown) => typeof value === 'string'

/** Whether a value read from a bundle is an import. */
export function isImport(value: unknown): value is Import {
  const { statements, explained, lines, ...texts } = (value ?? {}) as { [K in keyof Import]?: unknown }
  const named = ['name', 'sha256', 'target', 'user', 'application', 'first', 'last'] as const
  const whole = named.every(name => isText(texts[name])) && typeof lines === 'number'
  const allTexts = (one: unknown, except: string) =>
    typeof one === 'object' &&
    one !== null &&
    Object.entries(one).every(([key, cell]) => key === except || isText(cell))
  return (
    whole &&
    Array.isArray(explained) &&
    explained.every(one => allTexts(one, '')) &&
    Array.isArray(statements) &&
    statements.every(one => allTexts(one, 'line') && isText((one as ImportedStatement).time))
  )
}

/** Pure: an import and the operations of the views give the same result, from a ledger or from a bundle. */
export function reconcile(source: Import, { operations }: Views, period: Period): Reconciliation {
  const within = source.statements.filter(({ time }) => time >= period.from && time < period.to)
  // A client may set application_name for itself: a session is the gateway's by what any of its lines says, and by its user.
  const marked = ({ user, application }: ImportedStatement) =>
    user === source.user && application === source.application
  const own = new Set(source.statements.filter(marked).map(({ session }) => session))
  const through = within.filter(({ session, user }) => own.has(session) && user === source.user)
  const came = new Set(through)
  const others = within.filter(statement => !came.has(statement))
  const explain = ({ user, application }: ImportedStatement) =>
    source.explained.find(e => (e.user ?? user) === user && (e.application ?? application) === application)
  const bypasses = others.filter(statement => explain(statement) === undefined)
  const ran = operations.filter(o => o.in_period && o.verdict === 'permit' && o.target === source.target)
  const rows = bypasses.map((statement): Row => ({ ...statement, source: source.name, why: 'not through the gateway' }))
  const unable = unableBecause(source, through.length, ran.length)
  return {
    name: source.name,
    target: source.target,
    word:
      rows.length > 0
        ? 'exceptions-noted'
        : unable !== undefined
          ? 'unable-to-test'
          : within.length === 0
            ? 'not-occurring'
            : 'no-exceptions-noted',
    why: unable,
    statements: within.length,
    throughGateway: through.length,
    operations: ran.length,
    explained: others.length - bypasses.length,
    bypasses: rows,
  }
}

function unableBecause(source: Import, through: number, operations: number): string | undefined {
  if (source.lines === 0) return 'the imported log is empty'
  if (operations > 0 && through === 0) {
    return 'the imported log has no statement of the gateway, which ran some: is log_statement = all, and is this its server?'
  }
  return undefined
}
