/** Frameworks: requests a second at 64 connections, and what a slow reader makes them hold. */
import { type ChildProcess, fork } from 'node:child_process'
import { get, type IncomingMessage } from 'node:http'
import { fileURLToPath } from 'node:url'
import { quantile, row } from '../measure.ts'
import type { Row } from '../row.ts'
import { floodBytes } from './flood.ts'
import { type Opened, openDoor, said, type Way, ways } from './open.ts'
import { readSlowly } from './slow-reader.ts'

const rounds = 5
const seconds = 2
const clients = 64

export async function rates(door: 'express' | 'koa', least: number, folder: string): Promise<Row[]> {
  const open: Partial<Record<Way, Opened>> = {}
  const load = fork(fileURLToPath(new URL('./http-load.ts', import.meta.url)), { stdio: 'inherit' })
  const found: Record<Way, number[]> = { bare: [], guarded: [], masked: [] }
  const spent: Record<Way, number[]> = { bare: [], guarded: [], masked: [] }
  try {
    for (const way of ways) open[way] = await openDoor({ door, way }, folder)
    // The first round compiles, and is not counted.
    for (let round = 0; round <= rounds; round += 1) {
      for (const way of ways) {
        const { port, usage } = open[way]!
        const before = (await usage()).cpu
        const requests = await ask(load, port)
        const cpu = (await usage()).cpu - before
        if (round === 0) continue
        found[way].push(requests / seconds)
        spent[way].push(cpu / requests)
      }
    }
  } finally {
    load.kill()
    for (const one of Object.values(open)) one.close()
  }
  const name = `${door}, ${clients} clients`
  return (['guarded', 'masked'] as const).flatMap(way => {
    const title = way === 'masked' ? `${name}, a mask in force` : name
    const figure = (of: string, unit: string, from: Record<Way, number[]>) => ({
      ...{ suite: 'doors', name: `${title}${of}`, unit, value: quantile(from[way], 0.5) },
      against: { what: `bare ${door}`, value: quantile(from.bare, 0.5) },
    })
    return [
      row(figure('', '1/s', found), { least }),
      row(figure(', processor time a request', 'us', spent), { most: 1 / least }),
    ]
  })
}

async function ask(load: ChildProcess, port: number): Promise<number> {
  load.send({ port, path: '/customers/1', clients, seconds, token: 'bench' })
  return ((await said(load)) as { requests: number }).requests
}

/** @returns bytes that the door held more than before, at most */
export async function slowReader(door: 'express' | 'koa', folder: string): Promise<number> {
  const { port, usage, close } = await openDoor({ door, way: 'guarded' }, folder)
  try {
    const ask = (path: string) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        get({ port, path, host: '127.0.0.1', headers: { authorization: 'Bearer bench' } }, resolve).on('error', reject)
      })
    ;(await ask('/customers/1')).resume()
    const base = (await usage()).peak
    const bytes = await readSlowly(await ask('/flood'))
    if (bytes !== floodBytes) throw new Error(`${door} sent ${bytes} bytes`)
    return (await usage()).peak - base
  } finally {
    close()
  }
}
