/**
 * A recording as a sequence of what happened: when, on which channel, which bytes. The head of a reply is its first event, on the channel
 * `head`: a JSON description, a line feed, and the head's own bytes where the protocol has any;
 * how it ended, where the protocol says that in bytes, is its last, on the channel `end`. Pure.
 */
import { LedgerError } from '../errors.ts'

export const timelineType = 'application/vnd.counterfoil.timeline'

export interface TimelineEvent {
  /** Milliseconds since the recording began. */
  readonly at: number
  readonly channel: string
  readonly bytes: Uint8Array
}

const longestEvent = 256 * 1024 * 1024

/** uint32 length of the rest; uint32 milliseconds; uint8 length of the channel's name; the name; the bytes. */
export function encodeEvent({ at, channel, bytes }: TimelineEvent): Buffer {
  const name = Buffer.from(channel, 'latin1')
  const head = Buffer.alloc(9)
  head.writeUInt32BE(5 + name.length + bytes.length, 0)
  head.writeUInt32BE(Math.min(Math.max(0, Math.round(at)), 2 ** 32 - 1), 4)
  head.writeUInt8(name.length, 8)
  return Buffer.concat([head, name, bytes])
}

/** @param whole false where a crash cut it: then it may end within an event. @throws LedgerError ERR_LEDGER_CORRUPT */
export async function* decodeEvents(pieces: AsyncIterable<Uint8Array>, whole = true): AsyncGenerator<TimelineEvent> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece])
    for (;;) {
      if (rest.length < 4) break
      const length = rest.readUInt32BE(0)
      if (length < 5 || length > longestEvent) throw corrupt('an event of a timeline has no valid length')
      if (rest.length < 4 + length) break
      const named = rest.readUInt8(8)
      if (5 + named > length) throw corrupt('an event of a timeline is cut')
      yield {
        at: rest.readUInt32BE(4),
        channel: rest.toString('latin1', 9, 9 + named),
        bytes: rest.subarray(9 + named, 4 + length),
      }
      rest = rest.subarray(4 + length)
    }
  }
  if (whole && rest.length > 0) throw corrupt('a timeline ends within an event')
}

const corrupt = (what: string) => new LedgerError('ERR_LEDGER_CORRUPT', what)
