/** Each fault at each call that the brief scripts make: counted once, then met one after the other, each in a round of its own. */
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Campaign, Round } from './campaign.ts'
import { type Image, tornImage } from './image.ts'
import { Lane } from './lane.ts'
import { before, brief, first } from './script.ts'
import type { Asked, Limit, ScriptName } from './settings.ts'
import { type Injection, injectOn, watch } from './strace.ts'

/**
 * What of each call can fail, and whether it changes anything, so that a kill in front of it leaves something
 * else than a kill in front of the last one that did. `close` is not among them: whatever it answers the
 * descriptor is gone, and strace would leave it open.
 */
// biome-ignore format: a table
export const everyCall: readonly { readonly call: string; readonly faults: readonly string[] }[] = [
  { call: 'openat',     faults: ['EIO', 'ENOSPC', 'EINTR', 'EMFILE', 'KILL'] },
  { call: 'write',      faults: ['EIO', 'ENOSPC', 'EINTR', 'KILL'] },
  { call: 'pwrite64',   faults: ['EIO', 'ENOSPC', 'EINTR', 'ZERO', 'KILL'] },
  { call: 'pwritev',    faults: ['EIO', 'ENOSPC', 'EINTR', 'ZERO', 'KILL'] },
  { call: 'fdatasync',  faults: ['EIO', 'ENOSPC', 'EINTR', 'KILL'] },
  { call: 'fsync',      faults: ['EIO', 'ENOSPC', 'EINTR', 'KILL'] },
  { call: 'rename',     faults: ['EIO', 'ENOSPC', 'KILL'] },
  { call: 'ftruncate',  faults: ['EIO', 'EINTR', 'KILL'] },
  { call: 'unlink',     faults: ['EIO', 'KILL'] },
  { call: 'mkdir',      faults: ['EIO', 'ENOSPC', 'KILL'] },
  { call: 'rmdir',      faults: ['EIO', 'KILL'] },
  { call: 'flock',      faults: ['EIO', 'EINTR', 'ENOLCK', 'KILL'] },
  { call: 'getdents64', faults: ['EIO'] },
  { call: 'read',       faults: ['EIO', 'EINTR'] },
  { call: 'pread64',    faults: ['EIO', 'EINTR'] },
  { call: 'statx',      faults: ['EIO'] },
]

/** Where a file may grow no further: within a checkpoint, a tile, a bundle, a file of keys, and the room that the log lays down ahead. */
const limits = [0, 1, 63, 200, 500, 1000, 2500, 4096, 9000, 40_000, 131_072, 131_073, 140_000, 180_000]

/** Which rounds are meant. */
export interface Chosen {
  readonly call?: string
  readonly fault?: string
  readonly when?: number
}

interface Planned {
  readonly script: ScriptName
  readonly injection?: Injection
  readonly limit?: Limit
}

export interface EveryRound extends Round {
  /** `openat EIO`, `short write`. */
  readonly kind: string
  /** What repeats it. */
  readonly only: string
  /** Whether there was a call for the fault to meet. */
  readonly met: boolean
}

/** How often each call is made on a ledger's files, at most by one thread, and on which. */
interface Counted {
  readonly calls: ReadonlyMap<string, number>
  readonly paths: readonly string[]
}

/** Where each lane's ledgers lie, one after the other: paths are given to strace. */
const place = (folder: string) => join(folder, 'ledger')

export class Every {
  readonly #campaign: Campaign
  readonly #strace: string
  readonly #prlimit: string
  readonly #image: Image
  readonly #counted = new Map<ScriptName, Counted>()
  readonly #lanes: Lane[]

  private constructor(campaign: Campaign, tools: { strace: string; prlimit: string }, image: Image) {
    this.#campaign = campaign
    this.#strace = tools.strace
    this.#prlimit = tools.prlimit
    this.#image = image
    this.#lanes = [new Lane(campaign)]
  }

  static async begin(campaign: Campaign, tools: { strace: string; prlimit: string }): Promise<Every> {
    const every = new Every(campaign, tools, await tornImage(campaign, before))
    const lane = every.#lanes[0]!
    for (const script of ['brief', 'first'] as const) every.#counted.set(script, await every.#count(lane, script))
    return every
  }

  /** How often the scripts make each call, at most by one thread. */
  counts(): string {
    const told = everyCall.map(({ call }) => {
      const of = (script: ScriptName) => this.#counted.get(script)!.calls.get(call) ?? 0
      return `${call} ${of('first')}+${of('brief')}`
    })
    return `calls of a first opening + of what follows upon a kill: ${told.join(', ')}`
  }

  async end(): Promise<void> {
    for (const lane of this.#lanes) await lane.end()
  }

  /** @param chosen all of what each leaves open. @param on is given each round, and says whether to go on */
  async run(chosen: readonly Chosen[], on: (round: EveryRound) => boolean): Promise<void> {
    const plan = chosen.flatMap(each => this.#plan(each))
    const isOne = chosen.some(({ when }) => when !== undefined)
    let going = true
    const work = async (lane: Lane) => {
      const folder = this.#campaign.newFolder()
      for (let next = plan.shift(); going && next !== undefined; next = plan.shift()) {
        const round = await this.#round(lane, folder, next)
        going = on(round) && going
        const { injection, script } = next
        // Runs differ by what a fault leads to, so that there may be a call more than were counted.
        const last =
          injection !== undefined && injection.when >= (this.#counted.get(script)!.calls.get(injection.call) ?? 0)
        if (last && round.met && !isOne) {
          plan.unshift({ ...next, injection: { ...injection, when: injection.when + 1 } })
        }
      }
    }
    // A second writer takes as long to start as a few rounds.
    const most = plan.length < 10 ? 1 : Math.min(2, availableParallelism())
    while (this.#lanes.length < most) this.#lanes.push(new Lane(this.#campaign))
    await Promise.all(this.#lanes.slice(0, most).map(work))
  }

  #plan({ call: name, fault: kind, when }: Chosen): Planned[] {
    const plan: Planned[] = []
    for (const [script, { calls }] of this.#counted) {
      for (const { call, faults } of everyCall) {
        for (const fault of faults) {
          if ((name ?? call) !== call || (kind ?? fault) !== fault) continue
          const count = calls.get(call) ?? 0
          const which = when === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [when]
          for (const at of which) plan.push({ script, injection: { call, fault, when: at } })
        }
      }
      for (const [step] of [['open'], ...steps[script], ['close']] as const) {
        if ((name ?? 'short') !== 'short' || (kind ?? step) !== step) continue
        for (const bytes of when === undefined ? limits : [when]) {
          plan.push({ script, limit: { prlimit: this.#prlimit, step, bytes } })
        }
      }
    }
    return plan
  }

  async #round(lane: Lane, folder: string, { script, injection, limit }: Planned): Promise<EveryRound> {
    const directory = place(folder)
    const witness = this.#prepare(directory, script)
    const log = join(folder, 'strace.log')
    const paths = this.#counted.get(script)!.paths.map(path => join(directory, path))
    const asked: Asked = { directory, script, ...(limit === undefined ? {} : { limit }) }
    const heard = await lane.perform(asked, async pid => {
      if (injection === undefined) return async () => undefined
      return injectOn(this.#strace, pid, injection, paths, log)
    })
    const wrong: string[] = []
    let refusals = 0
    for (const line of heard.lines.map(told => told.slice(2))) {
      const never = witness.hear(line)
      if (never !== undefined) wrong.push(never)
      if (line.startsWith('!')) refusals += 1
    }
    if (heard.end === 'died') wrong.push(`the writer failed: ${heard.last.slice(0, 2000)}`)
    wrong.push(...(await witness.examine({ again: true })))
    const met =
      injection === undefined ||
      heard.end === 'killed' ||
      readFileSync(log, 'latin1').includes(injection.fault === 'KILL' ? '+++ killed by SIGKILL' : '(INJECTED)')
    return {
      ...{
        kind: injection === undefined ? 'short write' : `${injection.call} ${injection.fault}`,
        met,
        wrong,
        refusals,
      },
      only:
        injection === undefined
          ? `short:${limit?.step}:${limit?.bytes}`
          : `${injection.call}:${injection.fault}:${injection.when}`,
      ...{ acknowledged: witness.acknowledged.size, checkpoints: witness.checkpoints, end: heard.end },
    }
  }

  #prepare(directory: string, script: ScriptName) {
    for (const path of [directory, `${directory}.pin`]) rmSync(path, { recursive: true, force: true })
    const witness = this.#campaign.witness(directory)
    if (script === 'first') mkdirSync(directory)
    else {
      cpSync(this.#image.directory, directory, { recursive: true })
      this.#image.tell(witness)
    }
    return witness
  }

  async #count(lane: Lane, script: ScriptName): Promise<Counted> {
    const folder = this.#campaign.newFolder()
    const directory = place(folder)
    const log = join(folder, 'strace.log')
    this.#prepare(directory, script)
    const names = everyCall.map(({ call }) => call)
    const { end, lines, last } = await lane.perform({ directory, script }, pid => watch(this.#strace, pid, names, log))
    const refused = lines.find(line => /^0 [!?]/.test(line))
    if (end !== 'done' || refused !== undefined) throw new Error(`the script does not run: ${refused ?? last}`)
    const byThread = new Map<string, number>()
    const paths = new Set<string>([''])
    for (const line of readFileSync(log, 'latin1').split('\n')) {
      const [, thread, call] = /^(\d+) +(\w+)\(/.exec(line) ?? []
      const found = [...line.matchAll(/[<"](\/[^>"]*)/g)]
        .map(([, path]) => path!)
        .filter(path => path.startsWith(directory))
      if (call === undefined || found.length === 0) continue
      for (const path of found) paths.add(path.slice(directory.length + 1))
      byThread.set(`${call} ${thread}`, (byThread.get(`${call} ${thread}`) ?? 0) + 1)
    }
    const calls = new Map<string, number>()
    for (const [key, count] of byThread) {
      const call = key.split(' ')[0]!
      calls.set(call, Math.max(calls.get(call) ?? 0, count))
    }
    return { calls, paths: [...paths].sort() }
  }
}

const steps = { first, brief } as const
