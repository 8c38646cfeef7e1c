/**
 * The one door to OpenPGP: v4 ed25519Legacy keys that gpg 2.2, sqv and rnp read, detached binary signatures, and their
 * verification against a fingerprint that comes from outside. Seals only: a signature costs about a millisecond.
 */
import * as openpgp from 'openpgp'
import { isOurs, LedgerError, Misuse } from './errors.ts'
import type { Reason } from './format/key-text.ts'
import { packetBodies } from './openpgp-packets.ts'

export interface KeyFiles {
  /** Armored, encrypted where a passphrase was given. */
  readonly privateKey: string
  /** Armored. */
  readonly certificate: string
  /** Armored; published when the key is lost or no longer trusted. */
  readonly revocation: string
  /** 40 upper-case hex digits. */
  readonly fingerprint: string
}

export interface NewKey {
  readonly name: string
  readonly email?: string
  readonly passphrase?: string
  /** The time of creation; now, where absent. */
  readonly date?: Date
  /** Seconds until it expires; never, where absent. */
  readonly lifetime?: number
}

/** An unlocked private key. */
export interface SigningKey {
  readonly fingerprint: string
  /** Armored. */
  readonly certificate: string
  readonly key: openpgp.PrivateKey
}

export interface Certificate {
  /** 40 upper-case hex digits. */
  readonly fingerprint: string
  readonly userIds: readonly string[]
  readonly created: Date
  /**
   * When nothing signs for it any more, as it stands now: when it ends itself, or the subkey that signs for it does
   * before. Undefined: it does not expire.
   */
  readonly expires: Date | undefined
  /** The fingerprint of that subkey, where it is the one that ends. */
  readonly subkey: string | undefined
  readonly revoked: boolean
  /** Its own, where it is revoked. */
  readonly revocation: KeyRevocation | undefined
}

export interface KeyRevocation {
  /** One that gives no reason counts as compromised: RFC 9580, 5.2.3.31. */
  readonly reason: Reason
  /** Whether it gives that reason itself. */
  readonly isSaid: boolean
  readonly at: Date
}

export interface DetachedSignature {
  readonly data: Uint8Array
  /** Binary packets, or armored. */
  readonly signature: Uint8Array | string
  /** Armored. */
  readonly certificate: string
  /** Pinned: 40 hex digits, from outside the thing that is verified. */
  readonly fingerprint: string
  /**
   * The key must have been valid at this time; now, where absent. `signed`: when the signature says that it
   * was made. By what its certificate says of it then; where all that it says is newer, as gpg leaves it when
   * a lifetime is extended, by that: it stands for the time before it too, back to when the key was made. So
   * is a subkey that signed, by what is said of that.
   */
  readonly at?: Date | 'signed'
  /**
   * Whoever asks judges the key's revocation, by what else it knows. Default: a key that is revoked, whenever it was, has signed nothing.
   */
  readonly revoked?: 'refused' | 'judged elsewhere'
}

const unsigned = (what: string, cause?: unknown) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', what, {}, cause)
const unusable = (what: string, cause?: unknown) => new Misuse('ERR_OPTION_INVALID', what, {}, cause)
const printed = (fingerprint: string) => fingerprint.toUpperCase()

/** @returns 40 upper-case hex digits; spaces are taken out. @throws Misuse ERR_OPTION_INVALID */
export function parseFingerprint(text: string): string {
  const fingerprint = text.replaceAll(/\s/g, '').toUpperCase()
  if (!/^[0-9A-F]{40}$/.test(fingerprint)) throw unusable('an OpenPGP fingerprint is 40 hex digits')
  return fingerprint
}

/** A v4 key that can certify and sign, with no encryption subkey. */
export async function generateKey({ name, email, passphrase, date, lifetime }: NewKey): Promise<KeyFiles> {
  const made = await openpgp.generateKey({
    // Set explicitly: algorithm 27 and v6 keys verify in none of gpg 2.2, sqv, rnp.
    type: 'ecc',
    curve: 'ed25519Legacy',
    userIDs: [email === undefined ? { name } : { name, email }],
    subkeys: [],
    format: 'armored',
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(date === undefined ? {} : { date }),
    ...(lifetime === undefined ? {} : { keyExpirationTime: lifetime }),
  })
  const { fingerprint } = await readCertificate(made.publicKey)
  return {
    privateKey: made.privateKey,
    certificate: made.publicKey,
    revocation: made.revocationCertificate,
    fingerprint,
  }
}

/** @throws Misuse ERR_OPTION_INVALID: no private key, or the passphrase is missing or wrong */
export async function readPrivateKey(armored: string, passphrase?: string): Promise<SigningKey> {
  let key: openpgp.PrivateKey
  try {
    key = await openpgp.readPrivateKey({ armoredKey: armored })
  } catch (cause) {
    throw unusable('not an armored OpenPGP private key', cause)
  }
  if (!key.isDecrypted()) {
    if (passphrase === undefined) throw unusable('the OpenPGP private key needs its passphrase')
    try {
      key = await openpgp.decryptKey({ privateKey: key, passphrase })
    } catch {
      throw unusable('the passphrase does not open the OpenPGP private key')
    }
  }
  return { fingerprint: printed(key.getFingerprint()), certificate: key.toPublic().armor(), key }
}

/** Somebody to whom things are encrypted, and who is not asked. */
export interface Recipient {
  readonly fingerprint: string
  readonly key: openpgp.Key
}

/** @throws Misuse ERR_OPTION_INVALID: no certificate, one that is revoked or has expired, or one that nothing can be encrypted to */
export async function readRecipient(armored: string, now = new Date()): Promise<Recipient> {
  const key = await parseCertificate(armored).catch(cause => {
    throw unusable('not an armored OpenPGP certificate', cause)
  })
  const fingerprint = printed(key.getFingerprint())
  // RFC 9580 has v6: gpg 2.2, sqv and rnp read none of those.
  if (fingerprint.length !== 40) throw unusable('an OpenPGP certificate of a version that is not 4')
  if (await key.isRevoked()) throw unusable(`the OpenPGP certificate ${fingerprint} is revoked`)
  await key.getEncryptionKey(undefined, now).catch(cause => {
    throw unusable(
      `nothing can be encrypted to the OpenPGP certificate ${fingerprint}: no key for that, or it expired`,
      cause,
    )
  })
  return { fingerprint, key }
}

/** @returns the binary packets of a message that each of them can open, and nobody else */
export async function encryptTo(recipients: readonly Recipient[], data: Uint8Array): Promise<Uint8Array> {
  const message = await openpgp.createMessage({ binary: data })
  return openpgp.encrypt({ message, encryptionKeys: recipients.map(({ key }) => key), format: 'binary' })
}

/** @throws LedgerError ERR_DISCLOSURE_MISMATCH where it is no message, or not to this key */
export async function decryptWith({ key, fingerprint }: SigningKey, packets: Uint8Array): Promise<Uint8Array> {
  try {
    const message = await openpgp.readMessage({ binaryMessage: packets })
    const { data } = await openpgp.decrypt({ message, decryptionKeys: key, format: 'binary' })
    return data
  } catch (cause) {
    throw new LedgerError('ERR_DISCLOSURE_MISMATCH', `an OpenPGP message that ${fingerprint} does not open`, {}, cause)
  }
}

type Ending = Pick<Certificate, 'expires' | 'subkey'>

/** What to do about a key that is past its lifetime; undefined of one that is not. */
export function sayExpired(key: Ending & Pick<Certificate, 'fingerprint'>, now = new Date()): string | undefined {
  if (key.expires === undefined || key.expires > now) return undefined
  const when = key.expires.toISOString()
  return `${named(key)} expired at ${when}, and signs nothing more, not even its rotation to another key: ${howToExtend(key)}`
}

const named = ({ fingerprint, subkey }: Pick<Certificate, 'fingerprint' | 'subkey'>): string =>
  subkey === undefined
    ? `the OpenPGP key ${fingerprint}`
    : `the subkey ${subkey}, which signs for the OpenPGP key ${fingerprint},`

const howToExtend = ({ fingerprint, subkey }: Pick<Certificate, 'fingerprint' | 'subkey'>): string =>
  `extend it (gpg --quick-set-expire ${fingerprint} 2y${subkey === undefined ? '' : ` ${subkey}`}); where gpg does not hold it for the ledger, ` +
  `import its file before (gpg --import), and put what gpg exports then (gpg --armor --export-secret-keys ${fingerprint}) in its place; then start again`

const soonMs = 30 * 86_400_000

/**
 * @returns what to say of a certificate of which nothing signs in a month, as it stands; undefined where something
 * does. @throws as readCertificate
 */
export async function expiresSoon(certificate: string, now = new Date()): Promise<string | undefined> {
  const key = await readCertificate(certificate, now)
  if (key.expires === undefined || key.expires.getTime() - now.getTime() > soonMs) return undefined
  return `${named(key)} expires at ${key.expires.toISOString()}, and seals nothing from then on: ${howToExtend(key)}`
}

/**
 * @returns the binary packets of a signature over exactly these bytes (signature type 0x00). @throws Misuse
 * ERR_OPTION_INVALID where the key expired, or nothing signs for it
 */
export async function signDetached(
  { key, fingerprint }: SigningKey,
  data: Uint8Array,
  date = new Date(),
): Promise<Uint8Array> {
  const expired = sayExpired({ fingerprint, ...(await endOf(key, date)) }, date)
  if (expired !== undefined) throw unusable(expired)
  const message = await openpgp.createMessage({ binary: data })
  return openpgp.sign({ message, signingKeys: key, detached: true, format: 'binary', date }).catch(cause => {
    throw unusable(
      `nothing signs for the OpenPGP key ${fingerprint}: it is revoked, or it signs nothing itself (its primary key is kept elsewhere, or is only to ` +
        'certify) and has no subkey for that which is in force; see what there is (gpg --list-keys --with-subkey-fingerprint), give it one where its primary key is ' +
        `(gpg --quick-add-key ${fingerprint} ed25519 sign 2y), put what gpg exports then (gpg --armor --export-secret-subkeys ${fingerprint}) in its place, ` +
        'and start again',
      cause,
    )
  })
}

/** The same packets in ASCII armor, as gpg and sqv read them from a file. */
export function armorSignature(packets: Uint8Array): string {
  // With its CRC: without one, gpg 2.2 fails on text that ends with no padding (https://dev.gnupg.org/T7071).
  return openpgp.armor(openpgp.enums.armor.signature, packets, undefined, undefined, undefined, true)
}

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE where it is no certificate */
export async function readCertificate(armored: string, now = new Date()): Promise<Certificate> {
  const key = await parseCertificate(armored)
  let ending: Ending
  try {
    ending = await endOf(key, now)
  } catch (cause) {
    throw unsigned('an OpenPGP certificate without a valid user id', cause)
  }
  return {
    fingerprint: printed(key.getFingerprint()),
    userIds: key.getUserIDs(),
    created: key.getCreationTime(),
    ...ending,
    revoked: await key.isRevoked(),
    revocation: await revocationOf(key),
  }
}

/**
 * Of the subkey that signs at a time, where one does: that the key itself could go on in its stead, its certificate
 * does not tell, since that may be offline. Where nothing signs any more, of the subkey that did so last.
 */
async function endOf(key: openpgp.Key, now: Date): Promise<Ending> {
  const own = dateIn(await key.getExpirationTime())
  const signing = await key.getSigningKey(undefined, now).catch(() => undefined)
  const signers =
    signing === undefined ? key.subkeys.filter(isForSigning) : signing instanceof openpgp.Subkey ? [signing] : []
  let [expires, subkey]: [Date?, string?] = []
  for (const one of signers) {
    const end = dateIn(await one.getExpirationTime(now))
    if (end !== undefined && (expires === undefined || end > expires))
      [expires, subkey] = [end, printed(one.getFingerprint())]
  }
  return expires === undefined || (own !== undefined && own <= expires)
    ? { expires: own, subkey: undefined }
    : { expires, subkey }
}

/** A revoked key has no expiration time (null), and neither has one that never expires (Infinity). */
const dateIn = (time: Date | number | null): Date | undefined => (time instanceof Date ? time : undefined)

/** RFC 9580, 5.2.1.9: a subkey that signs carries a signature of its own over the key that it is bound to. */
const isForSigning = ({ bindingSignatures }: openpgp.Subkey): boolean =>
  bindingSignatures.some(({ embeddedSignature }) => embeddedSignature != null)

const { reasonForRevocation } = openpgp.enums
const reasonFlags = [
  ['superseded', reasonForRevocation.keySuperseded],
  ['retired', reasonForRevocation.keyRetired],
  ['compromised', reasonForRevocation.keyCompromised],
] as const

/** By its own hand; of several, the one that leaves least. */
async function revocationOf(key: openpgp.Key): Promise<KeyRevocation | undefined> {
  if (!(await key.isRevoked())) return undefined
  const all = key.revocationSignatures
    .map(({ reasonForRevocationFlag: flag, created }): KeyRevocation => {
      const said = reasonFlags.find(([, known]) => known === flag)
      return { reason: said?.[0] ?? 'compromised', isSaid: said !== undefined, at: created ?? new Date(0) }
    })
    .sort((a, b) => a.at.getTime() - b.at.getTime())
  const compromised = all.filter(({ reason }) => reason === 'compromised')
  return compromised.find(({ isSaid }) => isSaid) ?? compromised[0] ?? all[0]
}

/** The key's own certificate, revoked by it, for publication. */
export async function revokeOwn({ key }: SigningKey, reason: Reason, at = new Date()): Promise<string> {
  const [, flag] = reasonFlags.find(([name]) => name === reason)!
  const { publicKey } = await openpgp.revokeKey({
    key,
    reasonForRevocation: { flag, string: reason },
    date: at,
    format: 'armored',
  })
  return publicKey
}

/** Merges a revocation certificate into a certificate, for publication. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export async function revoke(certificate: string, revocation: string): Promise<string> {
  const key = await parseCertificate(certificate)
  try {
    const revoked = await openpgp.revokeKey({ key, revocationCertificate: revocation, format: 'armored' })
    return revoked.publicKey
  } catch (cause) {
    throw unsigned('the revocation certificate is not for this key', cause)
  }
}

/** @returns when the last of them says that it was made. @throws as DetachedVerifier */
export async function verifyDetached({ data, signature, at, ...key }: DetachedSignature): Promise<Date> {
  const verifier = await DetachedVerifier.of(key)
  return verifier.verify(data, signature, at)
}

/** For many signatures by one key: what its certificate says of itself is verified once, however much that is. */
export class DetachedVerifier {
  readonly #key: openpgp.Key
  readonly #newest: NewestWords

  private constructor(key: openpgp.Key, newest: NewestWords) {
    this.#key = key
    this.#newest = newest
  }

  /** @throws LedgerError ERR_CHECKPOINT_SIGNATURE: no certificate, of another key, revoked */
  static async of({
    certificate,
    fingerprint,
    revoked = 'refused',
  }: Pick<DetachedSignature, 'certificate' | 'fingerprint' | 'revoked'>): Promise<DetachedVerifier> {
    const pinned = parseFingerprint(fingerprint)
    const key = await parseCertificate(certificate)
    if (printed(key.getFingerprint()) !== pinned) throw unsigned('the certificate is not of the pinned fingerprint')
    if (revoked === 'judged elsewhere') key.revocationSignatures = []
    if (await key.isRevoked()) throw unsigned('the signing key is revoked')
    return new DetachedVerifier(key, await newestWords(certificate))
  }

  /**
   * @returns since when the key has been past its lifetime, at that time; undefined where it is not. What it signed
   * before is of no less worth, but for whoever has taken it since, and dates back.
   */
  async expiredBy(now: Date): Promise<Date | undefined> {
    const expires = await this.#key.getExpirationTime()
    return expires instanceof Date && expires <= now ? expires : undefined
  }

  /**
   * Every signature given must be a good one, over the bytes as they are, by the pinned key or a signing subkey of it.
   * @param signature as of DetachedSignature. @param at too. @returns when the last of them says that it was made
   * @throws LedgerError ERR_CHECKPOINT_SIGNATURE: another key, expired, malformed, or a false signature
   */
  async verify(data: Uint8Array, signature: Uint8Array | string, at?: Date | 'signed'): Promise<Date> {
    const parsed = await parseSignature(signature)
    const made = parsed.packets.map(({ created }) => created ?? new Date())
    const when = at === 'signed' ? latest(made) : (at ?? new Date())
    if (at !== 'signed') {
      await this.#key.verifyPrimaryKey(when).catch(cause => {
        throw unsigned('the signing key is expired or not valid', cause)
      })
    }
    const message = await openpgp.createMessage({ binary: data })
    // It rejects as a whole where a packet is of a kind that it does not know.
    const { signatures } = await openpgp
      .verify({ message, signature: parsed, verificationKeys: this.#judging(), format: 'binary', date: when })
      .catch(rejected)
    if (signatures.length === 0) throw unsigned('no OpenPGP signature')
    for (const one of signatures) {
      const packets = (await one.signature.catch(rejected)).packets
      // A text signature (0x01) also fits the same text with other line ends: bytes are what is signed here.
      if (packets.some(packet => packet.signatureType !== openpgp.enums.signature.binary)) {
        throw unsigned('an OpenPGP signature that is not over binary data')
      }
      await one.verified.catch(rejected)
    }
    return latest(made)
  }

  /**
   * openpgp.js judges a subkey and its key as of one time. Each has its own here: when the signature was made, or where
   * all that the certificate says of it is newer, the newest of that. A key that was extended since says nothing new of
   * a subkey that ended, or was retired, in between.
   */
  #judging(): openpgp.Key {
    const [key, newest] = [this.#key, this.#newest]
    const judging: openpgp.Key = Object.create(key)
    judging.getSigningKey = async (id, date) => {
      const made = date ?? new Date()
      const own = await key.getPrimaryUser(made).then(
        () => made,
        () => latest([made, newest.own]),
      )
      const subkey = key.subkeys.find(one => id?.equals(one.getKeyID()))
      if (subkey === undefined) return key.getSigningKey(id, own)
      const isSaid = (await subkey.getExpirationTime(made)) !== null
      const told = newest.subkeys.get(subkey.getFingerprint())
      const then = isSaid || told === undefined ? made : latest([made, told])
      if (await subkey.isRevoked(whole, key.keyPacket, then))
        throw unsigned(
          `the subkey ${printed(subkey.getFingerprint())} is revoked, and from before it signed, or as compromised`,
        )
      const both: openpgp.Key = Object.create(key)
      both.verifyPrimaryKey = () => key.verifyPrimaryKey(own)
      return both.getSigningKey(id, then)
    }
    return judging
  }
}

// openpgp.js takes null for both, and its types do not.
const anytime = null as unknown as Date
/** Of a subkey as a whole, and not of one signature that binds it. */
const whole = null as unknown as openpgp.SignaturePacket

const latest = (times: readonly Date[]): Date => new Date(Math.max(...times.map(time => time.getTime())))

/** When a certificate said last what it says of its key, and of each subkey by its fingerprint. */
interface NewestWords {
  readonly own: Date
  readonly subkeys: ReadonlyMap<string, Date>
}

/** Each verified, so that nobody else chooses it. Whether a key has expired or is revoked is not asked here. */
async function newestWords(certificate: string): Promise<NewestWords> {
  // Read by itself: openpgp.js marks what it once found to be revoked, as of whichever time that was.
  const key = await parseCertificate(certificate)
  for (const one of [...key.users, ...key.subkeys]) one.revocationSignatures = []
  const own = await key.getPrimaryUser(anytime).catch(cause => {
    throw unsigned('an OpenPGP certificate without a valid user id', cause)
  })
  const subkeys = new Map<string, Date>()
  for (const subkey of key.subkeys) {
    const { created } = (await subkey.verify(anytime).catch(() => undefined)) ?? {}
    if (created instanceof Date) subkeys.set(subkey.getFingerprint(), created)
  }
  return { own: own.selfCertification.created ?? new Date(0), subkeys }
}

const rejected = (cause: unknown): never => {
  throw isOurs(cause) ? cause : unsigned('a false OpenPGP signature', cause)
}

async function parseCertificate(armored: string): Promise<openpgp.Key> {
  try {
    const key = await openpgp.readKey({ armoredKey: armored })
    if (!key.isPrivate()) return key
  } catch (cause) {
    throw unsigned('not an armored OpenPGP certificate', cause)
  }
  throw unsigned('a private key stands where a certificate is expected')
}

async function parseSignature(signature: Uint8Array | string): Promise<openpgp.Signature> {
  let [parsed, given, written]: [openpgp.Signature | undefined, Buffer[], Buffer[]] = [undefined, [], []]
  try {
    const binarySignature = typeof signature === 'string' ? await unarmored(signature) : signature
    parsed = await openpgp.readSignature({ binarySignature })
    given = packetBodies(binarySignature)
    written = packetBodies(parsed.write())
  } catch (cause) {
    throw unsigned('not an OpenPGP signature', cause)
  }
  // RFC 9580, 3.2: an integer's length in bits is exact. Readers take a lower one for the same integer, and no signature covers it.
  if (given.length !== written.length || given.some((body, i) => !body.equals(written[i]!))) {
    throw unsigned('an OpenPGP signature that is not written as it must be')
  }
  return parsed
}

async function unarmored(text: string): Promise<Uint8Array> {
  const { data } = await openpgp.unarmor(text)
  return data as Uint8Array
}
