/** The page of one entry: what it says, what is disclosed of it, and how it is proved to be in the ledger. */
import { disclosureDigest } from '../../lib/format/disclosure.ts'
import type { Envelope, Material } from '../bundle/material.ts'
import type { Disclosed } from '../views.ts'
import { type Html, html } from './html.ts'
import { facts, lines, link, moment, page, table } from './page.ts'
import { rowsFile } from './rows.ts'

export const entryFile = (index: number): string => `entries/${index}.html`

interface Parts {
  readonly material: Material
  readonly disclosed: Disclosed
  readonly encoded: readonly string[]
  /** Tests that show a row of it. */
  readonly cited: readonly string[]
  /** The name behind a pseudonym, where it is disclosed. */
  readonly nameOf: (pseudonym: string) => string | undefined
}

export function entryPage({ material, disclosed, encoded, cited, nameOf }: Parts): string {
  const { index, entry, values } = disclosed
  const names = Object.keys(values).sort()
  const people = Object.entries(entry).flatMap(([member, value]) => {
    const name = typeof value === 'string' && member !== 'id' ? nameOf(value) : undefined
    return name === undefined ? [] : [[member, name] as const]
  })
  const withheld = (entry.sd?.length ?? 0) - encoded.length
  return page(
    `Entry ${index}`,
    html`<p>${link('../report.html', 'The report')}${cited.map((name, i) => html`${i === 0 ? ' › ' : ', '}${link(`../${rowsFile(name)}`, name)}`)}</p>
<h1>Entry ${index}: ${entry.kind}</h1>
${facts([
  ['Recorded', `${moment(entry.time)}, by ${entry.writer}, as its number ${entry.seq}`],
  ...people.map(([member, name]) => [member, name] as const),
])}
<h2>How it is proved</h2>
${proof(material, index)}
<h2>What it says</h2>
${lines(JSON.stringify(entry, undefined, 2))}
<h2>What is disclosed of it</h2>
${
  names.length === 0
    ? html``
    : table(
        {
          label: 'Disclosures',
          columns: [{ name: 'Name' }, { name: 'Value' }, { name: 'Digest, in the entry under sd' }],
        },
        names.map(name => [name, value(values[name]), html`<code>${digestOf(name, encoded)}</code>`]),
      )
}
<p>${withheld === 0 ? 'Nothing else of it is withheld.' : `${withheld} of its disclosures ${withheld === 1 ? 'is' : 'are'} withheld: the entry commits to ${withheld === 1 ? 'it' : 'them'} all the same.`}</p>`,
  )
}

const value = (given: unknown): Html => lines(typeof given === 'string' ? given : JSON.stringify(given, undefined, 2))

/** RFC 9901, 4.2.3: over the encoded disclosure, which is in disclosures/disclosures.jsonl. */
function digestOf(name: string, encoded: readonly string[]): string {
  const found = encoded.find(text => JSON.parse(Buffer.from(text, 'base64url').toString())[1] === name)
  return found === undefined ? '' : disclosureDigest(found)
}

function proof({ openingSize, state }: Material, index: number): Html {
  if (index < openingSize) {
    const nth = state.findIndex((one: Envelope) => one.index === index)
    return html`<p>It is from before the opening checkpoint: member ${nth} of <code>entries</code> in ${link('../../state/opening.json', 'state/opening.json')}, with its proof of
inclusion in the tree that ${link('../../log/checkpoint.opening', 'log/checkpoint.opening')} signs.</p>`
  }
  return html`<p>It is line ${index - openingSize + 1} of ${link('../../log/entries.jsonl', 'log/entries.jsonl')}, and its proof is
${link(`../../proofs/${index}.tlog-proof`, `proofs/${index}.tlog-proof`)}. With a shell and sha256sum, in the bundle's folder:</p>
<pre>sh verify-inclusion.sh ${index}</pre>`
}
