/** The steps about the checkpoint held elsewhere: that it still is the beginning of the ledger, and the newer one kept in its place. */

import { isOurs } from '../../lib/errors.ts'
import { consistencyProof, verifyConsistency } from '../../lib/format/merkle.ts'
import { numberIn } from '../../lib/format/series.ts'
import { counted } from '../../lib/format/words.ts'
import type { Examination } from '../examination.ts'
import type { Finding } from '../finding.ts'
import { heldSince, type Pin, type PinState, readPin, writePin } from '../pin.ts'
import { base64 } from '../verification.ts'
import { need, skip } from './step.ts'

export async function checkPin(x: Examination): Promise<string> {
  const [files, checkpoint, trust] = need(x.files, x.checkpoint, x.trust)
  const { seen } = x.options.member ?? {}
  if (x.options.pin === undefined && seen === undefined) return skip('no checkpoint held elsewhere was given')
  let pin: Pin | undefined
  try {
    pin = x.options.pin === undefined ? seen : await readPin(x.options.pin)
  } catch (error) {
    if (!isOurs(error)) throw error
    return x.fail({ code: 'PIN_UNREADABLE', what: error.message })
  }
  if (pin === undefined) {
    if (x.options.first === true) return 'the first pin: nothing to compare with yet'
    const what = `no pin at ${x.options.pin}; if this is the first verification, a person says --first`
    return x.fail({ code: 'PIN_MISSING', what })
  }
  if (pin.origin === x.options.member?.pinnedBefore) {
    x.pinnedBefore = pin
    return `of ${pin.origin}, against which it was held`
  }
  const elsewhere = pin.origin === trust.origin ? undefined : inSeries(x, pin.origin)
  if (elsewhere !== undefined) return x.fail(elsewhere)
  x.pin = pin
  const isSpoken = x.options.pin === undefined || trust.spans.some(({ seal }) => seal === pin.fingerprint)
  if (pin.origin === trust.origin && !isSpoken && checkpoint.size < pin.size) {
    const what = `the ledger has ${checkpoint.size} entries, and had ${pin.size} when it was pinned by a key that has not spoken yet here`
    return x.fail({ code: 'ROLLBACK', what, expected: pin.fingerprint, actual: x.fingerprint })
  }
  if (pin.origin !== trust.origin || !isSpoken) {
    const what = 'the pin is of another ledger or another key'
    return x.fail({ code: 'KEY_SUBSTITUTED', what, expected: pin.fingerprint, actual: x.fingerprint })
  }
  const [expected, actual] = [`${pin.size} ${base64(pin.root)}`, `${checkpoint.size} ${base64(checkpoint.root)}`]
  if (checkpoint.size < pin.size) {
    const what = `the ledger has ${checkpoint.size} entries, and had ${pin.size} when it was pinned`
    return x.fail({ code: 'ROLLBACK', what, expected, actual })
  }
  try {
    const proof = await consistencyProof(pin.size, checkpoint.size, files.hashReader(checkpoint.size))
    verifyConsistency(pin.size, pin.root, checkpoint.size, checkpoint.root, proof)
    if (x.mayGoOn && pin.state !== undefined) x.goOn(pin, pin.state)
    return `what stood there at ${pin.time}, ${pin.size} entries, is still the beginning of the ledger`
  } catch (error) {
    if (!isOurs(error)) throw error
    // Tiles that are missing or altered prove nothing of a fork: the tree step names them, and compares the roots itself.
    if (error.code !== 'ERR_PROOF_INVALID') return 'no proof from the tiles: the roots are compared below'
    const what = `history was rewritten: the first ${pin.size} entries are not those that were pinned at ${pin.time}`
    return x.fail({ code: 'FORK', what, expected, actual })
  }
}

/** A pin of another ledger of the series than any that is there. */
function inSeries({ options: { member }, trust }: Examination, pinned: string): Finding | undefined {
  if (member === undefined || trust === undefined) return undefined
  if (member.gone?.some(({ checkpoint }) => checkpoint?.origin === pinned)) {
    const what = `the pin is of ${pinned}, which was disposed of: nothing shows what became of what it covered`
    return { code: 'PIN_UNREADABLE', what }
  }
  const series = member.number === 1 ? trust.origin : trust.origin.slice(0, -`/${member.number}`.length)
  if ((numberIn(series, pinned) ?? 0) <= member.number) return undefined
  const what = `the series ends with ${trust.origin}, and had gone on as ${pinned} when it was pinned`
  return { code: 'ROLLBACK', what, expected: pinned, actual: trust.origin }
}

export async function keepPin(x: Examination): Promise<string> {
  const [checkpoint] = need(x.checkpoint, x.trust)
  if (x.options.pin === undefined) return skip('no pin is kept')
  if (x.options.renew === false) return skip('the pin was only compared with')
  // Not behind a gap in the recording either: a verification that goes on from there would not see it again, and say that all is well.
  if (x.findings.has(() => true)) {
    return skip(
      `${x.options.first === true ? 'none is written' : 'the old pin stays as it was'}: it is renewed on OK alone`,
    )
  }
  const { origin, size, root } = checkpoint
  const { fingerprint } = x
  const time = new Date(x.now).toISOString()
  const whole = x.after === undefined ? time : x.after.whole
  const earlier = x.options.member?.earlier ?? []
  const since = heldSince(x.held, checkpoint)
  const sealed = Math.max(x.seals.at(-1)?.size ?? 0, x.held?.sealed ?? 0)
  const pin = {
    ...{ origin, size, root, fingerprint, time, whole, state: stateOf(x) },
    ...(since === undefined ? {} : { since }),
    ...(sealed === 0 ? {} : { sealed }),
    ...(earlier.length === 0 ? {} : { earlier }),
  }
  try {
    await writePin(x.options.pin, pin)
  } catch (error) {
    if (!isOurs(error) || error.name !== 'LedgerError') throw error
    const what = 'what would be kept of this ledger could not be read again: the old pin stays as it was'
    return x.fail({ code: 'PIN_UNREADABLE', what })
  }
  return counted(size, 'entry')
}

const mostOpen = 10_000

function stateOf({ meaning, continuity, taken, keyEntriesInTree }: Examination): PinState {
  const { greatest, open } = meaning.state
  const writers = [...continuity.writers].map(([name, { seq, time, interval, stopped, crashed }]) => ({
    ...{ name, seq, time, stopped },
    ...(crashed === true ? { crashed } : {}),
    interval: interval ?? 0,
  }))
  const last = taken.map(({ index, entry: { kind, epoch, certificate } }) => ({ index, kind, epoch, certificate }))
  const keys = keyEntriesInTree.map(({ index, digest }) => ({ index, digest }))
  return { greatest, open: open.slice(-mostOpen), writers, taken: last, keys }
}
