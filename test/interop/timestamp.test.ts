/** OpenSSL as a timestamping authority, made on the fly: it answers our requests, we verify its answers, and it verifies what we keep. */

import { spawnSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { AnchorPlace } from '../../lib/anchors/kept.ts'
import { acceptTimestamp, requestFor, stampBy } from '../../lib/anchors/obtain.ts'
import { isTrusted, readTimestamp } from '../../lib/format/timestamp.ts'
import { anchoredLedger, cosigned, publish } from '../support/anchored-ledger.ts'
import { authorities, authority, serveAuthority } from '../support/authority.ts'
import { algorithms, bentToken, rsaKey } from '../support/bent-token.ts'
import { interop } from '../support/interop.ts'

const refused = expect.objectContaining({ code: 'ERR_CHECKPOINT_SIGNATURE' })

describe('a time stamp of OpenSSL', () => {
  for (const [name, key] of [
    ['ec', 'ec:params'],
    ['rsa', 'rsa:2048'],
  ] as const) {
    interop(
      'openssl',
      `(${name}) is taken over HTTP, recorded, verified by us and, as it is kept, by openssl ts -verify`,
      async openssl => {
        const tsa = authority(openssl, name, 'critical,timeStamping', key)
        const ledger = await anchoredLedger()
        await ledger.use(20)
        const url = await serveAuthority(tsa)
        const { directory } = ledger.options
        const got = await stampBy(ledger.options, url, authorities(tsa))
        const note = readdirSync(join(directory, 'anchors', String(got.size))).find(file => file.endsWith('.note'))!
        const data = join(directory, 'anchors', String(got.size), note)
        const verified = spawnSync(
          openssl,
          ['ts', '-verify', '-data', data, '-in', join(directory, got.file), '-CAfile', tsa.ca],
          { encoding: 'utf8' },
        )
        expect([verified.status, verified.stdout.trim() || verified.stderr]).toEqual([
          0,
          expect.stringContaining('Verification: OK'),
        ])
        await ledger.use(5, open => cosigned(ledger, open, []))
        const result = await ledger.verify({ anchors: { authorities: readFileSync(tsa.ca, 'utf8') } })
        expect([result.verdict, result.findings]).toEqual(['OK', []])
        expect(result.anchors).toMatchObject([{ anchor: 'timestamp', by: got.by, size: got.size }])
        expect(result.undetectable).toContain("by the authority's clock")
        // No entry tells of the stamped note: at an address it is found by the stamp's own word for it.
        const published = { directory: await publish(ledger), anchors: { authorities: readFileSync(tsa.ca, 'utf8') } }
        expect(await ledger.verify(published)).toMatchObject({ verdict: 'OK', anchors: result.anchors })
        const other = authority(openssl, 'other')
        const strange = await ledger.verify({ anchors: { authorities: readFileSync(other.ca, 'utf8') } })
        expect(strange).toMatchObject({ verdict: 'INCOMPLETE', findings: [{ code: 'ANCHOR_ABSENT' }] })
        // What it is of is missed as any anchor is: a stamp alone is no forgery.
        rmSync(data)
        const alone = { code: 'ANCHOR_MISSING', file: `anchors/${got.size}/${note}` }
        expect(await ledger.verify()).toMatchObject({ verdict: 'TAMPERED', findings: [alone] })
      },
    )
  }

  interop(
    'openssl',
    'is taken in two steps, and refused for another checkpoint, another nonce, another authority',
    async openssl => {
      const tsa = authority(openssl, 'ec')
      const [one, two] = [await anchoredLedger(), await anchoredLedger()]
      await one.use(3)
      await two.use(4)
      const { request, nonce, size } = await requestFor(one.options)
      const response = tsa.answer(request)
      const take = (place: AnchorPlace, of = tsa, said?: string) =>
        acceptTimestamp(place, response, authorities(of), said)
      await expect(take(two.options)).rejects.toThrowError(refused)
      await expect(take(one.options, tsa, 'ff'.repeat(8))).rejects.toThrowError(refused)
      await expect(take(one.options, authority(openssl, 'other'))).rejects.toThrowError(refused)
      expect(await take(one.options, tsa, nonce)).toMatchObject({ size })
    },
  )

  interop(
    'openssl',
    'is refused with any byte of it changed that is signed, and never trusted with any byte changed at all',
    async openssl => {
      const tsa = authority(openssl, 'ec')
      const ledger = await anchoredLedger()
      await ledger.use(1)
      const response = tsa.answer((await requestFor(ledger.options)).request)
      const whole = readTimestamp(response)
      expect(isTrusted(whole, authorities(tsa))).toBe(true)
      let refusals = 0
      for (let at = 0; at < response.length; at += 1) {
        const altered = Buffer.from(response.map((byte, i) => (i === at ? byte ^ 0x01 : byte)))
        try {
          const stamp = readTimestamp(altered)
          if (!isTrusted(stamp, authorities(tsa))) refusals += 1
          else expect([stamp.time, stamp.imprint], `byte ${at}`).toEqual([whole.time, whole.imprint])
        } catch (error) {
          expect(error, `byte ${at}`).toEqual(refused)
          refusals += 1
        }
      }
      expect(refusals).toBeGreaterThan(response.length * 0.9)
      expect(() => readTimestamp(Buffer.concat([response, Buffer.of(0)]))).toThrowError(refused)
      expect(() => readTimestamp(response.subarray(0, -1))).toThrowError(refused)
    },
  )

  interop(
    'openssl',
    'is refused, and nothing else, where its certificate has a key that nobody knows, that is none, or of another kind',
    async openssl => {
      const certificateOf = (name: string, key: string) =>
        new X509Certificate(readFileSync(authority(openssl, name, undefined, key).ca)).raw
      const rsa = certificateOf('rsa', 'rsa:2048')
      const at = rsa.indexOf(rsaKey) + rsaKey.length
      const unknown = Buffer.from(rsa).fill(0x6f, at - 1, at)
      const none = Buffer.from(rsa).fill(0xff, at + 8, at + 42)
      const bent = [
        [certificateOf('ed25519', 'ed25519'), algorithms.ecdsaSha256],
        [unknown, algorithms.rsaSha256],
        [none, algorithms.rsaSha256],
      ] as const
      const ledger = await anchoredLedger()
      await ledger.use(3)
      const { directory } = ledger.options
      const note = readFileSync(join(directory, 'checkpoint'))
      const folder = join(directory, 'anchors', note.toString().split('\n')[1]!)
      mkdirSync(folder, { recursive: true })
      const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
      for (const [certificate, algorithm] of bent) {
        const token = bentToken(certificate, digest(note), algorithm)
        expect(() => readTimestamp(token)).toThrowError(refused)
        writeFileSync(join(folder, `${digest(token).toString('base64url')}.tsr`), token)
      }
      const { verdict, findings } = await ledger.verify()
      expect([verdict, findings.map(({ code }) => code)]).toEqual(['TAMPERED', bent.map(() => 'ANCHOR_INVALID')])
      // Beside a good one they issued nothing.
      const tsa = authority(openssl, 'rsa', undefined, 'rsa:2048')
      const whole = readTimestamp(tsa.answer((await requestFor(ledger.options)).request))
      const beside = { ...whole, certificates: [unknown, none].map(bytes => new X509Certificate(bytes)) }
      expect(isTrusted(beside, authorities(authority(openssl, 'other')))).toBe(false)
      expect(isTrusted(beside, authorities(tsa))).toBe(true)
    },
  )

  interop(
    'openssl',
    'is refused from a certificate that is not for time stamping alone, or not critically so',
    async openssl => {
      const ledger = await anchoredLedger()
      await ledger.use(1)
      const { request } = await requestFor(ledger.options)
      const signers = [
        ['plain', 'timeStamping'],
        ['both', 'critical,timeStamping,codeSigning'],
      ] as const
      for (const [name, usage] of signers) {
        let response: Buffer
        try {
          response = authority(openssl, name, usage).answer(request)
        } catch {
          // OpenSSL itself does not stamp with such a certificate: nothing to refuse.
          continue
        }
        expect(() => readTimestamp(response), name).toThrowError(refused)
      }
    },
  )
})
