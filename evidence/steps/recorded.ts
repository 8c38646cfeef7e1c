/** The steps over everything recorded: the tree recomputed, the seals held against it, what entries say, and what they disclose. */
import { isOurs } from '../../lib/errors.ts'
import { parseEntry } from '../../lib/format/entry.ts'
import { sameHash } from '../../lib/format/merkle.ts'
import { examineAttachment } from '../attachments.ts'
import { examineCertificates, examineEpoch } from '../beside.ts'
import { Vault } from '../disclosures.ts'
import type { Examination } from '../examination.ts'
import type { Finding } from '../finding.ts'
import type { KeyEntry } from '../key-entries.ts'
import { sayRevoked } from '../revoked-keys.ts'
import { examineSeals } from '../seals.ts'
import { examineTree } from '../tree.ts'
import { base64 } from '../verification.ts'
import { need, skip } from './step.ts'

export async function checkTree(x: Examination): Promise<string> {
  const [files, checkpoint] = need(x.files, x.checkpoint)
  const sizes = new Set<number>([checkpoint.size])
  if (x.pin !== undefined) sizes.add(x.pin.size)
  for (const size of (await files.sealSizes().catch(() => ({ sizes: [] }))).sizes) sizes.add(size)
  const malformed: Finding[] = []
  const { findings, entries, rootAt } = await examineTree(files, checkpoint, sizes, (index, bytes, file) => {
    try {
      x.add(index, bytes, parseEntry(bytes))
    } catch (error) {
      if (!isOurs(error)) throw error
      malformed.push({ code: 'ENTRY_MALFORMED', what: `entry ${index}: ${error.message}`, index, file })
    }
  })
  x.findings.addAll(findings)
  x.findings.addAll(malformed)
  // Roots of altered entries show no fork: that is two signed trees that disagree. The alteration is named already.
  const entire = rootAt.get(checkpoint.size)
  if (entire !== undefined && sameHash(entire, checkpoint.root)) x.rootAt = rootAt
  comparePin(x)
  return `${entries} entries and every tile give the signed root`
}

/** By the entries themselves, where the tiles gave no proof. */
function comparePin({ pin, rootAt, findings }: Examination): void {
  const actual = pin === undefined ? undefined : rootAt.get(pin.size)
  if (pin === undefined || actual === undefined || sameHash(actual, pin.root)) return
  if (findings.has(code => code === 'FORK')) return
  const what = `the first ${pin.size} entries are not those that were pinned`
  findings.add({ code: 'FORK', what, expected: base64(pin.root), actual: base64(actual) })
}

export async function checkSeals(x: Examination): Promise<string> {
  const [files, checkpoint, trust] = need(x.files, x.checkpoint, x.trust)
  const existedBy = (size: number) => x.existedBy(size)
  const { seals, worthless, findings } = await examineSeals(files, checkpoint, trust, x.rootAt, existedBy)
  x.seals.push(...seals)
  x.findings.addAll(findings)
  const newest = x.seals.at(-1)
  if (newest === undefined) return 'none yet'
  const [of] = worthless
  const also = of === undefined ? '' : `; ${worthless.length} more are not counted: their key is ${sayRevoked(of)}`
  return `${x.seals.length}, the newest over ${newest.size} entries${also}`
}

export async function checkEntries(x: Examination): Promise<string> {
  const [files, checkpoint] = need(x.files, x.checkpoint)
  x.findings.addAll(x.meaning.findings)
  for (const finding of strayKeyEntries(x)) x.findings.add(finding)
  x.findings.addAll(await examineCertificates(files, x.taken, x.keyEntriesInTree, x.sealKey))
  x.findings.addAll(await examineEpoch(files, x.taken))
  return `${x.strict} of ${checkpoint.size} entries are in the strict format`
}

/** By what stands in clear: that what was erased was erased by who may, needs no key; that nothing else is gone does. */
export async function checkErasures(x: Examination): Promise<string> {
  need(x.checkpoint)
  const { all, holds, findings } = x.erasures
  x.findings.addAll(findings)
  const standing = holds === 0 ? '' : `; ${holds} ${holds === 1 ? 'hold stands' : 'holds stand'}`
  if (all.length === 0) return `none${standing}`
  const told = all.map(({ index, entry: { scope, of } }) => `#${index} ${scope} ${of}`)
  const more = told.length > 5 ? ` and ${told.length - 5} more` : ''
  return `${told.slice(0, 5).join(', ')}${more}: each asked for by one person and approved by another${standing}`
}

/** Keys were judged by what was found first: the tree must hold those entries, and no others. */
function* strayKeyEntries({ keyEntries, keyEntriesInTree }: Examination): Generator<Finding> {
  const places = (entries: readonly KeyEntry[]) => entries.map(({ index, entry }) => `${index} ${entry.id}`).join(', ')
  const [expected, actual] = [places(keyEntriesInTree), places(keyEntries)]
  if (expected === actual) return
  yield {
    code: 'ROTATION_INVALID',
    what: 'the entries about keys are not those by which keys were judged',
    expected,
    actual,
  }
}

export async function checkDisclosures(x: Examination): Promise<string> {
  const [files, checkpoint, trust] = need(x.files, x.checkpoint, x.trust)
  const key = x.options.wrappingKey
  if (x.depth === 'envelopes' || key === undefined) return skip('not examined: that needs the key of the vault')
  const vault = new Vault(files, key, trust.origin, checkpoint.size, x.erasures)
  if (x.erasures.all.length > 0) x.erasures.learn(x.records.map(({ entry }) => entry))
  let opened = 0
  let attachments = 0
  const erased = { disclosures: 0, attachments: 0, by: new Set<number>() }
  for (const [i, record] of x.records.entries()) {
    const found = await vault.open(record.index, record.entry)
    opened += Object.keys(found.values).length
    const { index, entry } = record
    if (found.erased !== undefined) {
      erased.disclosures += found.erased.count
      erased.by.add(found.erased.by)
    }
    if (entry.kind === 'attachment' && found.erased !== undefined) erased.attachments += 1
    else if (entry.kind === 'attachment') {
      const finding = await examineAttachment(files, vault, trust.origin, { index, entry, opened: found })
      if (finding !== undefined) x.findings.add(finding)
      attachments += 1
    }
    if (x.keep) x.records[i] = { ...record, opened: found }
  }
  await vault.examineSlots()
  await vault.examineErasures()
  x.findings.addAll(vault.findings)
  const what = (n: number, kept: number) => `${n} disclosures${kept === 0 ? '' : `, and ${kept} attachments`}`
  const whole = `${what(opened, attachments)} match what their entries commit to`
  if (erased.disclosures === 0) return whole
  const by = [...erased.by].map(index => `#${index}`).join(', ')
  return `${whole}; ${what(erased.disclosures, erased.attachments)} are ERASED (by ${by})`
}

export async function checkContinuity(x: Examination): Promise<string> {
  need(x.checkpoint)
  x.findings.addAll(x.continuity.findings)
  return `no gap in the writers' counters and heartbeats; newest entry ${x.continuity.latest}`
}
