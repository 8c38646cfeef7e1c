/** A client that pays no heed to windows, in either direction, fills no memory: SSH's flow control is a request, not a limit. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { ClientChannel, ServerChannel } from 'ssh2'
import { afterEach, describe, expect, it } from 'vitest'
import { type Behaviour, fakeHost } from '../adapters/ssh/host.ts'
import { exec, setUp } from '../adapters/ssh/support.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function open(behaviour: Behaviour) {
  const host = await fakeHost(behaviour)
  closing.push(host.close)
  const at = await setUp({ web1: host.host })
  closing.push(at.close)
  return at
}

interface Inside {
  outgoing: { id: number; window: number }
  _client: {
    _protocol: { channelWindowAdjust(id: number, by: number): void; channelData(id: number, bytes: Buffer): void }
    _sock: Socket
  }
}

// Not a divisor of any window: where one is used up exactly, ssh2 drops what comes after it.
const piece = Buffer.alloc(32 * 1024 - 1, 'x')
const mebibyte = 1024 * 1024

describe('a window', () => {
  it('that a client overruns with what nobody reads costs it the connection', async () => {
    // The host takes nothing: its own window fills, and then the gateway reads no more.
    const at = await open({ exec: () => undefined })
    const client = await at.client()
    const closed = new Promise<void>(resolve => client.once('close', () => resolve()))
    const channel = await new Promise<ClientChannel>((resolve, reject) =>
      client.exec('hold', (error, made) => (error ? reject(error) : resolve(made))),
    )
    channel.on('error', () => undefined)
    const { outgoing, _client } = channel as unknown as Inside
    let over = false
    void closed.then(() => {
      over = true
    })
    let sent = 0
    for (; sent < 256 * mebibyte && !over; sent += piece.length) {
      _client._protocol.channelData(outgoing.id, piece)
      if (_client._sock.writableNeedDrain)
        await Promise.race([once(_client._sock, 'drain').catch(() => undefined), closed])
      // A connection that is closing takes everything, and nothing is heard of its end meanwhile.
      else await new Promise(resolve => setImmediate(resolve))
    }
    await closed
    // What was on its way in sockets, and the little that is kept.
    expect(sent).toBeLessThan(48 * mebibyte)
    expect(await exec(await at.client({ username: 'nowhere' }), 'id')).toMatchObject({ status: 77 })
  })

  it('as wide as four gigabytes, of a client that reads nothing, is filled no faster than its socket', async () => {
    let sent = 0
    const flood = (_: string, channel: ServerChannel) => {
      const next = () => {
        if (sent >= 256 * mebibyte || !channel.writable) return
        sent += piece.length
        channel.write(piece, next)
      }
      next()
    }
    const at = await open({ exec: flood })
    const client = await at.client()
    const { _sock } = client as unknown as { _sock: Socket }
    const channel = await new Promise<ClientChannel>((resolve, reject) =>
      client.exec('flood', (error, made) => (error ? reject(error) : resolve(made))),
    )
    const { outgoing, _client } = channel as unknown as Inside
    _client._protocol.channelWindowAdjust(outgoing.id, 2 ** 31)
    // The socket itself is read no more, so that no window ever closes.
    await new Promise(resolve => setImmediate(resolve))
    _sock.pause()
    let last = -1
    // Until the host can send no more, for as long as ten looks.
    for (let still = 0; still < 10; still = sent === last ? still + 1 : 0) {
      last = sent
      await new Promise(resolve => setTimeout(resolve, 25))
    }
    expect(sent).toBeLessThan(48 * mebibyte)
    expect(await exec(await at.client({ username: 'nowhere' }), 'id')).toMatchObject({ status: 77 })
    _sock.destroy()
  })
})
