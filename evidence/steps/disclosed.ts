/** The step over what entries disclose: each disclosure and attachment that an entry commits to is there, or was erased by who may. */
import type { Entry, Kind } from '../../lib/format/entry.ts'
import { slotsInFile } from '../../lib/format/layout.ts'
import { decodeRotating } from '../../lib/format/rotating.ts'
import { isErased, slotBytes, wrappedUnder, wrappingKeyId } from '../../lib/format/vault.ts'
import { counted } from '../../lib/format/words.ts'
import { examineAttachment, examineCut } from '../attachments.ts'
import { entriesAgain } from '../bundles.ts'
import { Vault } from '../disclosures.ts'
import type { Examination } from '../examination.ts'
import { type Finding, unlessUnreachable } from '../finding.ts'
import type { LedgerFiles } from '../ledger-files.ts'
import { Names } from '../names.ts'
import { laterAlibis } from './later.ts'
import { need, skip } from './step.ts'

export async function checkDisclosures(x: Examination): Promise<string> {
  const [files, checkpoint, trust] = need(x.files, x.checkpoint, x.trust)
  const key = x.options.wrappingKey
  if (x.depth === 'envelopes' || key === undefined) return skip('not examined: that needs the key of the vault')
  const other = await otherKey(x, files, trust.origin, key)
  if (other !== undefined) return x.fail(other)
  const vault = new Vault(files, key, trust.origin, checkpoint.size, x.erasures.alibis)
  const names = new Names()
  let opened = 0
  let attachments = 0
  const erased = { disclosures: 0, attachments: 0, by: new Set<number>() }
  const gone: { readonly finding: Finding; readonly index: number; readonly entry: Entry }[] = []
  let place = 0
  for await (const { index, entry } of entriesAgain(x)) {
    const found = await vault.open(index, entry)
    opened += Object.keys(found.values).length
    const renamed = names.learn(index, entry, found.values)
    if (renamed !== undefined) x.findings.add(renamed)
    if (found.erased !== undefined) {
      erased.disclosures += found.erased.count
      erased.by.add(found.erased.by)
    }
    if (entry.kind === 'attachment' && found.erased !== undefined) erased.attachments += 1
    else if (entry.kind === 'attachment') {
      const finding = await examineAttachment(files, vault, trust.origin, { index, entry, opened: found })
      if (finding !== undefined) gone.push({ finding, index, entry })
      attachments += 1
    }
    let now = found
    if (entry.kind === 'attachment-cut') {
      const { finding, erased: by } = await examineCut(files, vault, trust.origin, { index, entry })
      if (finding !== undefined) gone.push({ finding, index, entry })
      if (by === undefined) attachments += 1
      else {
        erased.attachments += 1
        erased.by.add(by)
        now = { ...found, erased: { count: 0, by } }
      }
    }
    if (x.keep) x.records[place] = { ...x.records[place]!, opened: now }
    place += 1
  }
  await vault.examineSlots()
  await vault.examineErasures()
  // It may have been changed while the vault was read.
  const changed = vault.findings.length + gone.length === 0 ? undefined : await otherKey(x, files, trust.origin, key)
  if (changed !== undefined) return x.fail(changed)
  // The vault is read after the checkpoint: what was erased in between, entries behind the checkpoint say.
  const later = vault.findings.length + gone.length === 0 ? undefined : await laterAlibis(x)
  if (later !== undefined) vault.settle(later)
  x.findings.addAll(vault.findings)
  for (const { finding, index, entry } of gone) {
    if (later?.byScope(index, entry) === undefined) x.findings.add(finding)
  }
  const what = (n: number, kept: number) =>
    `${counted(n, 'disclosure')}${kept === 0 ? '' : `, and ${counted(kept, 'attachment')}`}`
  const isOne = (n: number, kept: number) => n === 1 && kept === 0
  const whole = `${what(opened, attachments)} ${isOne(opened, attachments) ? 'matches what its entry commits' : 'match what their entries commit'} to`
  if (erased.by.size === 0) return whole
  const by = [...erased.by].map(index => `#${index}`).join(', ')
  return `${whole}; ${what(erased.disclosures, erased.attachments)} ${isOne(erased.disclosures, erased.attachments) ? 'is' : 'are'} ERASED (by ${by})`
}

/**
 * @returns what is to be told where the vault is under another key than this one, or is being brought under another: by no one alteration
 */
async function otherKey(
  x: Examination,
  files: LedgerFiles,
  origin: string,
  key: Uint8Array,
): Promise<Finding | undefined> {
  const given = wrappingKeyId(key)
  const rotating = await rotatingNow(x, files, origin, key)
  const other = rotating === undefined ? undefined : onlyOther(await allIds(files), given)
  if (other !== undefined && rotating?.includes(other)) {
    const what = `the key of the vault is being changed, and some of it is under another key (${other}) than the one that was given (${given}): "counterfoil vault rotate" finishes that, and tells what was altered`
    return { code: 'VAULT_KEY', what, expected: other, actual: given }
  }
  const ids = await idsFrom(files, 0)
  const whole = onlyOther(ids, given)
  if (whole === undefined || ids.length < 2 || ids.includes(given)) return undefined
  const what = `the vault is under another key (${whole}) than the one that was given (${given}): it was rotated, or this is of another ledger`
  return { code: 'VAULT_KEY', what, expected: whole, actual: given }
}

/** The one key beside the given one; undefined where there is none, or are more. */
function onlyOther(ids: readonly (string | undefined)[], given: string): string | undefined {
  const [other, ...more] = new Set(ids.filter(id => id !== given))
  return more.length > 0 ? undefined : other
}

/** Which keys the slots of a file say they are under, but for the erased ones. */
async function idsFrom(files: LedgerFiles, first: number): Promise<(string | undefined)[]> {
  const { bytes } = await files.slots(first)
  const ids: (string | undefined)[] = []
  for (let at = 0; bytes !== undefined && at + slotBytes <= bytes.length; at += slotBytes) {
    const slot = bytes.subarray(at, at + slotBytes)
    if (!isErased(slot)) ids.push(wrappedUnder(slot))
  }
  return ids
}

async function allIds(files: LedgerFiles): Promise<(string | undefined)[]> {
  const ids = new Set<string | undefined>()
  for (let first = 0; (await files.slots(first)).bytes !== undefined; first += slotsInFile) {
    for (const id of await idsFrom(files, first)) ids.add(id)
  }
  return [...ids]
}

/**
 * Ids of the keys between which the vault is being changed, as a note says that was made with the key that is given.
 * Where an entry says that this is done, it is an old one, put back.
 */
async function rotatingNow(
  x: Examination,
  files: LedgerFiles,
  origin: string,
  key: Uint8Array,
): Promise<readonly string[] | undefined> {
  const note = await files.rotating().catch(unlessUnreachable)
  const rotating = note === undefined ? undefined : decodeRotating(origin, [key], note)
  if (rotating === undefined) return undefined
  for await (const { index, entry } of entriesAgain(x, rewrappings))
    if (entry.kind === 'vault-rewrapped' && index >= rotating.size && entry.to === rotating.to) return undefined
  return [rotating.from, rotating.to]
}

const rewrappings: ReadonlySet<Kind> = new Set<Kind>(['vault-rewrapped'])
