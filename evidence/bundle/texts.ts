/** The plain texts of a bundle: how to check it with stock tools, what it covers and what it does not. */
import { criteria } from '../criteria.ts'
import { sentence } from '../report/html.ts'
import type { Shown } from '../report/report.ts'
import { anchorText } from './anchor-texts.ts'

/** Recomputes the root from one entry and its proof: RFC 9162, 2.1.3.2, in POSIX sh over coreutils. */
export const verifyInclusion = `#!/bin/sh
# usage: sh verify-inclusion.sh INDEX    exit 0: the entry is in the tree that log/checkpoint.closing signs; 1: it is not; 2: no such proof
set -eu; cd "$(dirname "$0")"; [ $# = 1 ] || set -- ''
case $1 in '' | *[!0-9]*) echo 'usage: sh verify-inclusion.sh INDEX' >&2; exit 2 ;; esac
p=proofs/$1.tlog-proof; [ -f "$p" ] || { echo "no proof for entry $1 in this bundle" >&2; exit 2; }; o=0; [ ! -f log/checkpoint.opening ] || o=$(sed -n 2p log/checkpoint.opening)
hex() { base64 -d | od -An -v -tx1 | tr -d ' \\n' | tr a-f A-F; }; sum() { sha256sum | cut -c1-64 | tr a-f A-F; }
node() { { printf '\\001'; printf %s "$1$2" | basenc --base16 -d; } | sum; }
fn=$1; sn=$(($(sed -n 2p log/checkpoint.closing) - 1)); want=$(sed -n 3p log/checkpoint.closing | hex)
r=$({ printf '\\000'; sed -n "$(($1 - o + 1))p" log/entries.jsonl | tr -d '\\n'; } | sum)
for h in $(sed -n '3,/^$/p' "$p"); do
  if [ $((fn % 2)) = 1 ] || [ "$fn" = "$sn" ]; then r=$(node "$(echo "$h" | hex)" "$r"); while [ $((fn % 2)) = 0 ] && [ "$fn" != 0 ]; do fn=$((fn / 2)); sn=$((sn / 2)); done
  else r=$(node "$r" "$(echo "$h" | hex)"); fi; fn=$((fn / 2)); sn=$((sn / 2)); done
[ "$sn" = 0 ] && [ "$r" = "$want" ] && echo "entry $1: included" || { echo "entry $1: NOT included"; exit 1; }
`

/** @param proved an entry whose proof is in the bundle, if any: the text shows how that one is checked */
export function verifyText({ material, fingerprint, origin }: Shown, proved: number | undefined): string {
  return `HOW TO CHECK THIS BUNDLE

You need the fingerprint of the signing key from its owner, by another way than this bundle. It should be

    ${fingerprint}

A key that you find only here proves nothing.

1. The signature, with GnuPG. Its exit status is no verdict: it is 0 also for keys that were revoked. Look for both of these
   lines, with that fingerprint, and for no line with REVKEYSIG, EXPKEYSIG or BADSIG:

    gpg --import CERTIFICATE-FROM-ITS-OWNER.asc
    gpg --status-fd 1 --verify SHA256SUMS.asc SHA256SUMS | grep -E '^\\[GNUPG:\\] (GOODSIG|VALIDSIG|REVKEYSIG|EXPKEYSIG|BADSIG)'

   Or: sqv --keyring CERTIFICATE-FROM-ITS-OWNER.asc SHA256SUMS.asc SHA256SUMS

2. The files: that each is what was signed, and that there is none more.

    sha256sum --check --strict SHA256SUMS
    { cut -c67- SHA256SUMS; printf 'SHA256SUMS\\nSHA256SUMS.asc\\n'; } | sort > /tmp/listed
    find . -type f | cut -c3- | sort | diff - /tmp/listed

3. One entry: that it is in the tree that log/checkpoint.closing signs. Those with a proof are in proofs/. An entry's own text is
   line INDEX - OPENING + 1 of log/entries.jsonl, where OPENING is line 2 of log/checkpoint.opening, or 0 where there is none.
   verify-inclusion.sh is a few lines of sh over sha256sum, base64, basenc and od: read it first.${proved === undefined ? '' : ` For entry ${proved}:`}

    sh verify-inclusion.sh ${proved ?? 'INDEX'}

4. A test, run again: load the views into stock DuckDB, and paste the population and the query of its exceptions.

    duckdb
    .read views/open.sql
    create table population as (the text of populations/CONTROL.TEST.sql);
    (the text of results/CONTROL.TEST.sql)

${anchorText(material.anchors)}${material.anchors.files.length === 0 ? 5 : 6}. Everything, the completeness of the period included: that all of its envelopes are here, between two signed checkpoints of ${origin},
   and that every view, population and result follows from them:

    counterfoil verify-bundle . --key FINGERPRINT

Entries ${material.openingSize} to ${material.openingSize + material.envelopes.length - 1} of the ledger are in this bundle.
`
}

export function statements(shown: Shown): [path: string, text: string][] {
  return [
    ['statements/completeness.txt', completeness(shown)],
    [
      'statements/limitations.txt',
      `LIMITATIONS\n\n${limitations(shown)
        .map(line => `- ${line}\n`)
        .join('')}`,
    ],
    ['statements/representation.txt', representation(shown)],
  ]
}

function completeness({ material, views, reconciliations, coverage }: Shown): string {
  const { ledger, openingSize, envelopes, scope } = material
  const gaps = views.gaps.filter(gap => gap.kind !== 'stopped')
  const compared = reconciliations.map(
    one =>
      `- ${one.name}: ${one.statements} statements in the server's log of ${one.target}, ${one.throughGateway} through the gateway, ` +
      `${one.explained} by ways that were explained, ${one.bypasses.length} by another way; ${one.operations} operations in the ledger: ${one.word}\n`,
  )
  return `COMPLETENESS

Retrieval: all ${envelopes.length} envelopes from entry ${openingSize} on, up to the closing checkpoint, are in log/entries.jsonl. The opening root, with
these entries appended, gives the closing root: none is left out, none is put in.

Period: ${scope.period.from} to ${scope.period.to}. The entries here lie between ${coverage.first} and ${coverage.last}.
Of the time before the first and after the last of them, this bundle says nothing.${coverage.begins === undefined ? '' : ` ${sentence(coverage.begins)}`}
${coverage.follows === undefined ? '' : `\nSeries: ${coverage.follows}.\n`}
Recording: ${gaps.length === 0 ? "no gap in the writers' counters and heartbeats" : `${gaps.length} gaps: log/gaps.csv`}. What a writer never appended shows only in a second source.

Second sources: ${compared.length === 0 ? 'none was given; the completeness of the recording rests on the representation of management.' : `\n${compared.join('')}`}

The ledger when this was made: ${ledger.verdict}. Integrity: ${ledger.integrity}. Completeness: ${ledger.completeness}.
${ledger.undetectable}
`
}

/** Everything that the reader must know that this bundle does not show. Also in the report. */
export function limitations(shown: Shown): string[] {
  const { material, views, runs, coverage } = shown
  const { scope, imports, mapping } = material
  const placements = new Set(
    views.heartbeats.map(row => row.placement).filter(placement => placement !== undefined && placement !== null),
  )
  const none = criteria.filter(criterion => criterion.strength === 'none').length
  return [
    `${none} of the 61 criteria have no evidence from this product; each is listed in the report and in mapping/criteria.csv.`,
    'All of this holds for traffic that went through the guard, and for no other.',
    imports.length === 0
      ? 'Ways around the guard were not looked for: no log of an upstream server was compared.'
      : `Ways around the guard were looked for in: ${imports.map(one => one.name).join(', ')}; in no other place.`,
    ...(placements.has('embedded')
      ? [
          'A guard embedded in an application shows cooperation, not containment: the application could open its own connection.',
        ]
      : []),
    material.ledger.undetectable,
    `Times are those of the recording machine's clock; ${shown.anchors.length === 0 ? 'nobody else vouches here for when anything was there' : 'what others say of when it was there, by their clocks, is in anchors/, and counts by keys that come from them, not from here'}.`,
    'state/opening.json holds entries from before the opening checkpoint, each proved to be in the ledger. That none which matters is left out there is for the ledger itself to show.',
    views.policies.every(row => row.rules_disclosed === true)
      ? 'That an approver held the required role is told again from the disclosed rules; that these were the right rules, and that the person was who the key says, is for others to show.'
      : 'Whether an approver held the required role was decided by the guard when it happened; where the rules are withheld, it is not tested here again.',
    'That a login is not shared, and that who is accountable for an agent is still employed, no ledger shows.',
    'Who approved a change of policy is recorded where its files are kept, not here.',
    ...(scope.identities === 'pseudonyms'
      ? ['People appear as stable pseudonyms; their names and the rules that name them are withheld.']
      : []),
    ...withheldLimits(scope.withheld),
    ...(mapping.unreadable.length > 0
      ? [
          `The controls of ${mapping.unreadable.length} versions of the policy could not be read: what they decided is not tested.`,
        ]
      : []),
    ...(runs.length === 0 ? ['No control is declared: nothing was tested.'] : []),
    ...(coverage.provisional
      ? ['PROVISIONAL: the period had not ended when this was made, so no population is final.']
      : []),
    ...(scope.demo ? ['DEMO: made by a demonstration with invented data.'] : []),
    ...recordingLimits(views),
    ...erasureLimits(views),
    ...disposalLimits(views),
    'Not produced by this version: OSCAL documents (oscal/), the report as PDF, waivers.',
    'Samples are a parameter of this bundle, for running a test again; no size is prescribed by anybody.',
  ]
}

function recordingLimits({ recordings }: Shown['views']): string[] {
  const elsewhere = recordings.filter(row => String(row.location).startsWith('ledger:')).length
  const cut = recordings.filter(row => row.cut === true).length
  return [
    ...(elsewhere === 0
      ? []
      : [
          `${elsewhere} recording${elsewhere === 1 ? '' : 's'} lie${elsewhere === 1 ? 's' : ''} encrypted in the ledger and not in this bundle: that the bytes are what their entries commit to was checked with the key of the vault, and not here; of what is encrypted to others, what is in it can be told by them alone.`,
        ]),
    ...(cut === 0
      ? []
      : [
          `A crash cut ${cut} recording${cut === 1 ? '' : 's'}: recordings/index.csv says which, and by which entry. What had not been written of ${cut === 1 ? 'it' : 'them'} is lost.`,
        ]),
  ]
}

function withheldLimits({ principals, entries }: Shown['material']['scope']['withheld']): string[] {
  if (principals.length === 0) return []
  const one = principals.length === 1
  const others =
    entries.length === 0
      ? ''
      : ` So is what ${entries.length} other entries disclose that names ${one ? 'it' : 'one of them'}.`
  return [
    `What is disclosed of ${one ? 'one principal' : `${principals.length} principals`} is withheld from this copy; MANIFEST.json says of whom, by pseudonym, and of which entries.${others}`,
  ]
}

function erasureLimits({ erasures }: Shown['views']): string[] {
  if (erasures.length === 0) return []
  return [
    `${erasures.length} erasure${erasures.length === 1 ? ' has' : 's have'} destroyed names, statements or recordings that entries here commit to: views/erasures.jsonl says on whose word. What they said, nobody can tell any more.`,
  ]
}

function disposalLimits({ disposals }: Shown['views']): string[] {
  if (disposals.length === 0) return []
  const one = disposals.length === 1
  return [
    `${disposals.length} earlier ledger${one ? '' : 's'} of the series ${one ? 'was' : 'were'} disposed of: views/disposals.jsonl says which, and on whose word. What ${one ? 'it' : 'they'} recorded is in bundles alone that were made before that.`,
  ]
}

function representation({ material }: Shown): string {
  const { organisation, period } = material.scope
  return `REPRESENTATION OF MANAGEMENT (a template; not signed)

To be completed by ${organisation}, for the period ${period.from} to ${period.to}:

1. All access of people and AI agents to the systems named in the controls went through the guard, but for: ______________________
2. The controls in mapping/controls.json were those in force, and nobody held two of: writing the policy, approving, operating the
   ledger, holding its signing key; but for: ______________________
3. The signing key was held by ______________________ and its fingerprint was handed over on ______________________

Name, function, date: ______________________
`
}
