/** Serves one client of this process: its startup packet, which nobody needs, and then a session as any other. */
import type { Duplex } from 'node:stream'
import { errorResponse } from '../errors.ts'
import { type Served, type Serving, serveSession } from '../serving.ts'
import { codes, startupPacket } from '../startup.ts'
import { loadParser } from '../tree.ts'
import type { Turns } from './turns.ts'

/** How long a client may take to read what it was told last. */
const lingerMs = 500

/** Never throws: whatever goes wrong is this connection's alone. */
export async function serveInProcess(
  socket: Duplex,
  askers: Turns,
  connected: NonNullable<Served['connected']>,
  parts: Serving,
): Promise<void> {
  const gone = new AbortController()
  socket.once('close', () => gone.abort(new Error('the client has gone')))
  try {
    const packet = await startupPacket(socket)
    if (packet === undefined) return
    if (packet.readInt32BE() === codes.cancel) {
      parts.cancels.get(packet.subarray(4).toString('hex'))?.cancel()
      return
    }
    await loadParser()
    // What the client wants set is a part of the login upstream: it has the same configuration.
    await serveSession({ socket, askers, settings: new Map(), gone, connected }, parts)
  } catch (error) {
    socket.end(errorResponse(error, 'FATAL'))
  } finally {
    socket.end()
    // Who reads nothing does not hear of the end, either.
    setTimeout(() => socket.destroy(), lingerMs).unref()
  }
}
