/** The timeline as a figure, drawn when the bundle is made, with its words beside it; and as a table on a page of its own. */
import { type Html, html } from './html.ts'
import { link, moment, page, table } from './page.ts'
import { busiest, type Interval, type Timeline } from './timeline.ts'

export const timelineFile = 'timeline.html'

const width = 960
const [left, right] = [110, 12]
// Lanes, from the top: bars grow up from the line of operations, and down for what was refused.
const lanes = { line: 120, refused: 170, grants: 205, gaps: 228, policies: 251, axis: 268 } as const
const height = 290

const iso = (ms: number) => new Date(ms).toISOString()
const n = (value: number) => value.toFixed(1)

export function timelineFigure(timeline: Timeline): Html {
  const { intervals, covered } = timeline
  const [from, to] = [intervals[0]!.from, intervals.at(-1)!.to]
  const x = (at: number) => left + ((at - from) / (to - from)) * (width - left - right)
  const most = (count: (one: Interval) => number) => Math.max(1, ...intervals.map(count))
  const [permitted, refused, grants] = [most(one => one.permitted), most(one => one.refused), most(one => one.grants)]
  const bar = (one: Interval, name: string, y: number, tall: number, title: string): Html =>
    html`<rect class="${name}" x="${n(x(one.from))}" y="${n(y)}" width="${n(Math.max(1.5, x(one.to) - x(one.from) - 1))}" height="${n(tall)}"><title>${title}</title></rect>\n`
  const at = (one: Interval) => moment(iso(one.from))
  const marks = intervals.flatMap(one => [
    ...(one.permitted > 0
      ? [
          bar(
            one,
            'permitted',
            lanes.line - scaled(one.permitted, permitted, 100),
            scaled(one.permitted, permitted, 100),
            `${at(one)}: ${one.permitted} let through`,
          ),
        ]
      : []),
    ...(one.refused > 0
      ? [bar(one, 'refused', lanes.line + 2, scaled(one.refused, refused, 46), `${at(one)}: ${one.refused} refused`)]
      : []),
    ...(one.grants > 0
      ? [
          bar(
            one,
            'grants',
            lanes.grants - scaled(one.grants, grants, 22),
            scaled(one.grants, grants, 22),
            `${at(one)}: ${numberOfGrants(one.grants)} live`,
          ),
        ]
      : []),
    ...(one.gaps > 0 ? [bar(one, 'gap', lanes.gaps - 12, 12, `${at(one)}: ${one.gaps} gaps`)] : []),
    ...(one.policies > 0
      ? [
          html`<path class="policy" d="M${n(x(one.from) - 5)} ${lanes.policies} h10 l-5 -10 z"><title>${at(one)}: ${one.policies} changes of policy</title></path>\n`,
        ]
      : []),
  ])
  const outside = [
    { from, to: covered?.from ?? to },
    { from: covered?.to ?? to, to },
  ].filter(span => span.to > span.from)
  return html`<figure>
<div class="scroll" role="region" tabindex="0" aria-label="Timeline">
<svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="timeline-title timeline-words">
<title id="timeline-title">The period, by ${timeline.unit}</title>
<desc id="timeline-words">${words(timeline)}</desc>
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="hatch" d="M0 0 V6"/></pattern></defs>
${outside.map(span => html`<rect fill="url(#hatch)" x="${n(x(span.from))}" y="14" width="${n(x(span.to) - x(span.from))}" height="${lanes.axis - 14}"><title>no entry</title></rect>\n`)}${marks}<path class="rule" d="M${left} ${lanes.line + 1} H${width - right} M${left} ${lanes.grants + 1} H${width - right} M${left} ${lanes.axis} H${width - right}"/>
<g class="names"><text x="0" y="24">let through</text><text x="0" y="38">most: ${permitted}</text><text x="0" y="${lanes.line + 16}">refused</text><text x="0" y="${lanes.line + 30}">most: ${refused}</text>
<text x="0" y="${lanes.grants}">grants live</text><text x="0" y="${lanes.gaps}">gaps</text><text x="0" y="${lanes.policies}">policy changes</text></g>
<g class="ticks">${ticks(from, to).map(tick => html`<text x="${n(Math.min(x(tick), width - 84))}" y="${height - 6}">${label(tick, to - from)}</text><path class="rule" d="M${n(x(tick))} ${lanes.axis} v5"/>`)}</g>
</svg></div>
<figcaption>${words(timeline)} Hatched: no entry. ${link(timelineFile, 'The same as a table')}.</figcaption>
</figure>`
}

const scaled = (count: number, most: number, tall: number) => Math.max(2, (count / most) * tall)

const ticks = (from: number, to: number) => Array.from({ length: 6 }, (_, i) => from + ((to - from) / 6) * i)
const label = (at: number, span: number) =>
  span <= 4 * 86_400_000 ? iso(at).slice(5, 16).replace('T', ' ') : iso(at).slice(0, 10)

/** What the figure shows, for those who do not see it. */
function words(timeline: Timeline): string {
  const sum = (count: (one: Interval) => number) => timeline.intervals.reduce((total, one) => total + count(one), 0)
  const top = busiest(timeline)
  const [all, refused] = [sum(one => one.permitted + one.refused), sum(one => one.refused)]
  const most =
    top === undefined
      ? ''
      : ` Most in one ${timeline.unit}: ${top.permitted + top.refused}, from ${moment(iso(top.from))}.`
  const live = Math.max(0, ...timeline.intervals.map(one => one.grants))
  const broken = timeline.intervals.filter(one => one.gaps > 0).length
  return `${all} operations, ${refused} of them refused.${most} At most ${numberOfGrants(live)} live within one ${timeline.unit}. Intervals with a gap in the recording: ${broken}. Changes of policy: ${sum(one => one.policies)}.`
}

export function timelinePage(timeline: Timeline): string {
  const some = timeline.intervals.filter(
    one => one.permitted + one.refused + one.grants + one.gaps + one.stops + one.policies > 0,
  )
  const columns = ['From', 'Let through', 'Refused', 'Grants live', 'Gaps', 'Stops in order', 'Changes of policy']
  return page(
    'The period as a table',
    html`<p>${link('report.html', 'The report')} › ${link('report.html#timeline', 'Timeline')}</p>
<h1>The period, by ${timeline.unit}</h1>
<p class="lead">${words(timeline)} Intervals in which nothing is recorded are left out.</p>
${table(
  { id: 'intervals', label: 'Intervals', columns: columns.map((name, i) => ({ name, numeric: i > 0 })) },
  some.map(one => [moment(iso(one.from)), one.permitted, one.refused, one.grants, one.gaps, one.stops, one.policies]),
)}`,
  )
}

const numberOfGrants = (count: number): string => `${count} grant${count === 1 ? '' : 's'}`
