/** How what is there is held against what is believed: by who reads the open ledger, and by a stranger who holds a pin. */
import { join } from 'node:path'
import { expect } from 'vitest'
import { type VerifyOptions, verifyLedger } from '../../../evidence/index.ts'
import { Holds } from '../../../lib/custody/holds.ts'
import type { Checkpoint } from '../../../lib/format/checkpoint.ts'
import { encodeEntry } from '../../../lib/format/entry.ts'
import { Frontier, leafHash } from '../../../lib/format/merkle.ts'
import type { Stored } from '../../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../../lib/ledger/options.ts'
import type { Sealer } from '../../../lib/ledger/sealer.ts'
import { allEntries, origin } from '../../support/directory-ledger.ts'
import type { Belief } from './belief.ts'
import type { World } from './world.ts'

/** Holds all that the open ledger gives against what is believed. */
export async function requireBelieved({ ledger, belief }: World): Promise<void> {
  const entries = await allEntries(ledger)
  expect(entries.map(({ entry }) => entry.id)).toEqual(belief.entries.map(({ entry }) => entry.id))
  for (const [index, { discloses, erased, recording, entry }] of belief.entries.entries()) {
    if (Object.keys(discloses).length === 0) continue
    expect(await ledger.disclosures(index), `entry ${index}`).toEqual(erased ? {} : discloses)
    if (recording === undefined || entry.kind !== 'attachment') continue
    const pieces: Uint8Array[] = []
    const read = (async () => {
      for await (const piece of ledger.attachment(entry.attachment)) pieces.push(piece)
    })()
    if (erased) await expect(read, `entry ${index}`).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
    else await read
    if (!erased) expect(Buffer.concat(pieces).equals(recording), `recording of entry ${index}`).toBe(true)
  }
  const state: Stored[] = []
  for await (const stored of ledger.state()) state.push(stored)
  expect(state.map(({ index }) => index)).toEqual(belief.state())
  const holds = new Holds()
  for (const { entry } of state) holds.fold(entry)
  const standing = belief.of('hold-placed').filter(({ hold }) => holds.get(hold)?.releasedBy === undefined)
  expect(standing.map(({ hold }) => hold)).toEqual(belief.standing())
}

/** At the end: every checkpoint that was ever signed is of the first so many of the entries that there are. */
export function requirePrefixes(belief: Belief, checkpoints: readonly Checkpoint[]): void {
  const tree = new Frontier()
  const roots = ['']
  for (const { entry } of belief.entries) {
    tree.append(leafHash(encodeEntry(entry)))
    roots.push(Buffer.from(tree.root()).toString('hex'))
  }
  for (const { size, root } of checkpoints) expect(Buffer.from(root).toString('hex')).toBe(roots[size])
}

type Judged = Pick<DirectoryOptions, 'directory' | 'wrappingKey'>

/** Who was given the first key's fingerprint, and has kept a pin from the beginning. */
export class Stranger {
  readonly #trust: Pick<VerifyOptions, 'fingerprint' | 'certificate' | 'origin'>
  readonly #pin: string
  #isPinned = false

  /** @param folder where the pin is kept */
  constructor({ fingerprint, certificate }: Sealer, folder: string) {
    this.#trust = { fingerprint, certificate, origin }
    this.#pin = join(folder, 'pin')
  }

  /** What is published verifies, from the pin of before. */
  async verify(ledger: Judged): Promise<void> {
    const { verdict, findings } = await this.#judge(ledger, { pin: this.#pin, ...(!this.#isPinned && { first: true }) })
    expect({ verdict, findings }).toEqual({ verdict: 'OK', findings: [] })
    this.#isPinned = true
  }

  /** What a kill left is no tampering. */
  async requireUntampered(ledger: Judged): Promise<void> {
    const { verdict, findings } = await this.#judge(ledger)
    expect(verdict, JSON.stringify(findings)).not.toBe('TAMPERED')
  }

  #judge({ directory, wrappingKey }: Judged, more: Partial<VerifyOptions> = {}) {
    return verifyLedger({ directory, ...this.#trust, depth: 'all', wrappingKey, ...more })
  }
}
