/**
 * What is negotiated, towards clients and hosts alike: no SHA-1, no CBC, no group under 2048 bits, no compression (what it saves tells
 * of what is sent). ssh2 has no post-quantum key exchange yet. Against Terrapin it has the strict key exchange of OpenSSH.
 */
import type { Algorithms } from 'ssh2'

/** RSA keys sign by SHA-2 only (RFC 8332). */
export const signatures = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const

/** @param serverHostKey a host's pinned keys say by which algorithms it may prove itself */
export const algorithms = (serverHostKey: readonly string[] = signatures): Algorithms => ({
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group14-sha256',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
    'chacha20-poly1305@openssh.com',
  ],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  serverHostKey: serverHostKey as NonNullable<Algorithms['serverHostKey']>,
  compress: ['none'],
})
