/** The checkpoint that a verifier keeps where the ledger's operators cannot write: what makes a rewritten history show. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LedgerError, Misuse } from '../lib/errors.ts'
import { canonical, parseJson } from '../lib/format/canonical.ts'
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import { check, list, oneOf, optional, record, type TypeOf } from '../lib/format/shape.ts'
import { mostKeyEntries } from './key-entries.ts'

export interface Pin extends Checkpoint {
  /** 40 upper-case hex digits. */
  readonly fingerprint: string
  /** RFC 3339, when it was verified. */
  readonly time: string
  /** RFC 3339, when a pin of just this size was first kept. Absent: `time`. */
  readonly since?: string | undefined
  /** RFC 3339, when every entry up to `size` or an earlier pin's was last read. Absent in pins of before. */
  readonly whole?: string | undefined
  /** Of the newest seal that was found; absent where there was none, and in pins of before. */
  readonly sealed?: number | undefined
  /** Of the ledgers before it in its series, as they were verified with it. */
  readonly earlier?: readonly PinnedEarlier[] | undefined
  /** Where the verification left off, for one that goes on from here. */
  readonly state?: PinState | undefined
}

/** Nobody signs this: it is the verifier's own memory, and worth as much as the place where the pin is kept. */
const state = record({
  /** The greatest id of an entry, and exchanges that were permitted and have no outcome yet: the newest of these. */
  greatest: 'text',
  open: list('uuid', 10_000),
  /** `interval`: seconds until the next heartbeat; 0: none is due. */
  writers: list(
    record({
      ...({ name: 'word', seq: 'count', time: 'time', interval: 'count', stopped: 'flag' } as const),
      crashed: optional('flag'),
    }),
    65_536,
  ),
  /** The last start between two entries about keys, and the entry of the newest epoch. */
  taken: list(
    record({
      index: 'count',
      kind: oneOf('started', 'recovered'),
      epoch: 'count',
      certificate: optional('digest'),
    }),
    mostKeyEntries + 2,
  ),
  /** The entries about keys: without them nobody can go on from here. */
  keys: optional(list(record({ index: 'count', digest: 'digest' }), mostKeyEntries)),
})

export type PinState = TypeOf<typeof state>

const earlier = record({ origin: 'word', size: 'count', root: 'word', since: optional('time') })
export type PinnedEarlier = TypeOf<typeof earlier>

/**
 * @returns when a pin was first kept that is of just this checkpoint, RFC 3339; undefined where the given one is of none, or of another
 */
export function heldSince(pin: Pin | undefined, { origin, size, root }: Checkpoint): string | undefined {
  const own = pin === undefined ? [] : [{ ...pin, root: Buffer.from(pin.root).toString('base64') }]
  const all: readonly PinnedEarlier[] = [...own, ...(pin?.earlier ?? [])]
  const same = all.find(
    one => one.origin === origin && one.size === size && Buffer.from(one.root, 'base64').equals(Buffer.from(root)),
  )
  return same === undefined ? undefined : (same.since ?? pin?.time)
}

const shape = record({
  ...({ origin: 'word', size: 'count', root: 'word', fingerprint: 'word', time: 'time' } as const),
  since: optional('time'),
  whole: optional('time'),
  sealed: optional('count'),
  earlier: optional(list(earlier, 10_000)),
  state: optional(state),
})

/** @returns undefined where there is no such file. @throws LedgerError ERR_CHECKPOINT_ROLLBACK where it is no pin */
export async function readPin(file: string): Promise<Pin | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new LedgerError('ERR_CHECKPOINT_ROLLBACK', 'the pin cannot be read', {}, error)
  }
  return parsePin(text)
}

/** @throws LedgerError ERR_CHECKPOINT_ROLLBACK where it is none */
function parsePin(text: string): Pin {
  if (text === '')
    throw new LedgerError('ERR_CHECKPOINT_ROLLBACK', 'the pin is an empty file: bring the one that was kept back')
  try {
    const value = parseJson(text)
    check(shape, value)
    const { root, ...rest } = value as unknown as Omit<Pin, 'root'> & { root: string }
    const hash = Buffer.from(root, 'base64')
    if (hash.length === 32 && hash.toString('base64') === root) return { ...rest, root: hash }
  } catch (error) {
    throw new LedgerError('ERR_CHECKPOINT_ROLLBACK', 'the pin is malformed', {}, error)
  }
  throw new LedgerError('ERR_CHECKPOINT_ROLLBACK', 'the pin is malformed')
}

export function formatPin({ root, ...pin }: Pin): string {
  return `${canonical({ ...pin, root: Buffer.from(root).toString('base64') })}\n`
}

/**
 * Replaced as a whole or not at all, and by nothing that could not be read again: what is in it comes from the ledger.
 * @throws Misuse ERR_OPTION_INVALID where it cannot be written; LedgerError ERR_CHECKPOINT_ROLLBACK where it is none
 */
export async function writePin(file: string, pin: Pin): Promise<void> {
  const text = formatPin(pin)
  parsePin(text)
  const beside = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await mkdir(dirname(file), { recursive: true })
    const handle = await open(beside, 'wx', 0o644)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(beside, file)
    const folder = await open(dirname(file), 'r')
    await folder.sync().finally(() => folder.close())
  } catch (error) {
    await rm(beside, { force: true })
    throw new Misuse('ERR_OPTION_INVALID', 'the pin cannot be written', {}, error)
  }
}
