/** README.html, the first page of a bundle: what it is, what came out, how it is checked, and every file that is in it. */
import { type Html, html, sentence } from '../report/html.ts'
import type { Shown } from '../report/report.ts'
import { sumsFile } from './manifest.ts'

// Table: what stands in a bundle. One that ends in a slash is a folder; the first that fits names a file.
// biome-ignore format: a table
const contents: readonly [path: string, what: string][] = [
  ['report/report.html',             'what was tested, and what came out: begin here'],
  ['report/rows/',                   'the rows behind its numbers, a page for each test'],
  ['report/entries/',                'the entries behind these rows, each with its proof'],
  ['report/',                        'the period as a table'],
  ['VERIFY.txt',                     'how to check all of this with stock tools'],
  ['verify-inclusion.sh',            'one entry, with sh and coreutils'],
  ['verify-cosignature.sh',          'one cosignature of a witness, with sh and openssl'],
  ['MANIFEST.json',                  'scope, and every file but itself, SHA256SUMS and SHA256SUMS.asc, with its digest'],
  ['SHA256SUMS',                     'the same for sha256sum, MANIFEST.json too'],
  ['SHA256SUMS.asc',                 'the signature over SHA256SUMS'],
  ['statements/completeness.txt',    'how complete this is'],
  ['statements/limitations.txt',     'what this does not show'],
  ['statements/representation.txt',  'for management to complete'],
  ['results/results.csv',            'a line for each test'],
  ['results/exceptions.csv',         'every exception that a test noted'],
  ['results/bypasses.csv',           "every statement in a server's own log that came by another way than the gateway"],
  ['results/reconciliation.json',    "the ledger compared with the servers' own logs, in numbers"],
  ['results/',                       'each result, and the query of its exceptions'],
  ['populations/',                   'every item that was tested, with the query that found it'],
  ['samples/selection.json',         'how the samples were chosen'],
  ['samples/',                       'a sample of each population'],
  ['mapping/controls.json',          'the controls, for each version of the policy'],
  ['mapping/criteria.csv',           'all 61 criteria, those without evidence too'],
  ['config/changes.csv',             'the policy, and every change of it'],
  ['config/',                        'the texts of the policy, as far as they are disclosed'],
  ['log/entries.jsonl',              'every envelope of the period'],
  ['log/checkpoint.opening',         'the signed checkpoint before the first of them'],
  ['log/checkpoint.closing',         'the signed checkpoint after the last of them'],
  ['log/verification.json',          "how the whole ledger was verified when this was made: its producer's word"],
  ['log/operations.csv',             'what was decided in the period; log/refused.csv: what of it was denied'],
  ['log/erasures.csv',               'what was erased in the period, why, and on whose word'],
  ['log/disposals.csv',              'which earlier ledgers were disposed of in the period, why, and on whose word'],
  ['log/holds.csv',                  'what was held back from erasure in the period'],
  ['log/attempts.csv',               'what was tried in the period, of approvals, grants and the vault, and refused'],
  ['log/heartbeats.csv',             "the writers' signs of life"],
  ['log/gaps.csv',                   'gaps in the recording'],
  ['log/keys.json',                  'where keys were rotated: the certificates of all, and the entries about keys from after the period'],
  ['log/later.json',                 'proofs that trees which others vouched for later begin with all that is here'],
  ['log/ledger.pub.asc',             'a copy of the certificate; a key that is found only here proves nothing'],
  ['log/',                           'proofs that the two checkpoints belong together, and the key of the day-to-day signatures'],
  ['proofs/',                        'proofs of single entries: those in samples and exceptions'],
  ['views/open.sql',                 'makes the views tables in DuckDB'],
  ['views/',                         'the entries as tables'],
  ['recordings/index.csv',           'what was recorded of what was shown: digest, length, span, and where it lies'],
  ['recordings/',                    'the recordings themselves, as they were shown'],
  ['disclosures/disclosures.jsonl',  'what is opened of the envelopes'],
  ['anchors/index.csv',              'what others vouch for: cosignatures, time stamps, tags'],
  ['anchors/',                       'their words, under the size of the tree that each is for'],
  ['state/opening.json',             'entries from before the period that still matter'],
  ['imports/',                       "what was kept of the servers' own logs, without the texts of statements"],
]

/** Written last, and about itself; listed after it are only these. */
const writtenLater = ['MANIFEST.json', sumsFile, 'SHA256SUMS.asc', 'log/ledger.pub.asc']

/** @param paths of all files but this one and those that are written later */
export function readme(shown: Shown, paths: Iterable<string>): string {
  const { material, stamps, origin, fingerprint, coverage } = shown
  const { organisation, period } = material.scope
  const [from, to] = [day(period.from), day(period.to)]
  const files = [...paths, ...writtenLater]
  const rows = contents.flatMap(([path, what]) => {
    const found = files.filter(file => row(file) === path)
    if (found.length === 0) return []
    const count = path.endsWith('/') ? ` (${found.length} file${found.length === 1 ? '' : 's'})` : ''
    return [html`<tr><td><a href="${path}">${path}</a></td><td>${what}${count}</td></tr>\n`]
  })
  const said = [coverage.begins, coverage.follows].filter(text => text !== undefined)
  const remarks: Html[] = said.map(text => html`<p>${sentence(text)}</p>\n`)
  return html`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${organisation}: evidence of controls, ${from} to ${to}</title>
<style>${style}</style>
<h1>${stamps.map(stamp => html`<small>${stamp}</small> `)}${organisation}: evidence of controls</h1>
<p>From the ledger <strong>${origin}</strong>, for the period from ${period.from} until before ${period.to}, as of ${material.scope.asOf}.</p>
<p>Tests: ${outcome(shown)}. <a href="report/report.html">The report</a> says what was tested, and what came out.</p>
${remarks}<p>Signed with the OpenPGP key <code>${fingerprint}</code>. Compare that with the fingerprint that you have from its owner, by another way than
this bundle, and check everything as <a href="VERIFY.txt">VERIFY.txt</a> says.</p>
<h2>What is in it</h2>
<table>
${rows}</table>
</html>
`.html
}

const day = (time: string) => time.slice(0, 10)

/** The row that names a file: its own, else its folder's. */
const row = (file: string): string | undefined =>
  contents.find(([path]) => path === file)?.[0] ??
  contents.find(([path]) => path.endsWith('/') && file.startsWith(path))?.[0]

/** The result in a line: how often each word came out. */
function outcome({ runs, reconciliations }: Shown): string {
  const words = [...runs.map(({ result }) => result.word), ...reconciliations.map(({ word }) => word)]
  const counts = (['exceptions-noted', 'no-exceptions-noted', 'not-occurring', 'unable-to-test'] as const)
    .map(word => [words.filter(one => one === word).length, word] as const)
    .filter(([count]) => count > 0)
  return counts.length === 0 ? 'none, for no control is declared' : counts.map(([n, word]) => `${n} ${word}`).join(', ')
}

const style: Html = {
  html:
    'body{font:16px/1.5 Georgia,serif;color:#1a1a1a;max-width:56rem;margin:2rem auto;padding:0 1rem}h1{line-height:1.2;font-size:1.7rem}h2{font-size:1.2rem}' +
    'h1 small{display:inline-block;font-size:1rem;border:2px solid #8a1c1c;color:#8a1c1c;padding:0 .5rem;letter-spacing:.08em;vertical-align:middle}' +
    'td{padding:.2rem .8rem .2rem 0;vertical-align:top}code{overflow-wrap:anywhere}a{color:#1f3d7a}',
}
