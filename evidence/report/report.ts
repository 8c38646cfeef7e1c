/**
 * The report: one page that states facts and concludes nothing. No script, no network; what is written in it by others is text.
 */
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import type { Material } from '../bundle/material.ts'
import { limitations } from '../bundle/texts.ts'
import type { TestRun } from '../control-test.ts'
import { criteria } from '../criteria.ts'
import { currentControls } from '../mapping.ts'
import type { Reconciliation } from '../reconcile.ts'
import type { Views } from '../views.ts'
import { type Html, html, sentence } from './html.ts'
import { style } from './style.ts'

export interface Shown {
  readonly material: Material
  readonly runs: readonly TestRun[]
  readonly reconciliations: readonly Reconciliation[]
  readonly views: Views
  readonly origin: string
  /** Of the OpenPGP key that entry 0 names. To be compared with the one from outside. */
  readonly fingerprint: string
  readonly stamps: readonly ('DEMO' | 'PROVISIONAL')[]
  readonly coverage: Coverage
}

export interface Coverage {
  /** Times of the first and the last entry; a dash where there is none. */
  readonly first: string
  readonly last: string
  readonly provisional: boolean
  /** That the ledger is younger than the period, in words; undefined where it is not. */
  readonly begins: string | undefined
}

const mostShown = 25

export function renderReport(shown: Shown): string {
  const { scope } = shown.material
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${scope.organisation}: control tests ${day(scope.period.from)} to ${day(scope.period.to)}</title>
<style>${style}</style>
</head>
<body>
<main>
${shown.stamps.map(stamp => html`<p class="stamp">${stamp}</p>\n`)}<h1>${scope.organisation}</h1>
<p class="lead">Tests of controls over the period ${scope.period.from} to ${scope.period.to}, as of ${scope.asOf}. This page states what was
tested and what came out. It draws no conclusion.</p>
${shown.coverage.begins === undefined ? '' : html`<p class="plain">${sentence(shown.coverage.begins)}</p>\n`}${summary(shown)}
${results(shown)}
${exceptions(shown)}
${secondSources(shown)}
${integrity(shown)}
${limits(shown)}
${criteriaTable(shown)}
${verification()}
</main>
</body>
</html>
`.html
}

const day = (time: string) => time.slice(0, 10)
const link = (path: string, text: string | number): Html => html`<a href="../${path}">${text}</a>`

function summary({ runs, reconciliations, views, coverage }: Shown): Html {
  const of = (word: string) =>
    runs.filter(run => run.result.word === word).length + reconciliations.filter(one => one.word === word).length
  const operations = views.operations.filter(row => row.in_period)
  const denied = operations.filter(row => row.verdict === 'deny').length
  // biome-ignore format: a table
  const rows: [string, string | number][] = [
    ['Operations recorded in the period', operations.length],
    ['of which refused', denied],
    ['Entries lie between', `${coverage.first} and ${coverage.last}`],
    ['Tests: exceptions noted', of('exceptions-noted')],
    ['Tests: no exceptions noted', of('no-exceptions-noted')],
    ['Tests: not occurring', of('not-occurring')],
    ['Tests: unable to test', of('unable-to-test')],
  ]
  return html`<section aria-labelledby="summary"><h2 id="summary">Summary</h2>
<table class="facts">${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>\n`)}</table>
</section>`
}

function results({ runs, material }: Shown): Html {
  const controls = new Map(currentControls(material.mapping).map(control => [control.id, control]))
  const rows = runs.map(({ result, sql }) => {
    const control = controls.get(result.control)
    const name = `${result.control}.${result.test}`
    const why = [
      result.why,
      ...result.unable.map(({ from, to, why: because }) => `${from} to ${to}: ${because}`),
    ].filter(w => w !== undefined)
    return html`<tr>
<td><strong>${result.control}</strong> ${control?.title}<br><small>${control?.criteria.join(', ')}${control?.owner === undefined ? '' : `; owner ${control.owner}`}</small></td>
<td>${result.title}</td>
<td class="n">${sql === undefined ? result.population : link(`populations/${name}.csv`, result.population)}</td>
<td class="n">${link('results/exceptions.csv', result.exceptions)}</td>
<td class="word ${result.word}">${link(`results/${result.control}.json`, result.word)}${why.map(w => html`<br><small>${w}</small>`)}</td>
</tr>
`
  })
  return html`<section aria-labelledby="results"><h2 id="results">Results</h2>
<table><thead><tr><th scope="col">Control</th><th scope="col">Attribute</th><th scope="col">Population</th><th scope="col">Exceptions</th><th scope="col">Result</th></tr></thead>
<tbody>${rows}</tbody></table>
<p><small>Each population is a census, with its query beside it. An empty one is “not-occurring”: shown by a query that gave nothing, and no pass.</small></p>
</section>`
}

function exceptions({ runs, material }: Shown): Html {
  const { openingSize, envelopes } = material
  const all = runs.flatMap(({ result, exceptions: found }) => found.rows.map(row => ({ row, result })))
  if (all.length === 0) return html``
  const rows = all.slice(0, mostShown).map(({ row, result }) => {
    const index = Number(row.index)
    const proved = index >= openingSize && index < openingSize + envelopes.length
    const entry = proved ? link(`proofs/${index}.tlog-proof`, index) : html`${String(row.index ?? '')}`
    const reasons = Array.isArray(row.reasons) ? row.reasons.join(', ') : String(row.reasons ?? '')
    return html`<tr><td>${result.control}</td><td class="n">${entry}</td><td>${String(row.time ?? '')}</td><td><code>${String(row.exchange ?? '')}</code></td><td>${reasons}</td></tr>
`
  })
  const more =
    all.length > mostShown
      ? html`<p>${mostShown} of ${all.length} are shown; all are in ${link('results/exceptions.csv', 'results/exceptions.csv')}.</p>`
      : html``
  return html`<section aria-labelledby="exceptions"><h2 id="exceptions">Exceptions</h2>
<table><thead><tr><th scope="col">Control</th><th scope="col">Entry</th><th scope="col">Time</th><th scope="col">Operation</th><th scope="col">Attributes that failed</th></tr></thead>
<tbody>${rows}</tbody></table>${more}
</section>`
}

function secondSources({ reconciliations }: Shown): Html {
  if (reconciliations.length === 0) {
    return html`<section aria-labelledby="second"><h2 id="second">Second sources</h2><p>No log of an upstream server was compared.</p></section>`
  }
  const rows = reconciliations.map(
    one => html`<tr><td>${one.name} (${one.target})</td><td class="n">${one.statements}</td><td class="n">${one.throughGateway}</td><td class="n">${one.operations}</td>
<td class="n">${one.explained}</td><td class="n">${link('results/bypasses.csv', one.bypasses.length)}</td><td class="word ${one.word}">${one.word}<br><small>${one.why}</small></td></tr>
`,
  )
  return html`<section aria-labelledby="second"><h2 id="second">Second sources</h2>
<table><thead><tr><th scope="col">Source</th><th scope="col">Statements</th><th scope="col">Through the gateway</th><th scope="col">Operations in the ledger</th><th scope="col">Explained</th><th scope="col">By another way</th><th scope="col">Result</th></tr></thead>
<tbody>${rows}</tbody></table>
<p><small>Statements are those of the server's own log, within the period: what came through the gateway, what came by ways that were explained, and what
came by another way. More of them come through the gateway than there are operations, for it sends statements of its own: it sets up sessions, and reads
the catalog to learn what a statement touches. The operations are those that were permitted on this target; one that was refused never reached the server.</small></p></section>`
}

function integrity({ material, origin, fingerprint, views }: Shown): Html {
  const { ledger, openingSize, envelopes, closing } = material
  const { root } = parseCheckpoint(Buffer.from(closing))
  const gaps = views.gaps.filter(gap => gap.kind !== 'stopped').length
  // biome-ignore format: a table
  const rows: [string, string | number | Html][] = [
    ['Ledger', origin],
    ['Signing key', html`<code>${fingerprint}</code> (compare with the one from its owner)`],
    ['Verification when this was made', `${ledger.verdict}; integrity ${ledger.integrity}; completeness ${ledger.completeness}`],
    ['Checkpoint held elsewhere', ledger.pinned ? 'given, and the ledger agreed with it' : 'none was given'],
    ['Envelopes of the period', html`${link('log/entries.jsonl', envelopes.length)}, from entry ${openingSize}`],
    ['Closing root', html`<code>${Buffer.from(root).toString('base64')}</code>`],
    ['Gaps in the recording', link('log/gaps.csv', gaps)],
  ]
  return html`<section aria-labelledby="integrity"><h2 id="integrity">Integrity and completeness</h2>
<table class="facts">${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>\n`)}</table>
<p class="plain">${ledger.undetectable}</p>
<p>${link('statements/completeness.txt', 'How complete this is')}.</p></section>`
}

function limits(shown: Shown): Html {
  return html`<section aria-labelledby="limits"><h2 id="limits">Limitations</h2>
<ul>${limitations(shown).map(line => html`<li>${line}</li>\n`)}</ul></section>`
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
    }) => html`<tr class="${strength}"><td>${id}</td><td>${paraphrase}</td><td>${strength}</td><td>${evidence}</td><td>${cited.get(id)?.join(', ')}</td></tr>
`,
  )
  const count = (strength: string) => criteria.filter(criterion => criterion.strength === strength).length
  return html`<section aria-labelledby="criteria"><h2 id="criteria">The 61 criteria, and what this product can show for each</h2>
<p>${count('direct')} direct, ${count('partial')} partial, ${count('none')} none. Paraphrases are ours. L population, S sample, C configuration, T test, X exceptions.</p>
<table><thead><tr><th scope="col">Id</th><th scope="col">Subject</th><th scope="col">Strength</th><th scope="col">Evidence</th><th scope="col">Controls here</th></tr></thead>
<tbody>${rows}</tbody></table></section>`
}

function verification(): Html {
  return html`<section aria-labelledby="verify"><h2 id="verify">To check this</h2>
<ol><li>Get the fingerprint of the signing key from its owner, not from here.</li>
<li>Follow ${link('VERIFY.txt', 'VERIFY.txt')}: signature with gpg or sqv, files with sha256sum, single entries with sh.</li>
<li>Run a test again: ${link('views/open.sql', 'views/open.sql')} in stock DuckDB, then the query beside its population.</li></ol></section>`
}
