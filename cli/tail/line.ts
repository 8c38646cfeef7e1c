/** An event as one line, in columns that fit the terminal: where there is no room, the least of what is told goes first. */
import { visible } from '../output.ts'
import { padEnd, shortened, shortenedWithin, widthOf } from '../width.ts'
import type { Event, Tone } from './event.ts'

export type Paint = (text: string, tone: Tone) => string

export interface Layout {
  /** Of the terminal; Infinity where it is none. */
  readonly columns: number
  readonly paint: Paint
}

/** From as many columns on, names are told in full where they fit. */
const roomy = 110
/** From as many on there is room for the day in every line: below, it would be there instead of the exchange's id. */
const dated = 140
/** Below so many, who it was has no more room than what it was. */
const tight = 60

/** Whether a line has its whole time in it. */
export const hasDay = ({ columns }: Layout): boolean => columns >= dated

/** @param who as it is to be shown. @param more what is disclosed, last of all */
export function lineOf(event: Event, who: string, more: string | undefined, layout: Layout): string {
  const { columns, paint } = layout
  const { told, word, tone } = event
  const { time } = told.entry
  // All of it UTC; a narrow terminal has no room for the day, which stands above instead.
  const at = hasDay(layout) ? time : time.slice(11, 19)
  const named = columns >= roomy ? 28 : columns < tight ? 8 : 16
  const name = Number.isFinite(columns) ? shortened(visible(who), named) : visible(who)
  const shownWord = padEnd(visible(word), 7)
  // However narrow the terminal: by its number `show` finds the entry, and in that the ids that had no room here.
  const before = `${at}  ${padEnd(`#${told.live.index}`, 5)}  ${padEnd(name, named)}  `
  const room = columns - widthOf(`${before}${shownWord}  `)
  const text = fitted(event, more === undefined ? undefined : visible(more), room)
  return `${before}${paint(shownWord, tone)}  ${text}`.trimEnd()
}

const uuid = /[0-9a-f]{8}-[0-9a-f-]{27}/g

function fitted(event: Event, more: string | undefined, room: number): string {
  const [lead, what] = [visible(event.lead), visible(event.what)]
  let kept = [...event.details.map(([rank, text]) => ({ rank, text: visible(text) }))].sort((a, b) => a.rank - b.rank)
  const told = (about: string) => [lead + about, ...kept.map(({ text }) => text)].join('  ')
  if (more !== undefined) {
    const text = `${told(what)}  ${more}`
    return widthOf(text) <= room ? text : shortened(text, room)
  }
  // What happened comes before where: the result stays, and the resource is cut. Half an id is of no use to anybody.
  while ((kept.at(-1)?.rank ?? 0) > 1 && widthOf(told(what)) > room) kept = kept.slice(0, -1)
  const over = widthOf(told(what)) - room
  if (over <= 0) return told(what)
  const left = widthOf(what) - over
  const shown = what.replaceAll(uuid, '…')
  if (left >= 8) return told(shortenedWithin(shown, left))
  const withoutWhere = [lead.replace(/: $/, ''), ...kept.map(({ text }) => text)].join('  ')
  return lead !== '' && widthOf(withoutWhere) <= room ? withoutWhere : shortened(told(shown), room)
}
