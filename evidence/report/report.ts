/**
 * The report: what was tested and what came out, on one page, with every number linked to its rows and every row to its entry. It states
 * facts and concludes nothing. No script, no network; what is written in it by others is text.
 */
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import type { Material } from '../bundle/material.ts'
import { limitations } from '../bundle/texts.ts'
import type { ResultWord, TestRun } from '../control-test.ts'
import { criteria } from '../criteria.ts'
import { currentControls } from '../mapping.ts'
import type { Reconciliation } from '../reconcile.ts'
import { type RecordingSummary, summaryOf } from '../recorded.ts'
import type { Row } from '../view-columns.ts'
import type { Views } from '../views.ts'
import { controlSection, numbers } from './controls.ts'
import { custody } from './custody.ts'
import { type Html, html, sentence } from './html.ts'
import { type Listing, operationsOf, refusedOf } from './listing.ts'
import { count, day, facts, folded, link, moment, page, table, textOf, who } from './page.ts'
import { bypassCount, bypassesFile, entryLink } from './rows.ts'
import type { Timeline } from './timeline.ts'
import { timelineFigure } from './timeline-figure.ts'

export interface Shown {
  readonly material: Material
  readonly runs: readonly TestRun[]
  readonly listings: readonly Listing[]
  readonly reconciliations: readonly Reconciliation[]
  readonly views: Views
  readonly origin: string
  /** Of the OpenPGP key that entry 0 names. To be compared with the one from outside. */
  readonly fingerprint: string
  readonly stamps: readonly ('DEMO' | 'PROVISIONAL')[]
  /** The rows of anchors/index.csv. */
  readonly anchors: readonly Row[]
  readonly coverage: Coverage
}

export interface Coverage {
  /** Times of the first and the last entry; a dash where there is none. */
  readonly first: string
  readonly last: string
  readonly provisional: boolean
  /** That the ledger is younger than the period, in words; undefined where it is not. */
  readonly begins: string | undefined
  /** Which ledger of the series it follows, and that this one is gone, in words; undefined where it follows none. */
  readonly follows: string | undefined
}

const mostShown = 25
/** What is most urgent comes first. */
const words: readonly ResultWord[] = ['exceptions-noted', 'unable-to-test', 'not-occurring', 'no-exceptions-noted']

// biome-ignore format: a table
const contents: readonly [id: string, name: string][] = [
  ['summary',    'Summary'],
  ['timeline',   'Timeline'],
  ['results',    'Results'],
  ['exceptions', 'Exceptions'],
  ['controls',   'Controls'],
  ['second',     'Second sources'],
  ['custody',    'Erasures, disposals, holds and refused attempts'],
  ['integrity',  'Integrity and completeness'],
  ['limits',     'Limitations'],
  ['criteria',   'Criteria'],
  ['verify',     'To check this'],
]

/** @param has whether an entry has a page of its own */
export function renderReport(shown: Shown, timeline: Timeline, has: (index: number) => boolean): string {
  const { scope } = shown.material
  return page(
    `${scope.organisation}: control tests ${day(scope.period.from)} to ${day(scope.period.to)}`,
    html`<header>${shown.stamps.map(stamp => html`<p class="stamp">${stamp}</p>\n`)}<h1>${scope.organisation}</h1>
<p class="lead">Tests of controls over the period ${moment(scope.period.from)} to ${moment(scope.period.to)}, as of ${moment(scope.asOf)}. This page states what was
tested and what came out. It draws no conclusion.</p>
${[shown.coverage.begins, shown.coverage.follows].flatMap(text => (text === undefined ? [] : [html`<p class="plain">${sentence(text)}</p>\n`]))}</header>
<nav aria-label="Contents"><ul>${contents.map(([id, name]) => html`<li>${link(`#${id}`, name)}</li>\n`)}</ul></nav>
${summary(shown)}
${section('timeline', timelineFigure(timeline))}
${results(shown)}
${exceptions(shown, has)}
${controls(shown)}
${secondSources(shown)}
${section('custody', custody(shown.views, has))}
${integrity(shown)}
${section('limits', html`<ul>${limitations(shown).map(line => html`<li>${line}</li>\n`)}</ul>`)}
${criteriaTable(shown)}
${verification()}`,
  )
}

const section = (id: string, body: Html): Html =>
  html`<section aria-labelledby="${id}"><h2 id="${id}">${contents.find(([one]) => one === id)![1]}</h2>
${body}</section>`

const file = (path: string, text: string | number): Html => link(`../${path}`, text)

const withWord = ({ runs, reconciliations }: Shown, word: ResultWord) => ({
  runs: runs.filter(run => run.result.word === word),
  sources: reconciliations.filter(one => one.word === word),
})

function summary(shown: Shown): Html {
  const { views, coverage, material } = shown
  const verdicts = words.map(word => {
    const { runs, sources } = withWord(shown, word)
    const found = runs.length + sources.length
    return html`<li class="word ${word}"><span class="big">${found === 0 ? html`0` : count(`#tests-${word}`, found)}</span> ${word}</li>\n`
  })
  return section(
    'summary',
    html`<ul class="verdicts" aria-label="How often each result came out">${verdicts}</ul>
${facts([
  ['Operations recorded in the period', count('../log/operations.csv', operationsOf(views).length)],
  ['of which refused', count('../log/refused.csv', refusedOf(views).length)],
  ['Recordings kept', recordingsKept(summaryOf(views, material.openingSize))],
  ['Entries lie between', `${moment(coverage.first)} and ${moment(coverage.last)}`],
  ['Controls declared', link('#controls', currentControls(material.mapping).length)],
])}
<p class="plain">${material.ledger.undetectable}</p>`,
  )
}

function recordingsKept({ listed, here, cut, sealed, readers }: RecordingSummary): Html {
  if (listed === 0) return html`0`
  const keys = readers.map((one, i) => html`${i === 0 ? '' : ' or '}<code>${one}</code>`)
  const parts = [
    html`${count('../recordings/index.csv', listed)}, ${here} of them in this bundle`,
    ...(cut === 0 ? [] : [html`; a crash cut ${cut} of them`]),
    ...(sealed === 0 ? [] : [html`; ${sealed} can be opened with the key ${keys} alone`]),
  ]
  return html`${parts}`
}

/** All results, the most urgent first. */
function results(shown: Shown): Html {
  const columns = ['Control', 'Test', 'Population', 'Exceptions', 'Sample'].map((name, i) => ({ name, numeric: i > 1 }))
  const parts = words.flatMap(word => {
    const { runs, sources } = withWord(shown, word)
    if (runs.length + sources.length === 0) return []
    const rows = [
      ...runs.map(run => [
        link(`#control-${run.result.control}`, run.result.control),
        html`${run.result.test}<br><small>${run.result.title}</small>`,
        ...numbers(
          run,
          shown.listings.find(one => one.run === run),
        ),
      ]),
      ...sources.map(one => [
        link('#second', one.name),
        'Reconciled with a second source',
        // Rows of the server's own log, which is not in the bundle.
        link('#second', one.statements),
        bypasses(shown, one),
        html`–`,
      ]),
    ]
    return [
      html`<h3 class="word ${word}">${word}</h3>\n${table({ id: `tests-${word}`, label: word, columns }, rows)}\n`,
    ]
  })
  return section(
    'results',
    html`${parts.length === 0 ? html`<p>No control is declared: nothing was tested.</p>` : parts}
<p><small>Each population is a census, with its query beside it. An empty one is “not-occurring”: shown by a query that gave nothing, and no pass.</small></p>`,
  )
}

function bypasses({ reconciliations }: Shown, one: Reconciliation): Html {
  const found = one.bypasses.length
  const place = `${bypassesFile}#source-${reconciliations.indexOf(one) + 1}`
  return found > 0 && bypassCount(one) ? count(place, found) : link(bypassesFile, found)
}

function exceptions({ runs }: Shown, has: (index: number) => boolean): Html {
  const all = runs.flatMap(run => run.exceptions.rows.map(row => ({ row, run })))
  if (all.length === 0)
    return section('exceptions', html`<p>No query for exceptions gave a row. What second sources named is below.</p>`)
  const rows = all.slice(0, mostShown).map(({ row, run }) => {
    const { control, test } = run.result
    const whole = { ...run.population.rows.find(one => one.index === row.index), ...row }
    return [
      entryLink(row, has),
      link(`rows/${control}.${test}.html#exceptions`, `${control}.${test}`),
      moment(textOf(row.time)),
      folded(who(whole)),
      html`<strong>${textOf(row.reasons)}</strong>`,
    ]
  })
  const columns = ['Entry', 'Test', 'Time', 'Who', 'Attributes that failed'].map((name, i) => ({
    name,
    numeric: i === 0,
  }))
  const more = `${mostShown} of ${all.length} are shown`
  return section(
    'exceptions',
    html`${table({ label: 'Exceptions', columns }, rows)}
<p>${all.length > mostShown ? html`${more}; all are in ` : html`Also in `}${file('results/exceptions.csv', 'results/exceptions.csv')}.</p>`,
  )
}

function controls({ runs, listings, material }: Shown): Html {
  const { mapping } = material
  const versions = (id: string) =>
    new Set(
      mapping.versions.flatMap(version =>
        version.controls.filter(one => one.id === id).map(one => JSON.stringify(one)),
      ),
    ).size
  const parts = currentControls(mapping).map(control => {
    const own = runs.filter(run => run.result.control === control.id)
    return controlSection(control, versions(control.id), own, listings)
  })
  return section('controls', parts.length === 0 ? html`<p>None is declared.</p>` : html`${parts}`)
}

function secondSources(shown: Shown): Html {
  const { reconciliations } = shown
  if (reconciliations.length === 0) return section('second', html`<p>No log of an upstream server was compared.</p>`)
  const columns = [
    'Source',
    'Statements',
    'Through the gateway',
    'Operations in the ledger',
    'Explained',
    'By another way',
    'Result',
  ]
  const rows = reconciliations.map(one => [
    `${one.name} (${one.target})`,
    one.statements,
    one.throughGateway,
    one.operations,
    one.explained,
    bypasses(shown, one),
    html`<span class="word ${one.word}">${one.word}</span>${one.why === undefined ? '' : html`<br><small>${one.why}</small>`}`,
  ])
  return section(
    'second',
    html`${table({ label: 'Second sources', columns: columns.map((name, i) => ({ name, numeric: i > 0 && i < 6 })) }, rows)}
<p><small>Statements are those of the server's own log, within the period: what came through the gateway, what came by ways that were explained, and what
came by another way. More of them come through the gateway than there are operations, for it sends statements of its own: it sets up sessions, and reads
the catalog to learn what a statement touches. The operations are those that were permitted on this target; one that was refused never reached the server.</small></p>`,
  )
}

function integrity({ material, origin, fingerprint, views, anchors }: Shown): Html {
  const { ledger, openingSize, envelopes, closing, scope } = material
  const { withheld } = scope
  const { root } = parseCheckpoint(Buffer.from(closing))
  const gaps = views.gaps.filter(gap => gap.kind !== 'stopped').length
  const all = views.gaps.length
  return section(
    'integrity',
    html`${facts([
      ['Ledger', origin],
      ['Signing key', html`<code>${fingerprint}</code> (compare with the one from its owner)`],
      [
        'Verification when this was made',
        `${ledger.verdict}; integrity ${ledger.integrity}; completeness ${ledger.completeness}`,
      ],
      ['Checkpoint held elsewhere', ledger.pinned ? 'given, and the ledger agreed with it' : 'none was given'],
      [
        'Cosignatures, time stamps and tags',
        anchors.length === 0
          ? file('anchors/index.csv', 0)
          : html`${count('../anchors/index.csv', anchors.length)}; whose they are, their own keys tell: ${file('VERIFY.txt', 'VERIFY.txt')}`,
      ],
      ['Envelopes of the period', html`${count('../log/entries.jsonl', envelopes.length)}, from entry ${openingSize}`],
      ...(withheld.principals.length === 0
        ? []
        : [
            [
              'Withheld from this copy',
              html`what is disclosed of ${withheld.principals.map((one, i) => html`${i === 0 ? '' : ', '}<code>${one}</code>`)}`,
            ] as const,
          ]),
      ['Closing root', html`<code>${Buffer.from(root).toString('base64')}</code>`],
      ['Gaps in the recording', gaps],
      ['Gaps, and stops in order', all === 0 ? file('log/gaps.csv', 0) : count('../log/gaps.csv', all)],
      [
        'Versions of the policy',
        html`${count('../config/changes.csv', views.policies.length)}, ${views.policies.filter(row => row.in_period).length} of which came into force in the period`,
      ],
    ])}
<p class="plain">${ledger.undetectable}</p>
<p>${file('statements/completeness.txt', 'How complete this is')}.</p>`,
  )
}

function criteriaTable({ material, runs }: Shown): Html {
  const cited = new Map<string, string[]>()
  const tested = new Set(runs.map(run => run.result.control))
  for (const control of currentControls(material.mapping)) {
    if (tested.has(control.id)) for (const id of control.criteria) cited.set(id, [...(cited.get(id) ?? []), control.id])
  }
  const rows = criteria.map(
    ({
      id,
      paraphrase,
      strength,
      evidence,
    }) => html`<tr class="${strength}"><th scope="row">${id}</th><td>${paraphrase}</td><td>${strength}</td><td>${evidence}</td><td>${(cited.get(id) ?? []).map((one, i) => html`${i === 0 ? '' : ', '}${link(`#control-${one}`, one)}`)}</td></tr>
`,
  )
  const counted = (strength: string) => criteria.filter(criterion => criterion.strength === strength).length
  return section(
    'criteria',
    html`<p>The 61 criteria, and what this product can show for each: ${counted('direct')} direct, ${counted('partial')} partial, ${counted('none')} none. Paraphrases
are ours. L population, S sample, C configuration, T test, X exceptions, R recordings.</p>
<div class="scroll" role="region" tabindex="0" aria-label="Criteria"><table><thead><tr><th scope="col">Id</th><th scope="col">Subject</th><th scope="col">Strength</th><th scope="col">Evidence</th><th scope="col">Controls here</th></tr></thead>
<tbody>
${rows}</tbody></table></div>`,
  )
}

function verification(): Html {
  return section(
    'verify',
    html`<ol><li>Get the fingerprint of the signing key from its owner, not from here.</li>
<li>Follow ${file('VERIFY.txt', 'VERIFY.txt')}: signature with gpg or sqv, files with sha256sum, single entries with sh.</li>
<li>Run a test again: ${file('views/open.sql', 'views/open.sql')} in stock DuckDB, then the query beside its population.</li>
<li>Follow a number: it leads to its rows, a row to its entry, an entry to its proof.</li></ol>`,
  )
}
