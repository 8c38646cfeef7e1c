/** From entries to printed lines: each event a line for people, or each entry one JSON object for programs. */
import { type Follower, type LiveEntry, Opener } from '../../evidence/index.ts'
import { timestamp } from '../../lib/format/entry.ts'
import { ascii } from '../output.ts'
import { type Event, eventsOf, unreadable } from './event.ts'
import { concerned, type Filter, wanted } from './filter.ts'
import { hasDay, type Layout, lineOf } from './line.ts'
import { type Actors, Memory, type Told } from './told.ts'

export interface Telling {
  readonly json: boolean
  readonly filter: Filter
  /** Undefined: names are not opened. */
  readonly wrapping: Uint8Array | undefined
  /** Asked for each batch: a terminal is made narrower while it is followed. */
  readonly layout: () => Layout
}

/** A line, and when what it tells happened. */
export interface Line {
  readonly time: string
  readonly text: string
}

/** Later than any: what cannot be read is always shown. */
const unknown = '9999'

export class Teller {
  readonly #telling: Telling
  readonly #opener: Opener | undefined
  readonly #memory = new Memory()
  /** The day that a narrow terminal's lines are of, where they have no room for it. */
  #day = timestamp(Date.now()).slice(0, 10)

  constructor(follower: Follower, telling: Telling) {
    this.#telling = telling
    this.#opener = telling.wrapping === undefined ? undefined : new Opener(follower, telling.wrapping)
  }

  /** @param batch in order, one batch after another; every entry, so that later ones are understood */
  async lines(batch: readonly LiveEntry[]): Promise<Line[]> {
    const { filter, json, layout } = this.#telling
    const kept: Told[] = []
    const broken: Line[] = []
    for (const live of batch) {
      await this.#opener?.see(live)
      const { entry } = live
      if (entry === undefined) {
        broken.push({ time: unknown, text: json ? JSON.stringify({ index: live.index }) : unreadable(live.index) })
        continue
      }
      const told = this.#memory.tell({ ...live, entry })
      if (await wanted(told, filter, this.#opener)) kept.push(told)
    }
    const lines: Line[] = []
    if (json) for (const told of kept) lines.push({ time: told.entry.time, text: await this.#json(told) })
    else {
      const shown = layout()
      for (const event of eventsOf(kept)) {
        const text = lineOf(event, await this.#who(event.actors), await this.#more(event), shown)
        const { time } = event.told.entry
        lines.push({ time, text: hasDay(shown) ? text : this.#underDay(time.slice(0, 10), text) })
      }
    }
    return [...broken, ...lines]
  }

  #underDay(day: string, text: string): string {
    if (day === this.#day) return text
    this.#day = day
    return `${day} (UTC)\n${text}`
  }

  async #name(pseudonym: string): Promise<string> {
    return (await this.#opener?.name(pseudonym)) ?? pseudonym
  }

  async #who(actors: Actors | undefined): Promise<string> {
    if (actors === undefined) return '-'
    const { subject, principal } = actors
    if (principal === undefined) return this.#name(subject)
    return `${await this.#name(subject)} for ${await this.#name(principal)}`
  }

  /** An application's own words for its event. */
  async #more({ told: { entry, live } }: Event): Promise<string | undefined> {
    if (entry.kind !== 'event') return undefined
    const message = await this.#opener?.value(live, 'message')
    return typeof message === 'string' ? message : undefined
  }

  async #json(told: Told): Promise<string> {
    const { live, entry, of, milliseconds } = told
    const names: Record<string, string> = {}
    for (const pseudonym of concerned(told)) {
      const name = await this.#opener?.name(pseudonym)
      if (name !== undefined) names[pseudonym] = name
    }
    return ascii({
      index: live.index,
      entry,
      ...(Object.keys(names).length > 0 ? { names } : {}),
      ...(of.length > 0 ? { of: of.map(({ index, actors, accesses }) => ({ index, actors, accesses })) } : {}),
      ...(milliseconds === undefined ? {} : { milliseconds }),
    })
  }
}
