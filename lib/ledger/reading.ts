/** What an open ledger gives back: entries from memory or from their bundles, what they disclose, and attachments. */

import { LedgerError } from '../errors.ts'
import type { AttachmentHead } from '../format/attachment.ts'
import { openAttachment } from '../format/attachment.ts'
import type { Json } from '../format/canonical.ts'
import { type Entry, parseEntry } from '../format/entry.ts'
import { tileWidth } from '../format/layout.ts'
import { readAttachmentFile } from './attachment-file.ts'
import { readable } from './files.ts'
import type { Stored } from './ledger.ts'
import type { Recent } from './recent.ts'
import { StoredBundles } from './stored-tiles.ts'
import type { Tree } from './tree.ts'
import { encodedDisclosures, openDisclosures, type Vault } from './vault.ts'

interface Parts {
  readonly directory: string
  readonly origin: string
  readonly tree: Tree
  readonly recent: Recent
  readonly vault: Vault
  /** Durable entries. */
  readonly size: () => number
}

export class Reading {
  readonly #parts: Parts
  readonly #stored: StoredBundles

  constructor(parts: Parts) {
    this.#parts = parts
    this.#stored = new StoredBundles(parts.directory, parts.tree)
  }

  /** @throws LedgerError ERR_LEDGER_MISSING */
  async entryAt(index: number): Promise<Entry> {
    this.#requireDurable(index)
    return this.#parts.recent.get(index)?.entry ?? (await this.#read(index)).entry
  }

  /** @returns the id of a durable entry, or undefined where there is none */
  async idAt(index: number): Promise<string | undefined> {
    return index >= 0 && index < this.#parts.size() ? (await this.entryAt(index)).id : undefined
  }

  async *entries(from = 0): AsyncGenerator<Stored> {
    const { recent, size } = this.#parts
    const end = size()
    for (let index = from; index < end; ) {
      const held = recent.get(index)
      if (held !== undefined) {
        yield { index, entry: held.entry }
        index += 1
        continue
      }
      const n = Math.floor(index / tileWidth)
      const bundle = await readable(() => this.#stored.entries(n))
      for (; index < (n + 1) * tileWidth; index += 1) {
        yield { index, entry: parseEntry(bundle[index % tileWidth]!) }
      }
    }
  }

  /** @throws as disclosures */
  async encodedDisclosures(index: number): Promise<readonly string[]> {
    const { entry, sealed } = await this.#withSealed(index)
    return encodedDisclosures(this.#parts.origin, entry, sealed, slot => this.#key(slot))
  }

  /** @throws as Ledger.disclosures */
  async disclosures(index: number): Promise<Readonly<Record<string, Json>>> {
    const { entry, sealed } = await this.#withSealed(index)
    return openDisclosures(this.#parts.origin, entry, sealed, slot => this.#key(slot))
  }

  /** @throws as Ledger.attachment */
  attachment(id: string): AsyncIterable<Uint8Array> {
    const { directory, origin } = this.#parts
    const key = async ({ slot, message }: AttachmentHead) => {
      if (message !== undefined)
        throw new LedgerError('ERR_LEDGER_MISSING', 'the key of the attachment is with its readers')
      const found = await this.#key(slot)
      if (found === undefined) throw new LedgerError('ERR_LEDGER_MISSING', 'the attachment was erased')
      return found
    }
    return openAttachment({ origin, id }, readAttachmentFile(directory, id), key)
  }

  #requireDurable(index: number): void {
    const size = this.#parts.size()
    if (Number.isSafeInteger(index) && index >= 0 && index < size) return
    throw new LedgerError('ERR_LEDGER_MISSING', `no entry ${index} in a ledger of ${size}`)
  }

  async #withSealed(index: number): Promise<{ entry: Entry; sealed: Uint8Array }> {
    this.#requireDurable(index)
    return this.#parts.recent.get(index) ?? (await this.#read(index))
  }

  async #read(index: number): Promise<{ entry: Entry; sealed: Uint8Array }> {
    const n = Math.floor(index / tileWidth)
    const bundle = await readable(() => this.#stored.entries(n))
    const sealed = await readable(() => this.#stored.vault(n))
    return { entry: parseEntry(bundle[index % tileWidth]!), sealed: sealed[index % tileWidth]! }
  }

  #key(slot: number): Promise<Uint8Array | undefined> {
    return readable(() => this.#parts.vault.key(slot))
  }
}
