/** An execution as the core judges it: the analysis of its text, and of whatever the names in it stand for now. */
import { createHmac, randomBytes } from 'node:crypto'
import { Refusal } from '../../lib/errors.ts'
import type { Json } from '../../lib/format/canonical.ts'
import type { Access, Operation } from '../../lib/operation.ts'
import type { Analysed } from './analyser.ts'
import type { Analysis } from './analysis.ts'
import { type State, usedBy } from './state.ts'
import { withoutLiterals } from './tree.ts'

export interface Circumstances {
  readonly target: string
  /** Another statement of the same transaction has run, or it stands open. */
  readonly inTransaction: boolean
  /** Definitions have changed in this transaction: a name may stand for other data than the catalog says. */
  readonly redefined: boolean
  /** A relation has taken another parent in this transaction. */
  readonly regrouped: boolean
  /** Changes wait for this transaction's COMMIT. */
  readonly unsettled: boolean
}

/** An analysis joined with those of the names that it uses, as one. */
export interface Whole {
  readonly operation: Operation
  /** It runs code of the database's own. */
  readonly code: boolean
  readonly redefines: boolean
}

/** As many accesses as an entry holds. */
const mostAccesses = 256

/**
 * @param bound what a Bind gave, beside the text
 * @throws Refusal where it does too many things at once to be recorded
 */
export function operationOf(
  { text, analysis }: Pick<Analysed, 'text' | 'analysis'>,
  bound: { readonly [name: string]: Json },
  state: State,
  { target, inTransaction, redefined, regrouped, unsettled }: Circumstances,
): Whole {
  const used = usedBy(analysis, state, text)
  const all: Analysis[] = [analysis, ...used.flatMap(meaning => (meaning === undefined ? [] : [meaning.analysis]))]
  const unknown = used.includes(undefined)
  // Within one text, too.
  const redefines = redefined || analysis.parts.slice(0, -1).some(part => part.defines)
  const accesses = new Map<string, Access>()
  for (const access of all.flatMap(one => one.accesses)) accesses.set(`${access.action} ${access.resource}`, access)
  if (used.length > 0 && accesses.size > 1) accesses.delete(`session ${target}/session`)
  if (unknown) accesses.set('execute', { action: 'execute', resource: `${target}/code` })
  if (accesses.size > mostAccesses) {
    throw new Refusal('ERR_ACCESS_DENIED', `a statement with more than ${mostAccesses} accesses: send it in parts`)
  }
  const commits = analysis.parts.some(({ transaction }) => transaction !== undefined && ends.has(transaction.kind))
  const opaque = unknown || redefines || all.some(one => one.opaque)
  const code = unknown || all.some(one => one.code)
  const secret = all.some(one => one.secret)
  const definitions = used.flatMap(meaning => (meaning === undefined || meaning.text === text ? [] : [meaning.text]))
  const shown = (of: string) => (secret ? withoutLiterals(of) : of)
  const moves = all.flatMap(one => one.moves)
  // CREATE TABLE AS EXECUTE: what the prepared statement reads is copied.
  if (analysis.parts.some(({ uses, creates }) => uses !== undefined && creates.length > 0)) {
    const read = all.flatMap(one => [...one.accesses.map(access => access.resource), ...one.reaches])
    moves.push(...read.map(resource => ({ from: { resource } })))
  }
  // A rename is judged by its two names, whatever lies under them, unless it reaches heirs that the catalog does not know of;
  // what is copied is judged by what it is copied from.
  const regroups = regrouped || analysis.parts.slice(0, -1).some(part => part.regroups)
  const unsure = (redefines || unknown) && moves.some(({ to }) => to === undefined)
  if (unsure || (regroups && moves.length > 0)) moves.unshift({ from: 'anywhere' })
  const absent = all.flatMap(one => one.absent)
  const operation: Operation = {
    protocol: 'postgres',
    target,
    accesses: [...accesses.values()],
    ...(absent.length > 0 ? { absent } : {}),
    reaches: [...new Set(all.flatMap(one => one.reaches))],
    opaque,
    ...(moves.length > 0 ? { moves } : {}),
    risk: unknown || all.some(one => one.risk === 'high') ? 'high' : 'low',
    // A COMMIT makes changes stand: the record of it is durable before it is forwarded.
    read: !unknown && all.every(one => one.read) && !(commits && unsettled),
    action: {
      // A password in the text is nobody's to keep.
      statement: shown(text),
      ...(definitions.length > 0 ? { definitions: definitions.map(shown) } : {}),
      ...(secret ? { exactly: sealed([text, ...definitions]) } : {}),
      ...bound,
    },
    // The rows of COPY FROM are still to come.
    ...(analysis.parts.some(part => part.copy === 'in') ? { unbound: true } : {}),
    holdable: !inTransaction,
  }
  return { operation, code, redefines }
}

/**
 * An approval binds the literals too, and nobody can guess them from what is kept: the key is this process's alone. An approval
 * of such a statement ends with the process.
 */
const sealed = (texts: readonly string[]) => createHmac('sha256', key).update(JSON.stringify(texts)).digest('base64url')
const key = randomBytes(32)

const ends = new Set(['commit', 'prepare', 'commit_prepared', 'rollback_prepared'])
