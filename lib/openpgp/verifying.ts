/** Detached signatures, judged by a pinned key, and by what is said of it as of when they were made. */
import * as openpgp from 'openpgp'
import { isOurs } from '../errors.ts'
import { parseCertificate, parseFingerprint, parseSignature, printed, unsigned } from './reading.ts'

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
