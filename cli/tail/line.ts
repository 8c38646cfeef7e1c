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

/** From as many columns on, everything is told in full where it fits. */
const roomy = 110

/** Whether a line has its whole time in it. */
export const hasDay = ({ columns }: Layout): boolean => columns >= roomy

/** @param who as it is to be shown. @param more what is disclosed, last of all */
export function lineOf(event: Event, who: string, more: string | undefined, layout: Layout): string {
  const { columns, paint } = layout
  const { told, word, tone, what } = event
  const isRoomy = hasDay(layout)
  const { time } = told.entry
  // All of it UTC; a narrow terminal has no room for the day, which stands above instead.
  const at = isRoomy ? time : time.slice(11, 19)
  const named = isRoomy ? 28 : 16
  const name = Number.isFinite(columns) ? shortened(visible(who), named) : visible(who)
  const shownWord = padEnd(visible(word), 7)
  const head = `${at}  ${padEnd(name, named)}  ${shownWord}  `
  const room = columns - widthOf(head)
  const text = fitted(event, visible(what), more === undefined ? undefined : visible(more), room)
  return `${at}  ${padEnd(name, named)}  ${paint(shownWord, tone)}  ${text}`.trimEnd()
}

const isId = /^(replay )?[0-9a-f]{8}-[0-9a-f-]{27}$/

function fitted({ details }: Event, what: string, more: string | undefined, room: number): string {
  let kept = [...details.map(([rank, text]) => ({ rank, text: visible(text) }))].sort((a, b) => a.rank - b.rank)
  const whole = () => [what, ...kept.map(({ text }) => text)].join('  ')
  if (more !== undefined) {
    const text = `${whole()}  ${more}`
    return widthOf(text) <= room ? text : shortened(text, room)
  }
  // What happened comes before where: the result stays, and the resource is cut.
  // Half an id is of no use to anybody.
  const canGo = () => kept.length > 1 || isId.test(kept[0]?.text ?? '')
  while (canGo() && widthOf(whole()) > room) kept = kept.slice(0, -1)
  const over = widthOf(whole()) - room
  if (over <= 0) return whole()
  const left = widthOf(what) - over
  return left >= 8
    ? [shortenedWithin(what, left), ...kept.map(({ text }) => text)].join('  ')
    : shortened(whole(), room)
}
