/** Keys that expire: what is said of them before and afterwards, and how they are extended. */
import { type Certificate, type Ending, readCertificate } from './certificate.ts'

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
