/**
 * Changing the key that slots are wrapped under, file by file: each slot says which key it is under, so that what a kill interrupts is
 * taken up again by opening with both keys once more. Until it is done, no opening with one of them alone is let through. What is
 * authenticated by that key changes with it: the write-ahead log, and the notes of attachments and anchors.
 */
import { promises as fs } from 'node:fs'
import { dirname, join } from 'node:path'
import { LedgerError, Misuse } from '../errors.ts'
import { unrecordedFolder } from '../format/anchor.ts'
import { reauthenticate } from '../format/frame.ts'
import { rotatingFile, segmentFile, slotFile, slotsInFile } from '../format/layout.ts'
import { macKey } from '../format/mac.ts'
import { decodeRotating, encodeRotating, saidRotatingTo } from '../format/rotating.ts'
import { isErased, openSlot, slotBytes, wrappedUnder, wrappingKeyId, wrapSlot } from '../format/vault.ts'
import { attachingNotes } from './attaching.ts'
import { type Notes, reauthenticateNotes } from './authenticated-note.ts'
import { readIfThere, readRegular, replaceFiles, syncFolder } from './files.ts'
import type { DraftOf, Stored } from './ledger.ts'
import { segmentFiles } from './recovery.ts'

/** Of what was obtained, and no entry tells of yet: each is named after the digest of it. */
const anchorNotes: Notes = {
  ...{ folder: unrecordedFolder, use: 'anchor' },
  nameOf: file => /^([A-Za-z0-9_-]{43})\.json$/.exec(file)?.[1],
}

interface Keys {
  readonly directory: string
  readonly origin: string
  readonly wrappingKey: Uint8Array
}

interface Change extends Keys {
  readonly formerWrappingKey: Uint8Array
}

/**
 * Before anything is written under it: that the key is the one of the newest slots; or, while it is being changed, one of both.
 * @throws LedgerError ERR_DISCLOSURE_MISMATCH where it is another, ERR_LEDGER_INCONSISTENT where a change of it is not finished
 */
export async function requireWrappingKey(keys: Keys & Partial<Change>): Promise<void> {
  const { directory, origin, wrappingKey, formerWrappingKey } = keys
  const note = formerWrappingKey === undefined ? await readIfThere(join(directory, rotatingFile)) : undefined
  if (note !== undefined) {
    const what = "the vault's key is being changed and not all of it is done: counterfoil vault rotate finishes it"
    const isOwn = decodeRotating(origin, [wrappingKey], note) !== undefined
    throw new LedgerError('ERR_LEDGER_INCONSISTENT', isOwn ? what : `${what}; ${notOurs}`)
  }
  let newest: { first: number; bytes: Buffer } | undefined
  for await (const file of slotFiles(directory)) newest = file
  if (newest === undefined) return
  for (const { slot, bytes } of slotsOf(newest)) {
    if (isErased(bytes)) continue
    const isFormer = formerWrappingKey !== undefined && wrappedUnder(bytes) === wrappingKeyId(formerWrappingKey)
    try {
      openSlot(isFormer ? formerWrappingKey : wrappingKey, origin, slot, bytes)
    } catch (cause) {
      const what =
        'the key of the vault (ledger.keys.vault) is not the one that this ledger was last written under: name the file of that one, ' +
        'which after "counterfoil vault rotate" is the one of its --to'
      throw new LedgerError('ERR_DISCLOSURE_MISMATCH', what, { under: wrappedUnder(bytes) }, cause)
    }
    return
  }
}

/**
 * Wraps every slot under the new key that is under the former one, erased ones stay so; then authenticates the write-ahead log by it.
 * @param size of the ledger: the entry that says so is not before it
 * @returns what to append once the ledger is open; undefined where all were under the new key, and an entry says so
 * @throws Misuse ERR_OPTION_INVALID where both are the same @throws LedgerError ERR_DISCLOSURE_MISMATCH where a slot is under neither,
 *   ERR_LEDGER_CORRUPT where a frame or a note is
 */
export async function rewrap(change: Change, size: number): Promise<Rewrapped | undefined> {
  const { directory, origin, wrappingKey, formerWrappingKey } = change
  const [from, to] = [wrappingKeyId(formerWrappingKey), wrappingKeyId(wrappingKey)]
  if (from === to) throw new Misuse('ERR_OPTION_INVALID', 'the former key of the vault is the same as the new one')
  const begun = await noted(change)
  let isNoted = typeof begun === 'number'
  let since = begun === 'unproven' ? 0 : begun
  let [slots, erased] = [0, 0]
  for await (const file of slotFiles(directory)) {
    let changed = false
    const wrapped = slotsOf(file).map(({ slot, bytes }) => {
      slots += 1
      if (isErased(bytes)) {
        erased += 1
        return bytes
      }
      if (wrappedUnder(bytes) === to) return bytes
      changed = true
      return wrapSlot(wrappingKey, origin, slot, openSlot(formerWrappingKey, origin, slot, bytes)!)
    })
    if (!changed) continue
    if (!isNoted) {
      isNoted = true
      since = size
      const note = encodeRotating(origin, [formerWrappingKey, wrappingKey], size)
      await replaceFiles(directory, [[rotatingFile, note]], 'closed')
    }
    await replaceFiles(directory, [[slotFile(file.first), Buffer.concat(wrapped)]], 'closed')
  }
  await reauthenticateLog(change)
  await reauthenticateNotes(change, attachingNotes)
  await reauthenticateNotes(change, anchorNotes)
  return since === undefined ? undefined : { draft: { kind: 'vault-rewrapped', from, to, slots, erased }, since }
}

/** Segment by segment, each replaced whole, and as long as it was. */
async function reauthenticateLog({ directory, origin, wrappingKey, formerWrappingKey }: Change): Promise<void> {
  const [from, to] = [macKey(formerWrappingKey, origin, 'wal'), macKey(wrappingKey, origin, 'wal')]
  for (const { path, first } of await segmentFiles(directory)) {
    const bytes = reauthenticate(await readRegular(path), from, to)
    if (bytes !== undefined) await replaceFiles(directory, [[segmentFile(first), bytes]], 'closed')
  }
}

export interface Rewrapped {
  readonly draft: DraftOf<'vault-rewrapped'>
  /** Where the entry was appended already, it is at this index or later. */
  readonly since: number
}

/** @param append makes the entry durable, unless it is there since an earlier attempt */
export async function finishRewrap(
  directory: string,
  { draft, since }: Rewrapped,
  entries: (from: number) => AsyncIterable<Stored>,
  append: (draft: DraftOf<'vault-rewrapped'>) => Promise<unknown>,
): Promise<void> {
  // Of changes to and fro the last one counts.
  let last: string | undefined
  for await (const { entry } of entries(since)) if (entry.kind === 'vault-rewrapped') last = entry.to
  if (last !== draft.to) await append(draft)
  await fs.rm(join(directory, rotatingFile), { force: true })
  await syncFolder(dirname(join(directory, rotatingFile)))
}

const notOurs =
  `${rotatingFile}, which says so, was not made with the key that was given: where nobody began to rotate, it was put there by somebody else, and is ` +
  'to be removed'

/**
 * How many entries there were when it was begun; undefined where it was not, and `unproven` where its
 * note was made with neither key, as they were before notes had MACs: then what the slots and the
 * entries say counts, and nothing that it says.
 * @throws LedgerError ERR_LEDGER_INCONSISTENT where a change to yet another key is not finished
 */
async function noted({ directory, origin, wrappingKey, formerWrappingKey }: Change) {
  const bytes = await readIfThere(join(directory, rotatingFile))
  if (bytes === undefined) return undefined
  const own = decodeRotating(origin, [formerWrappingKey, wrappingKey], bytes)
  const to = own?.to ?? saidRotatingTo(bytes)
  if (to === wrappingKeyId(wrappingKey)) return own?.size ?? 'unproven'
  const another =
    to === undefined
      ? 'and to which cannot be read'
      : `to another one (${to}): finish that first, with the file of that one as --to`
  const what = `the vault's key is being changed, ${another}`
  throw new LedgerError('ERR_LEDGER_INCONSISTENT', own === undefined ? `${what}; ${notOurs}` : what)
}

async function* slotFiles(directory: string): AsyncGenerator<{ first: number; bytes: Buffer }> {
  for (let first = 0; ; first += slotsInFile) {
    const bytes = await readIfThere(join(directory, slotFile(first)))
    if (bytes === undefined) return
    yield { first, bytes }
  }
}

const slotsOf = ({ first, bytes }: { first: number; bytes: Buffer }) =>
  Array.from({ length: Math.floor(bytes.length / slotBytes) }, (_, i) => ({
    slot: first + i,
    bytes: bytes.subarray(i * slotBytes, (i + 1) * slotBytes),
  }))
