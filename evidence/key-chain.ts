/**
 * Which keys spoke for a ledger when: entry 0 and every rotation after it, each link held up by the signatures in its
 * entry. The fingerprint that is pinned from outside is the root: an older one leads on to the keys that it endorsed, a
 * newer one back to those that it claims.
 */
import { isOurs, LedgerError } from '../lib/errors.ts'
import type { EntryOf } from '../lib/format/entry.ts'
import { type KeyPair, revocationText, rotationText } from '../lib/format/key-text.ts'
import { certificateFile } from '../lib/format/layout.ts'
import { type NoteVerifier, parseVerifierKey } from '../lib/format/note.ts'
import { DetachedVerifier, readCertificate } from '../lib/openpgp.ts'
import { type Finding, type FindingCode, familyOf } from './finding.ts'
import type { KeyEntry } from './key-entries.ts'
import { type ExistedBy, type RevokedKey, sayRevoked, voids } from './revoked-keys.ts'
import { certifiedText, type SealKey } from './trust.ts'

/** Keys that speak from one size on. */
export interface Span extends KeyPair {
  /** The first size of a tree that they sign. */
  readonly since: number
  /** RFC 3339, by the writer's clock; undefined for those of entry 0. */
  readonly time: string | undefined
  readonly verifier: NoteVerifier
}

export interface KeyChain {
  readonly origin: string
  /** Oldest first. */
  readonly spans: readonly Span[]
  readonly revoked: readonly RevokedKey[]
  readonly certificates: ReadonlyMap<string, SealKey>
}

export interface ChainParts {
  readonly opened: EntryOf<'opened'>
  readonly entries: readonly KeyEntry[]
  /** Pinned from outside. */
  readonly fingerprint: string
  /** The armored certificate of a key, from outside where it was given, else from what is verified. */
  readonly certificate: (fingerprint: string) => Promise<string | undefined>
  /** Whether that of the pinned key was given from outside. */
  readonly isGiven: boolean
  readonly existedBy: ExistedBy
}

/** A key of the ledger that cannot be trusted, and what a verification of the ledger calls that. */
export class KeyError extends LedgerError {
  readonly finding: Finding

  constructor(code: FindingCode, what: string, at: Partial<Finding> = {}) {
    super('ERR_CHECKPOINT_SIGNATURE', what, familyOf(code) === 'untold' ? { untold: true } : {})
    this.finding = { code, what, ...at }
  }
}

/** @throws KeyError; LedgerError ERR_CHECKPOINT_SIGNATURE where a certificate or a key is none */
export async function followKeys(parts: ChainParts): Promise<KeyChain> {
  const { opened, entries, fingerprint } = parts
  const { noteKey, sealKey, certification } = opened
  if (sealKey === undefined || certification === undefined) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'entry 0 holds no certification by an OpenPGP key')
  }
  const first = sealKey.toUpperCase()
  // Before any signature is verified: of a ledger that never names the pinned key, all of them are nobody's.
  requireNamed(fingerprint, [first, ...entries.flatMap(({ entry }) => (isOfSeal(entry) ? [entry.new] : []))])
  const chain = new Chain(parts, { note: noteKey, seal: first })
  await chain.takeAll(entries)
  return chain.conclude()
}

const isOfSeal = (entry: KeyEntry['entry']): entry is EntryOf<'key-rotated'> =>
  entry.kind === 'key-rotated' && entry.key === 'seal'

/** @throws KeyError */
function requireNamed(fingerprint: string, seals: readonly string[]): void {
  if (seals.includes(fingerprint)) return
  const told = seals.length === 1 ? 'entry 0 names' : 'entry 0 and the rotations after it name'
  throw new KeyError('KEY_SUBSTITUTED', `${told} another OpenPGP key than the pinned one`, {
    index: 0,
    expected: fingerprint,
    ...(/^[0-9A-F]{40}$/.test(seals.at(-1)!) ? { actual: seals.at(-1)! } : {}),
  })
}

class Chain {
  readonly #parts: ChainParts
  readonly #spans: Span[]
  readonly #revoked: RevokedKey[] = []
  readonly #certificates = new Map<string, SealKey>()
  readonly #rotations: {
    readonly index: number
    readonly entry: EntryOf<'key-rotated'>
    readonly certified: Date
    readonly endorsed: Date | undefined
  }[] = []

  constructor(parts: ChainParts, first: KeyPair) {
    this.#parts = parts
    this.#spans = [this.#span(first, 0, undefined)]
  }

  get seals(): readonly string[] {
    return [...new Set(this.#spans.map(({ seal }) => seal))]
  }

  /** In order: a revocation right after a rotation says why the old key did not endorse it. */
  async takeAll(entries: readonly KeyEntry[]): Promise<void> {
    for (const [i, { index, entry }] of entries.entries()) {
      try {
        if (entry.kind === 'key-revoked') await this.#revoke(index, entry)
        else await this.#rotate(index, entry, entries[i + 1])
      } catch (error) {
        if (error instanceof KeyError || !isOurs(error)) throw error
        throw new KeyError('ROTATION_INVALID', `entry ${index}: ${error.message}`, { index })
      }
    }
  }

  async conclude(): Promise<KeyChain> {
    const { opened } = this.#parts
    const { origin } = opened
    // A key after it that claims this one claims what it says, so that its own revocation is no matter then.
    const data = Buffer.from(certifiedText(origin, opened.noteKey))
    const made = await this.#signedBy(this.#spans[0]!.seal, data, opened.certification!)
    for (const seal of this.seals) await this.#readRevocation(seal)
    this.#requireStanding(made)
    this.#followPin()
    return { origin, spans: this.#spans, revoked: this.#revoked, certificates: this.#certificates }
  }

  async #rotate(index: number, entry: EntryOf<'key-rotated'>, next: KeyEntry | undefined): Promise<void> {
    const { origin } = this.#parts.opened
    const { note, seal, verifier } = this.#spans.at(-1)!
    const before: KeyPair = { note, seal }
    const after: KeyPair = { ...before, [entry.key]: entry.new }
    const turn = this.#spans.length
    if (entry.turn !== turn) throw broken(`a rotation with the number ${entry.turn}, where ${turn} comes next`)
    if (entry.old !== before[entry.key]) throw broken('a rotation of a key that does not speak')
    if (this.#spans.some(span => span[entry.key] === entry.new)) throw broken('a rotation to a key that spoke before')
    const text = rotationText({ origin, turn, before, after })
    const signature = Buffer.from(entry.signature, 'base64')
    if (signature.toString('base64') !== entry.signature || !verifier.verify(text, signature))
      throw broken('the note key before did not sign the rotation')
    const certified = await this.#signedBy(after.seal, Buffer.from(text), entry.certification)
    let endorsed: Date | undefined
    if (entry.endorsement !== undefined)
      endorsed = await this.#signedBy(before.seal, Buffer.from(text), entry.endorsement)
    else if (entry.key === 'seal' && !excuses(next, index, entry.old))
      throw broken(
        'the OpenPGP key before did not endorse the rotation, and is not revoked as compromised: it is signed by one key alone',
      )
    this.#spans.push(this.#span(after, index + 1, entry.time))
    this.#rotations.push({ index, entry, certified, endorsed })
  }

  async #revoke(index: number, entry: EntryOf<'key-revoked'>): Promise<void> {
    const { origin } = this.#parts.opened
    const { key, revoked, reason, at } = entry
    const now = this.#spans.at(-1)!
    if (!this.#spans.some(span => span[key] === revoked)) throw broken('a revocation of a key that never spoke')
    const text = Buffer.from(revocationText({ origin, key, revoked, reason, at }))
    await this.#signedBy(now.seal, text, entry.certification)
    if (now[key] === revoked)
      throw new KeyError('KEY_REVOKED', `the ${key} key that speaks is revoked by entry ${index}`, { index })
    this.#revoked.push({ key: revoked, reason, at, index })
  }

  /** From the pin on, each rotation of the OpenPGP key must have been endorsed, and by a key that was not in other hands then. */
  #followPin(): void {
    const { fingerprint, existedBy } = this.#parts
    let reached = false
    for (const { index, entry, endorsed } of this.#rotations) {
      if (entry.key !== 'seal') continue
      reached ||= entry.old === fingerprint
      if (!reached) continue
      const made = { key: entry.old, size: index + 1, created: endorsed ?? new Date(0) }
      const revocation =
        endorsed === undefined
          ? this.#revoked.find(({ key }) => key === entry.old)
          : voids(this.#revoked, made, existedBy)
      if (endorsed !== undefined && revocation === undefined) continue
      const why = revocation === undefined ? 'endorsed nothing' : `was ${sayRevoked(revocation)}`
      const what = `OpenPGP key ${entry.old} ${why}: nobody but the owner of the ledger can say that ${entry.new} follows it (entry ${index})`
      throw new KeyError('KEY_COMPROMISED', what, { index, expected: fingerprint, actual: entry.new })
    }
  }

  /** The key that speaks now must have been its owner's when it took over. @param first when it certified entry 0, where it did */
  #requireStanding(first: Date): void {
    const { seal: key } = this.#spans.at(-1)!
    const last = this.#rotations.findLast(({ entry }) => entry.key === 'seal')
    const made = { key, size: last === undefined ? 1 : last.index + 1, created: last?.certified ?? first }
    const revocation = voids(this.#revoked, made, this.#parts.existedBy)
    if (revocation === undefined) return
    throw new KeyError('KEY_REVOKED', `OpenPGP key ${key} is ${sayRevoked(revocation)}`, { expected: key })
  }

  /**
   * A certificate may say that its key is revoked where no entry does: the owner's own word, wherever it
   * comes from. Beside an entry it counts where it says worse: whoever stole the key can have that entry
   * made, by a successor of his own, and call it retired.
   */
  async #readRevocation(fingerprint: string): Promise<void> {
    const { certificate } = await this.#certificateOf(fingerprint)
    const { revocation } = await readCertificate(certificate)
    if (revocation === undefined) return
    const { reason, at, isSaid } = revocation
    const entries = this.#revoked.filter(({ key }) => key === fingerprint)
    if (entries.length > 0) {
      // One that was made with the key gives no reason, and is of then: of the ledger's own copy, the entry says why it was published.
      const isGiven = this.#parts.isGiven && fingerprint === this.#parts.fingerprint
      if (reason !== 'compromised' || !(isSaid || isGiven)) return
      // To the second, which is what a certificate tells.
      const isToldBy = (one: RevokedKey) =>
        one.reason === 'compromised' && Math.floor(Date.parse(one.at) / 1000) * 1000 <= at.getTime()
      if (entries.some(isToldBy)) return
    }
    this.#revoked.push({
      key: fingerprint,
      reason,
      at: at.toISOString(),
      index: undefined,
    })
  }

  async #signedBy(fingerprint: string, data: Buffer, signature: string): Promise<Date> {
    const { verifier } = await this.#certificateOf(fingerprint)
    // It may have expired since: what it signed before stays.
    return verifier.verify(data, signature, 'signed')
  }

  async #certificateOf(fingerprint: string): Promise<SealKey> {
    const known = this.#certificates.get(fingerprint)
    if (known !== undefined) return known
    const certificate = await this.#parts.certificate(fingerprint)
    if (certificate === undefined) {
      throw new KeyError('KEY_SUBSTITUTED', `no certificate of OpenPGP key ${fingerprint}`, {
        expected: fingerprint,
        file: certificateFile,
      })
    }
    const verifier = await DetachedVerifier.of({ certificate, fingerprint, revoked: 'judged elsewhere' })
    const key = { fingerprint, certificate, verifier }
    this.#certificates.set(fingerprint, key)
    return key
  }

  #span({ note, seal }: KeyPair, since: number, time: string | undefined): Span {
    const verifier = parseVerifierKey(note)
    if (verifier.name !== this.#parts.opened.origin) throw broken('the note key is named for another origin')
    return { note, seal, since, time, verifier }
  }
}

/** Both were appended together. */
const excuses = (next: KeyEntry | undefined, index: number, old: string): boolean =>
  next?.index === index + 1 &&
  next.entry.kind === 'key-revoked' &&
  next.entry.revoked === old &&
  next.entry.reason === 'compromised'

const broken = (what: string) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', what)
