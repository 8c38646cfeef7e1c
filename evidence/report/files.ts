/** The report's files: its page, the period as a table, the rows of each test, each entry that a row is of. */
import { type DisclosedMaterial, disclosuresByEntry } from '../bundle/material.ts'
import { entryFile, entryPage } from './entry.ts'
import { citations } from './listing.ts'
import { renderReport, type Shown } from './report.ts'
import { bypassesFile, bypassesPage, rowsFile, rowsPage } from './rows.ts'
import { timelineOf } from './timeline.ts'
import { timelineFile, timelinePage } from './timeline-figure.ts'

/** @returns path in the bundle, and text */
export function reportFiles(shown: Shown, { before, entries }: DisclosedMaterial): Map<string, string> {
  const { material, listings, views, reconciliations, coverage } = shown
  const files = new Map<string, string>()
  const put = (path: string, text: string) => files.set(`report/${path}`, text)
  const known = new Map([...before, ...entries].map(one => [one.index, one]))
  const cited = new Map([...citations(listings, views)].filter(([index]) => known.has(index)))
  const has = (index: number) => cited.has(index)
  const timeline = timelineOf(views, material.scope.period, coverage)
  put('report.html', renderReport(shown, timeline, has))
  put(timelineFile, timelinePage(timeline))
  for (const listing of listings) put(rowsFile(listing.name), rowsPage(listing, has))
  if (reconciliations.length > 0) put(bypassesFile, bypassesPage(reconciliations))
  const names = new Map(views.principals.map(row => [row.subject, row.name]))
  const nameOf = (pseudonym: string) => {
    const name = names.get(pseudonym)
    return typeof name === 'string' ? name : undefined
  }
  const encoded = disclosuresByEntry(material)
  for (const [index, tests] of cited) {
    const parts = { material, disclosed: known.get(index)!, encoded: encoded.get(index) ?? [], cited: tests, nameOf }
    put(entryFile(index), entryPage(parts))
  }
  return files
}
