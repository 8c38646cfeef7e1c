/** scp of a gigabyte each way, through the gateway and through a bare relay; and what a slow reader makes the gateway hold. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { keyPair, requesterId, type Sshd, sshd } from '../../adapters/ssh/support.ts'
import { findTool } from '../../support/interop.ts'
import { row } from '../measure.ts'
import type { Row } from '../row.ts'
import { floodBytes } from './flood.ts'
import { type Opened, openDoor } from './open.ts'
import { readSlowly } from './slow-reader.ts'

const run = promisify(execFile)
const rounds = 2
const needed = ['sshd', 'ssh', 'scp']

export const isThere = (): boolean => needed.every(tool => findTool(tool) !== undefined)

interface Setting {
  readonly host: Sshd
  /** Options of OpenSSH's clients. */
  readonly options: readonly string[]
  open(way: 'bare' | 'guarded', folder: string): Promise<Opened>
}

async function setUp(): Promise<Setting> {
  const host = await sshd()
  const [identity, hostKey] = [keyPair(), keyPair()]
  writeFileSync(join(host.folder, 'id'), identity.private, { mode: 0o600 })
  writeFileSync(join(host.folder, 'keys'), `${identity.public} ${requesterId}\n`)
  const settings = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'IdentitiesOnly=yes',
    'BatchMode=yes',
  ]
  const ssh = { host: host.host, hostKey: hostKey.private, keys: join(host.folder, 'keys') }
  return {
    host,
    options: ['-F', 'none', '-i', join(host.folder, 'id'), ...settings.flatMap(setting => ['-o', setting])],
    open: (way, folder) => openDoor({ door: 'ssh', way, ssh }, folder),
  }
}

export async function copies(least: number, folder: string): Promise<Row[]> {
  const { host, options, open } = await setUp()
  const doors = { bare: await open('bare', folder), guarded: await open('guarded', folder) }
  const [near, far] = [join(host.folder, 'near'), join(host.folder, 'far')]
  try {
    writeFileSync(near, '')
    truncateSync(near, floodBytes)
    const best = { up: { bare: 0, guarded: 0 }, down: { bare: 0, guarded: 0 } }
    for (let round = 0; round < rounds; round += 1) {
      for (const way of ['bare', 'guarded'] as const) {
        const remote = `${host.user}@web1@127.0.0.1:${far}`
        for (const [direction, from, to] of [
          ['up', near, remote],
          ['down', remote, near],
        ] as const) {
          const start = performance.now()
          await run(findTool('scp')!, [...options, '-P', String(doors[way].port), '-q', from, to])
          const rate = floodBytes / (performance.now() - start) / 1000
          best[direction][way] = Math.max(best[direction][way], rate)
          if (statSync(direction === 'up' ? far : near).size !== floodBytes) throw new Error('a copy is not whole')
        }
        rmSync(far)
      }
    }
    return (['up', 'down'] as const).map(direction => {
      const { bare, guarded } = best[direction]
      const against = { what: 'a bare ssh2 relay', value: bare }
      return row(
        { suite: 'doors', name: `scp of 1 GB, ${direction}`, value: guarded, unit: 'MB/s', against },
        { least },
      )
    })
  } finally {
    for (const door of Object.values(doors)) door.close()
    await host.stop()
  }
}

/** @returns bytes that the gateway held more than before, at most */
export async function slowReader(folder: string): Promise<number> {
  const { host, options, open } = await setUp()
  const { port, usage, close } = await open('guarded', folder)
  const ask = (command: string) =>
    spawn(findTool('ssh')!, [...options, '-p', String(port), `${host.user}@web1@127.0.0.1`, command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  try {
    await once(ask('true'), 'close')
    const base = (await usage()).peak
    const bytes = await readSlowly(ask(`head -c ${floodBytes} /dev/zero`).stdout)
    if (bytes !== floodBytes) throw new Error(`ssh sent ${bytes} bytes`)
    return (await usage()).peak - base
  } finally {
    close()
    await host.stop()
  }
}
