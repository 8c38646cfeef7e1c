/**
 * Writes a ledger directory straight from lib/format, sharing no code with the stores: an independent writer for the verifier,
 * and one that tests can make lie. Ids, times and salts follow from a counter, so that the same calls give the same entries.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { certifiedText } from '../../evidence/trust.ts'
import type { Json } from '../../lib/format/canonical.ts'
import {
  type Checkpoint,
  checkpointBody,
  formatCheckpoint,
  type SignedCheckpoint,
} from '../../lib/format/checkpoint.ts'
import { actionCommitment, disclosureDigest, encodeDisclosure } from '../../lib/format/disclosure.ts'
import { type Clear, type Entry, encodeEntry, type Kind, versionOf } from '../../lib/format/entry.ts'
import {
  certificateFile,
  certificateOf,
  checkpointFile,
  entryBundle,
  hashTile,
  sealFile,
  slotFile,
  slotsInFile,
  tileFill,
  tileWidth,
  vaultBundle,
} from '../../lib/format/layout.ts'
import { Frontier, type Hash, leafHash } from '../../lib/format/merkle.ts'
import { formatVerifierKey, openpgpKeyId, signNote } from '../../lib/format/note.ts'
import { encodeBundle } from '../../lib/format/tile.ts'
import { createSlot, encodeSealed, type SealedDisclosure, sealDisclosure, slotBytes } from '../../lib/format/vault.ts'
import { armorSignature, generateKey, readPrivateKey, type SigningKey, signDetached } from '../../lib/openpgp.ts'

export interface BuilderKeys {
  readonly note: KeyObject
  readonly seal: SigningKey
}

/** RFC 8410: the PKCS #8 prefix of a raw Ed25519 seed. */
const ed25519Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

export const noteKeyOf = (seed: string): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([ed25519Prefix, createHash('sha256').update(seed).digest()]),
    format: 'der',
    type: 'pkcs8',
  })

export async function builderKeys(seed = 'note key of tests'): Promise<BuilderKeys> {
  const { privateKey } = await generateKey({ name: 'Test ledger', date: new Date('2026-01-01T00:00:00Z') })
  return { note: noteKeyOf(seed), seal: await readPrivateKey(privateKey) }
}

/** A pseudonym that tests can name. */
export const pseudonym = (name: string): string => digestOf(`pseudonym ${name}`).slice(0, 22)
export const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url')
const saltOf = (text: string): string => digestOf(`salt ${text}`).slice(0, 22)

export interface WriteOptions {
  /** How many of the entries the ledger has. */
  size?: number
  /** Sizes at which it was sealed: at this one and at those it was written with before, where none are given. */
  seals?: number[]
  /** Whether the disclosures are written too. */
  vault?: boolean
}

export interface Written {
  readonly index: number
  readonly entry: Entry
}

export class LedgerBuilder {
  readonly origin: string
  readonly wrappingKey: Buffer
  readonly keys: BuilderKeys
  readonly entries: Buffer[] = []
  readonly #disclosed: { readonly id: string; readonly texts: readonly string[] }[] = []
  readonly #seqs = new Map<string, number>()
  /** Keys that were rotated to, and the first size that they sign. */
  readonly #successions: { readonly since: number; readonly keys: BuilderKeys }[] = []
  readonly #sealed = new Set<number>()
  writer: string
  /** Unix milliseconds of the next entry. */
  now: number
  #counter = 0

  constructor({
    keys,
    origin = 'ledger.crm.example',
    start = Date.parse('2026-07-01T00:00:00Z'),
  }: {
    keys: BuilderKeys
    origin?: string
    start?: number
  }) {
    this.keys = keys
    this.origin = origin
    this.now = start
    this.writer = 'gateway-1'
    this.wrappingKey = createHash('sha256').update('wrapping key of tests').digest()
  }

  get fingerprint(): string {
    return this.keys.seal.fingerprint
  }

  /** A version-7 UUID that follows from the time and a counter. */
  uuid(): string {
    this.#counter += 1
    const random = createHash('sha256').update(`${this.origin} ${this.#counter}`).digest('hex')
    const time = this.now.toString(16).padStart(12, '0')
    return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-8${random.slice(3, 6)}-${random.slice(6, 18)}`
  }

  /** Appends, and moves the clock by a second. */
  add<K extends Kind>(
    kind: K,
    clear: Clear<K>,
    disclose: Record<string, Json> = {},
    head: Partial<Entry> = {},
  ): Written {
    const seq = (this.#seqs.get(this.writer) ?? 0) + 1
    this.#seqs.set(this.writer, seq)
    const id = this.uuid()
    const texts = Object.entries(disclose).map(([name, value]) =>
      encodeDisclosure({ salt: saltOf(`${id} ${name}`), name, value }),
    )
    const sd = texts.map(disclosureDigest).sort()
    const entry = {
      v: versionOf(kind),
      kind,
      id,
      time: new Date(this.now).toISOString(),
      writer: this.writer,
      seq,
      ...(sd.length === 0 ? {} : { sd }),
      ...clear,
      ...head,
    } as unknown as Entry
    const index = this.entries.push(encodeEntry(entry)) - 1
    this.#disclosed.push({ id, texts })
    this.now += 1000
    return { index, entry }
  }

  /** Entry 0 and the writer's start. @param continued of one that follows another */
  async open(continued?: Clear<'continued'>): Promise<this> {
    const noteKey = formatVerifierKey(this.origin, createPublicKey(this.keys.note))
    const signature = await signDetached(this.keys.seal, Buffer.from(certifiedText(this.origin, noteKey)))
    this.add('opened', {
      origin: this.origin,
      format: 1,
      noteKey,
      sealKey: this.fingerprint,
      certification: armorSignature(signature),
    })
    if (continued !== undefined) this.add('continued', continued)
    this.add('started', { software: 'builder', placement: 'gateway', epoch: 1, interval: 60 })
    return this
  }

  principal(name: string, type: 'person' | 'agent' | 'service', owner?: string): string {
    const subject = pseudonym(name)
    const clear = { subject, type, ...(owner === undefined ? {} : { owner: pseudonym(owner) }) }
    this.add('principal', clear, { name, issuer: 'local' })
    return subject
  }

  policy(controls: string, rules = 'p, role:support, crm/**, select, allow'): string {
    const digest = digestOf(`policy ${controls} ${rules}`)
    const digests = { digest, model: digestOf('model'), rules: digestOf('rules'), controls: digestOf(controls) }
    this.add('policy', digests, { model: 'model', rules, controls })
    return digest
  }

  /** The commitment to an action, under a salt that follows from it. */
  action(action: Json): { salt: string; digest: string } {
    const salt = saltOf(JSON.stringify(action))
    return { salt, digest: actionCommitment(salt, action) }
  }

  disclosuresOf(index: number): readonly string[] {
    return this.#disclosed[index]!.texts
  }

  /** From the next size on these keys sign, whatever entries say. */
  succeed(keys: BuilderKeys): void {
    this.#successions.push({ since: this.entries.length, keys })
  }

  keysAt(size: number): BuilderKeys {
    return this.#successions.findLast(({ since }) => since <= size)?.keys ?? this.keys
  }

  /** Entries replaced as they are, with nothing made to fit: what an intruder without keys can do. */
  replace(index: number, bytes: Buffer): void {
    this.entries[index] = bytes
  }

  tree(size = this.entries.length): { root: Hash; tiles: Hash[][] } {
    const frontier = new Frontier()
    const tiles: Hash[][] = [[]]
    for (const entry of this.entries.slice(0, size)) {
      frontier.append(leafHash(entry), (level, index, hash) => {
        if (level % 8 !== 0) return
        tiles[level / 8] ??= []
        tiles[level / 8]![index] = hash
      })
    }
    return { root: frontier.root(), tiles }
  }

  async checkpoint(size = this.entries.length, sealed = false): Promise<SignedCheckpoint> {
    const checkpoint: Checkpoint = { origin: this.origin, size, root: this.tree(size).root }
    const text = checkpointBody(checkpoint)
    const { note, seal } = this.keysAt(size)
    const signatures = [signNote(text, this.origin, note, createPublicKey(note))]
    if (sealed) {
      const signature = Buffer.from(await signDetached(seal, Buffer.from(text)))
      signatures.push({ name: this.origin, keyId: openpgpKeyId(this.origin, seal.fingerprint), signature })
    }
    return { ...checkpoint, note: { text, signatures } }
  }

  /** Writes everything anew: the ledger as it stands at `size`, with seals at the sizes given. */
  async write(directory: string, { size = this.entries.length, seals, vault = true }: WriteOptions = {}) {
    for (const sealed of seals ?? [size]) this.#sealed.add(sealed)
    const kept = seals ?? [...this.#sealed].filter(sealed => sealed <= size)
    await rm(directory, { recursive: true, force: true })
    const put = async (path: string, bytes: string | Uint8Array) => {
      const file = join(directory, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, bytes)
    }
    const slots = Buffer.alloc(slotsInFile * slotBytes)
    const slot = createSlot(this.wrappingKey, this.origin, 0)
    slots.set(slot.bytes, 0)
    if (vault) await put(slotFile(0), slots)
    const sealedOf = ({ id, texts }: { id: string; texts: readonly string[] }): SealedDisclosure[] =>
      texts.map(text => ({ slot: 0, box: sealDisclosure(slot.key, this.origin, id, text) }))
    for (let n = 0; n * tileWidth < size; n += 1) {
      const width = tileFill(size, 0, n)
      const [from, to] = [n * tileWidth, n * tileWidth + width]
      await put(entryBundle(n, width), encodeBundle(this.entries.slice(from, to)))
      const sealed = this.#disclosed.slice(from, to).map(one => encodeSealed(sealedOf(one)))
      if (vault) await put(vaultBundle(n, width), Buffer.concat(sealed))
    }
    for (const [level, hashes] of this.tree(size).tiles.entries()) {
      for (let n = 0; tileFill(size, level, n) > 0; n += 1) {
        const width = tileFill(size, level, n)
        await put(hashTile(level, n, width), Buffer.concat(hashes.slice(n * tileWidth, n * tileWidth + width)))
      }
    }
    for (const sealed of kept) await put(sealFile(sealed), formatCheckpoint(await this.checkpoint(sealed, true)))
    await put(checkpointFile, formatCheckpoint(await this.checkpoint(size, kept.includes(size))))
    await put(certificateFile, this.keysAt(size).seal.certificate)
    const rotated = this.#successions.length === 0 ? [] : [this.keys, ...this.#successions.map(({ keys }) => keys)]
    for (const { seal } of rotated) await put(certificateOf(seal.fingerprint), seal.certificate)
  }
}
