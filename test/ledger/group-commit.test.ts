import { describe, expect, it } from 'vitest'
import { GroupCommit, type Medium } from '../../lib/ledger/group-commit.ts'

/** A disk in memory whose every operation waits until it is let go, in order. */
class SlowDisk implements Medium {
  readonly asked: string[] = []
  readonly #waiting: { resolve: () => void; reject: (error: Error) => void }[] = []
  writeSynced = (bytes: Uint8Array) => this.#wait(`synced ${Buffer.from(bytes)}`)
  write = (bytes: Uint8Array) => this.#wait(`plain ${Buffer.from(bytes)}`)
  sync = () => this.#wait('sync')

  async letGo(error?: Error): Promise<void> {
    const next = this.#waiting.shift()
    if (next === undefined) throw new Error('nothing waits')
    if (error === undefined) next.resolve()
    else next.reject(error)
    await settle()
  }

  #wait(what: string): Promise<void> {
    this.asked.push(what)
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }
}

const settle = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

function commit(onDurable: (items: readonly string[]) => void = () => undefined) {
  const disk = new SlowDisk()
  const log: string[] = []
  const group = new GroupCommit<string, { bytes: Uint8Array; first: number }>({
    medium: disk,
    sizeOf: item => item.length,
    build: items => ({ bytes: Buffer.from(items.join('')), first: 0 }),
    onDurable: items => {
      log.push(`durable ${items.join('')}`)
      onDurable(items)
    },
  })
  const append = (items: string, level: 'durable' | 'written' = 'durable') =>
    void group.append([...items], level).then(
      () => log.push(`answered ${items}`),
      (error: { code: string }) => log.push(`refused ${items} ${error.code}`),
    )
  return { disk, log, group, append }
}

describe('group commit', () => {
  it('writes what came while a write was in flight as one frame, and no append is divided', async () => {
    const { disk, log, append } = commit()
    append('a')
    await settle()
    append('bc')
    append('d')
    await settle()
    expect(disk.asked).toEqual(['synced a'])
    await disk.letGo()
    expect(disk.asked).toEqual(['synced a', 'synced bcd'])
    expect(log).toEqual(['durable a', 'answered a'])
    await disk.letGo()
    expect(log.slice(2)).toEqual(['durable bcd', 'answered bc', 'answered d'])
  })

  it('answers `written` after the write, and calls it durable after the sync only', async () => {
    const { disk, log, append } = commit()
    append('a', 'written')
    await settle()
    expect(disk.asked).toEqual(['plain a'])
    await disk.letGo()
    expect(disk.asked).toEqual(['plain a', 'sync'])
    expect(log).toEqual(['answered a'])
    await disk.letGo()
    expect(log).toEqual(['answered a', 'durable a'])
  })

  it('answers a durable append behind an unsynced one when a sync has covered both, in order', async () => {
    const { disk, log, append } = commit()
    append('a', 'written')
    await settle()
    await disk.letGo()
    append('b')
    await settle()
    expect(disk.asked).toEqual(['plain a', 'sync', 'plain b'])
    await disk.letGo()
    expect(log).toEqual(['answered a', 'durable a'])
    await disk.letGo()
    expect(disk.asked.at(-1)).toBe('sync')
    expect(log).toEqual(['answered a', 'durable a'])
    await disk.letGo()
    expect(log).toEqual(['answered a', 'durable a', 'durable b', 'answered b'])
  })

  it('refuses what is in flight, what waits and what comes later after one failed write', async () => {
    const { disk, log, append } = commit()
    append('a')
    await settle()
    append('b')
    await disk.letGo(new Error('EIO'))
    append('c')
    await settle()
    const refused = ['a', 'b', 'c'].map(items => `refused ${items} ERR_LEDGER_UNAVAILABLE`)
    expect(log).toEqual(refused)
    expect(disk.asked).toEqual(['synced a'])
  })

  it('tries no failed sync again', async () => {
    const { disk, log, append } = commit()
    append('a', 'written')
    await settle()
    await disk.letGo()
    append('b')
    await settle()
    await disk.letGo(new Error('EIO'))
    expect(log).toEqual(['answered a', 'refused b ERR_LEDGER_UNAVAILABLE'])
    await disk.letGo()
    expect(disk.asked).toEqual(['plain a', 'sync', 'plain b'])
  })
})
