/** The client of C2SP tlog-witness: submits a checkpoint with its consistency proof, and verifies the cosignature that comes back. */
import { describe, Fault, isOurs, LedgerError } from '../errors.ts'
import { formatCheckpoint, type SignedCheckpoint } from '../format/checkpoint.ts'
import { type Cosignature, type Cosigner, cosignaturesOf } from '../format/cosignature.ts'
import type { Hash } from '../format/merkle.ts'
import { formatNote, parseNote } from '../format/note.ts'
import { answerOf } from './answer.ts'

export interface Submission {
  /** The submission prefix: `/add-checkpoint` is put behind it. */
  readonly url: string
  readonly cosigner: Cosigner
  readonly checkpoint: SignedCheckpoint
  /** The size that the witness cosigned last, where it is known; a wrong one costs one more request. */
  readonly old: number
  /** @returns the proof that the tree of `old` entries is a prefix of the checkpoint's */
  prove(old: number): Promise<readonly Hash[]>
  readonly signal: AbortSignal
}

export interface Witnessed {
  readonly cosignature: Cosignature
  /** The checkpoint as it was submitted, and the witness's lines under it. */
  readonly note: string
}

/** Cosignature lines of a few keys. */
const longestAnswer = 64 * 1024
/** Another submitter of the same log may be faster, a few times in a row. */
const mostTries = 4

/**
 * @throws Fault ERR_UPSTREAM: the witness cannot be reached, does not know this log, or answers what the protocol does not
 * @throws LedgerError ERR_CHECKPOINT_ROLLBACK: the witness has cosigned a longer tree than this one
 * @throws LedgerError ERR_CHECKPOINT_FORK: the witness has cosigned another tree
 * @throws LedgerError ERR_CHECKPOINT_SIGNATURE: its cosignature is false
 */
export async function submit({ url, cosigner, checkpoint, old, prove, signal }: Submission): Promise<Witnessed> {
  const note = formatCheckpoint(checkpoint)
  const who = `${cosigner.name} at ${url}`
  let from = Math.min(old, checkpoint.size)
  for (let left = mostTries; left > 0; left -= 1) {
    const proof = (await prove(from)).map(hash => `${Buffer.from(hash).toString('base64')}\n`)
    const { status, text } = await post(url, signal, [`old ${from}\n${proof.join('')}\n${note}`])
    if (status === 200) return accept(cosigner, who, note, text)
    if (status !== 409) throw refused(who, status, checkpoint.origin)
    const has = /^(0|[1-9][0-9]{0,15})\n$/.exec(text)?.[1]
    if (has === undefined) throw other(who, 'answers 409 without a size')
    if (Number(has) > checkpoint.size) {
      const what = `${who} has cosigned a tree of ${has} entries of this origin, and this one has ${checkpoint.size}`
      throw new LedgerError('ERR_CHECKPOINT_ROLLBACK', what)
    }
    if (Number(has) === from) throw forked(who, from)
    from = Number(has)
  }
  throw other(who, 'names another size each time')
}

/** tlog-witness: what comes back is lines of a signed note, of which those of unknown keys are passed over. */
function accept(cosigner: Cosigner, who: string, note: string, lines: string): Witnessed {
  const parsed = parseNote(Buffer.from(note + lines))
  const [cosignature] = cosignaturesOf(parsed, [cosigner])
  if (cosignature === undefined) throw other(who, 'answers without a cosignature by its key')
  const own = parseNote(Buffer.from(note))
  return { cosignature, note: formatNote({ ...own, signatures: [...own.signatures, cosignature.line] }) }
}

async function post(place: string, signal: AbortSignal, body: [string]): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(`${place.replace(/\/$/, '')}/add-checkpoint`, {
      method: 'POST',
      body: body[0],
      signal,
      redirect: 'error',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    })
    const answer = await answerOf(response, longestAnswer)
    if (answer === undefined) throw new Fault('ERR_UPSTREAM', `the witness at ${place} answers more than cosignatures`)
    return { status: response.status, text: answer.toString('utf8') }
  } catch (error) {
    if (isOurs(error)) throw error
    throw new Fault('ERR_UPSTREAM', `the witness at ${place} cannot be reached: ${describe(error)}`, {}, error)
  }
}

function refused(name: string, status: number, origin: string): Fault | LedgerError {
  if (status === 422) return forked(name)
  const why: Readonly<Record<number, string>> = {
    403: "does not trust this ledger's key",
    404:
      `does not know ${origin}: its operator must be given it, as --origin ${origin}=KEY, ` +
      'with the key that "counterfoil keys show --note" prints for that ledger',
  }
  return other(name, why[status] ?? `answers ${status}`)
}

const forked = (name: string, size?: number) =>
  new LedgerError(
    'ERR_CHECKPOINT_FORK',
    `${name} has cosigned another tree of this origin${size === undefined ? '' : `, at ${size} entries`}`,
  )
const other = (name: string, what: string) => new Fault('ERR_UPSTREAM', `the witness ${name} ${what}`)
