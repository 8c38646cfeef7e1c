/** What an insider with the real keys can do: take an operation out of history, number the rest anew, and sign it all again. */
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../../lib/config/config.ts'
import { formatCheckpoint, parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { type Entry, encodeEntry, parseEntry, uuidv7 } from '../../lib/format/entry.ts'
import { entryBundle, hashTile, sealFile, tileFill, tileWidth, vaultBundle } from '../../lib/format/layout.ts'
import { leafHash } from '../../lib/format/merkle.ts'
import { decodeBundle, encodeBundle } from '../../lib/format/tile.ts'
import { decodeSealed, encodeSealed } from '../../lib/format/vault.ts'
import { noteKeyOf, sealCheckpoint, signCheckpoint } from '../../lib/ledger/checkpoint.ts'
import { Tree } from '../../lib/ledger/tree.ts'
import { configuredSealer } from '../../lib/sealing.ts'

interface Kept {
  readonly entry: Entry
  /** The entry's sealed disclosures, as they lie in the vault: they are bound to its id, not to its place. */
  readonly sealed: Buffer
}

/** @param unwanted which entries never happened. @returns how many were taken out */
export async function rewriteHistory(
  config: Config,
  into: string,
  unwanted: (entry: Entry) => boolean,
): Promise<number> {
  await cp(config.ledger.directory, into, { recursive: true })
  const size = parseCheckpoint(await readFile(join(into, 'checkpoint'))).size
  const all = await readAll(into, size)
  const wanted = all.filter(({ entry }) => !unwanted(entry))
  const last = wanted.pop()!
  // As many entries as before, so that nobody sees it by counting: heartbeats that never beat.
  const padding = Array.from({ length: all.length - wanted.length - 1 }, () => heartbeatLike(last.entry))
  const seqs = new Map<string, number>()
  const kept = [...wanted, ...padding, last].map(({ entry, sealed }) => {
    const seq = (seqs.get(entry.writer) ?? 0) + 1
    seqs.set(entry.writer, seq)
    return { entry: { ...entry, seq } as Entry, sealed }
  })
  for (const folder of ['tile', 'vault/entries', 'checkpoint.d', 'snapshot'])
    await rm(join(into, folder), { recursive: true, force: true })
  await write(into, config, kept)
  return padding.length
}

function heartbeatLike({ v, time, writer }: Entry): Kept {
  const id = uuidv7(Date.parse(time))
  return { entry: { v, kind: 'heartbeat', id, time, writer, seq: 0, open: 0, interval: 60 }, sealed: encodeSealed([]) }
}

async function readAll(folder: string, size: number): Promise<Kept[]> {
  const all: Kept[] = []
  for (let n = 0; n * tileWidth < size; n += 1) {
    const width = tileFill(size, 0, n)
    const entries = decodeBundle(await readFile(join(folder, entryBundle(n, width))), width)
    const vault = await readFile(join(folder, vaultBundle(n, width)))
    let at = 0
    for (const bytes of entries) {
      const { sealed, end } = decodeSealed(vault, at)
      all.push({ entry: parseEntry(bytes), sealed: encodeSealed(sealed) })
      at = end
    }
  }
  return all
}

async function write(folder: string, config: Config, kept: readonly Kept[]): Promise<void> {
  const put = async (path: string, bytes: Uint8Array | string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), bytes)
  }
  const encoded = kept.map(({ entry }) => encodeEntry(entry))
  const leaves = encoded.map(leafHash)
  const tree = new Tree()
  for (const leaf of leaves) tree.append(leaf)
  for (let n = 0; n * tileWidth < kept.length; n += 1) {
    const [from, width] = [n * tileWidth, tileFill(kept.length, 0, n)]
    await put(entryBundle(n, width), encodeBundle(encoded.slice(from, from + width)))
    await put(hashTile(0, n, width), Buffer.concat(leaves.slice(from, from + width)))
    await put(vaultBundle(n, width), Buffer.concat(kept.slice(from, from + width).map(({ sealed }) => sealed)))
  }
  const above = tileFill(kept.length, 1, 0)
  if (above > 0) await put(hashTile(1, 0, above), Buffer.concat(tree.row(1, 0, above)))

  const { noteKey, sealKey } = config.ledger
  const sealer = await configuredSealer(sealKey)
  const checkpoint = { origin: config.name, size: kept.length, root: tree.root() }
  const signed = formatCheckpoint(
    await sealCheckpoint(signCheckpoint(checkpoint, noteKeyOf(noteKey, config.name)), sealer),
  )
  await put('checkpoint', signed)
  await put(sealFile(kept.length), signed)
}

/** Every file under a folder, with its bytes. */
export async function* filesUnder(folder: string): AsyncGenerator<{ path: string; bytes: Buffer }> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    yield { path, bytes: await readFile(path) }
  }
}
