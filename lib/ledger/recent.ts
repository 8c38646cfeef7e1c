/** Durable entries that stand in no full, published bundle yet, held in memory; and the tiles that publication makes of them. */
import { entryBundle, hashTile, tileWidth, vaultBundle } from '../format/layout.ts'
import { encodeBundle } from '../format/tile.ts'
import { withoutCiphertext } from '../format/vault.ts'
import type { Prepared } from './scribe.ts'
import type { Tree } from './tree.ts'

export class Recent {
  /** Index of the first one held: a multiple of 256. */
  #base: number
  #items: Prepared[] = []

  constructor(base: number) {
    this.#base = base
  }

  get base(): number {
    return this.#base
  }

  get end(): number {
    return this.#base + this.#items.length
  }

  get(index: number): Prepared | undefined {
    return this.#items[index - this.#base]
  }

  add(items: readonly Prepared[]): void {
    for (const item of items) this.#items.push(item)
  }

  range(from: number, to: number): readonly Prepared[] {
    return this.#items.slice(from - this.#base, to - this.#base)
  }

  /** Takes the ciphertexts of those slots out: no bundle that is published later has them. */
  erase(slots: ReadonlySet<number>): void {
    this.#items = this.#items.map(item => {
      const sealed = withoutCiphertext(item.sealed, slots)
      return sealed === undefined ? item : { ...item, sealed }
    })
  }

  /** Drops what lies in full bundles of a tree of `size`. */
  drop(size: number): void {
    const base = size - (size % tileWidth)
    if (base <= this.#base) return
    this.#items = this.#items.slice(base - this.#base)
    this.#base = base
  }
}

export interface TileFiles {
  /** Relative path to bytes; all but the vault's. */
  readonly open: Map<string, Uint8Array>
  readonly vault: Map<string, Uint8Array>
  /** Tiles that had begun before: any other partial of them is superseded. */
  readonly grown: GrownTile[]
}

export interface GrownTile {
  /** Its path when full. */
  readonly full: string
  readonly width: number
}

/**
 * The tiles and bundles in which a tree of `size` differs from one of `published` leaves.
 * @param strays whether partials may lie about that a killed writer left, of any tile
 */
export function tilesBetween(
  published: number,
  size: number,
  { recent, tree, strays }: { readonly recent: Recent; readonly tree: Tree; readonly strays: boolean },
): TileFiles {
  const files: TileFiles = { open: new Map(), vault: new Map(), grown: [] }
  for (const { n, width, begun } of positions(published, size)) {
    const items = recent.range(n * tileWidth, n * tileWidth + width)
    files.open.set(entryBundle(n, width), encodeBundle(items.map(({ bytes }) => bytes)))
    files.open.set(hashTile(0, n, width), Buffer.concat(items.map(({ leaf }) => leaf)))
    files.vault.set(vaultBundle(n, width), Buffer.concat(items.map(({ sealed }) => sealed)))
    if (!begun && !strays) continue
    for (const full of [entryBundle(n), hashTile(0, n), vaultBundle(n)]) files.grown.push({ full, width })
  }
  for (let level = 1, span = tileWidth; span <= size; level += 1, span *= tileWidth) {
    for (const { n, width, begun } of positions(Math.floor(published / span), Math.floor(size / span))) {
      const hashes = tree.row(level, n, width)
      files.open.set(hashTile(level, n, width), Buffer.concat(hashes))
      if (begun || strays) files.grown.push({ full: hashTile(level, n), width })
    }
  }
  return files
}

/** Tiles of one level that change when its hashes grow from `before` to `now`. */
function positions(before: number, now: number): { n: number; width: number; begun: boolean }[] {
  const changed: { n: number; width: number; begun: boolean }[] = []
  if (now === before) return changed
  for (let n = Math.floor(before / tileWidth); n * tileWidth < now; n += 1) {
    changed.push({ n, width: Math.min(tileWidth, now - n * tileWidth), begun: n * tileWidth < before })
  }
  return changed
}
