/**
 * The report as a reader uses it: each number leads to as many rows, each row to its entry, each
 * entry to its proof; and it can be read by all.
 */
import { posix } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BundleResult, buildBundle } from '../../evidence/bundle/build.ts'
import { parseCsv } from '../../evidence/csv.ts'
import { style } from '../../evidence/report/style.ts'
import { timelineOf } from '../../evidence/report/timeline.ts'
import { deriveViews } from '../../evidence/views.ts'
import type { Control } from '../../lib/control.ts'
import { armorSignature, signDetached } from '../../lib/openpgp.ts'
import { BundleFixture, readControls } from './bundle-fixture.ts'
import { controls, disclosed, Story } from './support.ts'

let fixture: BundleFixture
let files: ReadonlyMap<string, string>
let crowded: BundleResult

const evil = '<script>alert(1)</script>"\'&\u202e\u061c\u00ad\u{e0041}\u0007'

/** A ledger with more than a page shows: 120 in a population, 510 exceptions, a gap, and texts that an attacker wrote. */
async function makeCrowded(): Promise<BundleResult> {
  const declared: Control[] = controls.map(control => ({
    ...control,
    title: `${control.id} ${evil}`,
    owner: evil,
    criteria: [...control.criteria, 'CC7.2'],
  }))
  const story = await Story.begin({ keys: fixture.keys }, declared)
  const { builder } = story
  builder.principal(`${evil}@crm.example`.replaceAll(/[^\x20-\x7e]/g, ''), 'person')
  story.grant('g-00000001')
  const beat = () => builder.add('heartbeat', { open: 0, interval: 60 })
  for (let i = 0; i < 120; i += 1) {
    story.update('g-00000001', { statement: `update customers set name = '${evil}${i}'` })
    if (i % 20 === 0) beat()
  }
  story.approval('a-00000001', `drop table old -- ${evil}`)
  for (let i = 0; i < 510; i += 1) {
    builder.now -= 900
    story.drop(undefined, { statement: evil })
    if (i % 20 === 0) beat()
  }
  builder.now += 86_400_000
  beat()
  const directory = fixture.folder()
  await builder.write(directory)
  const { seal } = fixture.keys
  return buildBundle({
    ledger: {
      directory,
      fingerprint: seal.fingerprint,
      wrappingKey: builder.wrappingKey,
      now: Date.parse('2026-10-02'),
    },
    ...{ out: fixture.folder(), organisation: 'CRM Example', from: '2026-07-01', to: '2026-10-01' },
    ...{ asOf: Date.parse('2026-10-02'), controls: readControls, actions: 'all' as const },
    sign: async bytes => armorSignature(await signDetached(seal, bytes)),
  })
}

beforeAll(async () => {
  fixture = await BundleFixture.make()
  files = fixture.built.files
  crowded = await makeCrowded()
}, 300_000)
afterAll(() => fixture.remove())

const pagesOf = (all: ReadonlyMap<string, string>) => [...all].filter(([path]) => path.startsWith('report/'))
const linksOf = (page: string) => [...page.matchAll(/<a (class="count" )?href="([^"]+)">([^<]*)</g)]
const resolve = (from: string, href: string) => {
  const [path, anchor] = href.split('#')
  return { path: path === '' ? from : posix.join(posix.dirname(from), path!), anchor }
}

/** Rows of the table with this id, or of a whole file. */
function rowsAt(text: string, path: string, anchor: string | undefined): number {
  if (path.endsWith('.csv')) return [...parseCsv(text)].length - 1
  if (path.endsWith('.jsonl')) return text.split('\n').length - 1
  const table = new RegExp(`<table id="${anchor}">[\\s\\S]*?</table>`).exec(text)?.[0] ?? ''
  return (/<tbody>[\s\S]*<\/tbody>/.exec(table)?.[0].match(/<tr>/g) ?? []).length
}

describe.each([
  ['of a small ledger', () => files],
  ['of one with more than a page shows', () => crowded.files],
])('the report %s', (_, all) => {
  test('leads from each number to as many rows', () => {
    let numbers = 0
    for (const [from, page] of pagesOf(all())) {
      for (const [, counts, href, text] of linksOf(page)) {
        if (counts === undefined) continue
        const { path, anchor } = resolve(from, href!)
        expect(rowsAt(all().get(path) ?? '', path, anchor), `${from}: ${text} -> ${href}`).toBe(Number(text))
        numbers += 1
      }
    }
    expect(numbers).toBeGreaterThan(20)
  })

  test('leads nowhere but into the bundle, to files and places that are there', () => {
    for (const [from, page] of pagesOf(all())) {
      for (const [, , href] of linksOf(page)) {
        const { path, anchor } = resolve(from, href!)
        const found = all().get(path)
        expect(found, `${from} -> ${href}`).toBeDefined()
        if (anchor !== undefined) expect(found, `${from} -> ${href}`).toContain(`id="${anchor}"`)
      }
      expect((page.match(/<a /g) ?? []).length, from).toBe(linksOf(page).length)
    }
  })

  test('says of each test what its result says, and shows exceptions and samples row by row, each with its entry and proof', async () => {
    const { results } = all() === files ? fixture.built : crowded
    for (const { control, test: name, exceptions, word } of results) {
      const path = `report/rows/${control}.${name}.html`
      const page = all().get(path)!
      expect(page, path).toContain(`<span class="word ${word}">`)
      const shown = Math.min(exceptions, 500)
      expect(rowsAt(page, path, 'exceptions'), path).toBe(shown)
      if (exceptions > shown) expect(page).toContain(`${exceptions - shown} more are in`)
      const table = /<table id="(?:exceptions|sample)">[\s\S]*?<\/table>/g
      for (const [rows] of page.matchAll(table)) {
        for (const [row] of rows.matchAll(/<tr><th scope="row"[\s\S]*?<\/tr>/g)) {
          const entry = /entries\/(\d+)\.html/.exec(row)?.[1]
          expect(entry, `${path}: ${row}`).toBeDefined()
          const at = all().get(`report/entries/${entry}.html`)!
          expect(at).toContain(`Entry ${entry}:`)
          expect(all().has(`proofs/${entry}.tlog-proof`) || at.includes('state/opening.json')).toBe(true)
        }
      }
    }
  })

  test('can be read by all: one heading above the others, none skipped, tables with scope, scrolling by keyboard, no id twice', () => {
    for (const [path, page] of pagesOf(all())) {
      const levels = [...page.matchAll(/<h([1-6])/g)].map(([, level]) => Number(level))
      expect(
        levels.filter(level => level === 1),
        path,
      ).toHaveLength(1)
      for (const [i, level] of levels.entries()) expect(level, path).toBeLessThanOrEqual((levels[i - 1] ?? 0) + 1)
      for (const [cell] of page.matchAll(/<th[^e>]*>/g)) expect(cell, path).toMatch(/scope="(col|row)"/)
      for (const [region] of page.matchAll(/<div class="scroll"[^>]*>/g))
        expect(region).toMatch(/role="region" tabindex="0" aria-label="[^"]+"/)
      const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
      expect(new Set(ids).size, path).toBe(ids.length)
      expect(page).toMatch(/<html lang="en">/)
    }
  })

  test('has no script, nothing from outside, and concludes nothing', () => {
    for (const [path, page] of pagesOf(all())) {
      expect(page, path).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
      expect(page, path).not.toMatch(/<script|<img|<iframe|<link|src=|@import|javascript:|\son\w+=/i)
      expect(page.replaceAll(/<(pre|code)>[\s\S]*?<\/\1>/g, ''), path).not.toMatch(/https?:/)
      expect(page, path).not.toMatch(/compliant|certified|\baudit|opinion|tamper-proof/i)
    }
  })
})

describe('the report', () => {
  test('shows what attackers wrote as text, control characters and those that reorder it made visible', () => {
    const written = pagesOf(crowded.files).filter(([, page]) => page.includes('alert(1)'))
    expect(written.length).toBeGreaterThan(50)
    for (const [path, page] of written) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      expect(page, path).not.toMatch(/<script|[\u0000-\u0009\u000b-\u001f\u202e\u061c\u00ad]|\udb40/)
      expect(page, path).toMatch(/&lt;script&gt;/)
    }
  })

  test('leaves a population that is too large to its file, and exceptions beyond a bound too', () => {
    const page = crowded.files.get('report/report.html')!
    expect(page).toContain('<a class="count" href="../populations/AC-03.grant-window.csv">120</a>')
    expect(page).toContain('href="rows/AC-07.approval-by-another.html#of-exceptions">510</a>')
    expect(page).toContain('25 of ')
    const entries = [...crowded.files.keys()].filter(path => path.startsWith('report/entries/'))
    expect(entries.length).toBeLessThan(620)
  })

  test('draws the period: what the figure says is what its table adds up to, with gaps in it', () => {
    const table = crowded.files.get('report/timeline.html')!
    const cells = [...table.matchAll(/<tr><th scope="row">[^<]*<\/th>(.*?)<\/tr>/g)].map(([, row]) =>
      [...row!.matchAll(/<td class="n">(\d+)<\/td>/g)].map(([, n]) => Number(n)),
    )
    const sum = (i: number) => cells.reduce((total, row) => total + row[i]!, 0)
    expect([sum(0), sum(1)]).toEqual([630, 0])
    expect(cells.some(row => row[3]! > 0)).toBe(true)
    const page = crowded.files.get('report/report.html')!
    expect(page).toContain('630 operations, 0 of them refused.')
    expect(page).toMatch(/<svg [^>]*role="img" aria-labelledby="timeline-title timeline-words">/)
    expect(page).toMatch(/<rect class="gap"/)
    expect(page).not.toMatch(/NaN|Infinity|undefined/)
  })

  test('puts each thing into its interval, from the shortest period to the longest', async () => {
    const story = (await Story.begin({ keys: fixture.keys })).inOrder()
    const entries = disclosed(story.builder)
    const spans = [
      ['2026-07-01T00:00:00.000Z', '2026-07-01T01:00:00.000Z', 'minute'],
      ['2026-07-01T00:00:00.000Z', '2026-07-02T00:00:00.000Z', '15 minutes'],
      ['2026-07-01T00:00:00.000Z', '2026-10-01T00:00:00.000Z', 'day'],
      ['2020-01-01T00:00:00.000Z', '2099-01-01T00:00:00.000Z', '52 weeks'],
    ] as const
    for (const [from, to, unit] of spans) {
      const views = deriveViews({ before: [], entries, period: { from, to }, checkpoints: [], requirements: [] })
      const first = '2026-07-01T00:00:00.000Z'
      const timeline = timelineOf(views, { from, to }, { first, last: '2026-07-01T00:00:30.000Z' })
      const sum = (name: 'permitted' | 'refused' | 'policies') =>
        timeline.intervals.reduce((total, one) => total + one[name], 0)
      expect([timeline.unit, sum('permitted'), sum('refused'), sum('policies')]).toEqual([unit, 3, 1, 1])
      expect(timeline.intervals.length).toBeLessThanOrEqual(100)
    }
  })

  test('has the contrast that WCAG asks of text, light and dark', () => {
    const schemes = [...style.html.matchAll(/:root \{([^}]*--ink[^}]*)\}/g)].map(([, body]) =>
      Object.fromEntries([...body!.matchAll(/--(\w+): (#\w+)/g)].map(([, name, colour]) => [name, colour!])),
    )
    expect(schemes).toHaveLength(3)
    for (const scheme of schemes) {
      for (const ink of ['ink', 'soft', 'link', 'bad', 'warn', 'good', 'none'])
        for (const paper of ['paper', 'faint'])
          expect(contrast(scheme[ink]!, scheme[paper]!), `${ink} on ${paper}`).toBeGreaterThanOrEqual(4.5)
      for (const bar of ['bar', 'band', 'bad'])
        expect(contrast(scheme[bar]!, scheme.paper!), bar).toBeGreaterThanOrEqual(3)
    }
  })
})

/** WCAG 2.2, relative luminance and contrast ratio. */
function contrast(one: string, other: string): number {
  const luminance = (colour: string) => {
    const hex = colour.length === 4 ? colour.replaceAll(/[^#]/g, c => c + c) : colour
    const [r, g, b] = [1, 3, 5].map(at => {
      const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    }) as [number, number, number]
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number]
  return (high + 0.05) / (low + 0.05)
}
