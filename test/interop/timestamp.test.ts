/** OpenSSL as a timestamping authority, made on the fly: it answers our requests, we verify its answers, and it verifies what we keep. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished } from 'vitest'
import { acceptTimestamp, requestFor, stampBy } from '../../lib/anchors/obtain.ts'
import { isTrusted, readAuthorities, readTimestamp } from '../../lib/format/timestamp.ts'
import { listenOn } from '../../lib/listening.ts'
import { anchoredLedger, cosigned, publish } from '../support/anchored-ledger.ts'
import { interop } from '../support/interop.ts'

const folder = mkdtempSync(join(tmpdir(), 'counterfoil-tsa-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const refused = expect.objectContaining({ code: 'ERR_CHECKPOINT_SIGNATURE' })

interface Authority {
  readonly ca: string
  answer(request: Buffer): Buffer
}

const made = new Map<string, Authority>()

/** @param usage of the extension extendedKeyUsage. @param key as `openssl req -newkey` names it */
function authority(openssl: string, name: string, usage = 'critical,timeStamping', key = 'ec:params'): Authority {
  const found = made.get(name)
  if (found !== undefined) return found
  const at = (file: string) => join(folder, `${name}-${file}`)
  const run = (...args: string[]) => execFileSync(openssl, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  run('genpkey', '-genparam', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'params')
  const subject = ['-nodes', '-newkey', key]
  run(
    'req',
    '-x509',
    ...subject,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-subj',
    `/CN=${name} CA`,
    '-days',
    '30',
  )
  run('req', ...subject, '-keyout', at('tsa.key'), '-out', at('tsa.csr'), '-subj', `/CN=${name} TSA`)
  writeFileSync(at('ext'), `keyUsage=critical,digitalSignature\nextendedKeyUsage=${usage}\n`)
  const signedBy = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '20']
  run('x509', '-req', '-in', at('tsa.csr'), '-out', at('tsa.pem'), '-extfile', at('ext'), ...signedBy)
  writeFileSync(at('serial'), '01\n')
  const config = [
    '[tsa]',
    'default_tsa=t',
    '[t]',
    `serial=${at('serial')}`,
    'crypto_device=builtin',
    `signer_cert=${at('tsa.pem')}`,
  ]
  const more = [
    `signer_key=${at('tsa.key')}`,
    'signer_digest=sha256',
    'default_policy=1.2.3.4',
    'digests=sha256',
    'ess_cert_id_alg=sha256',
  ]
  writeFileSync(at('cnf'), `${[...config, ...more].join('\n')}\n`)
  const answer = (request: Buffer) => {
    writeFileSync(at('req'), request)
    run('ts', '-reply', '-config', at('cnf'), '-section', 't', '-queryfile', at('req'), '-out', at('resp'))
    return readFileSync(at('resp'))
  }
  const result = { ca: at('ca.pem'), answer }
  made.set(name, result)
  return result
}

const authorities = ({ ca }: Authority) => readAuthorities(readFileSync(ca, 'utf8'))

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
        const server = createServer(async (request, response) => {
          const parts: Buffer[] = []
          for await (const part of request) parts.push(part)
          response.setHeader('content-type', 'application/timestamp-reply').end(tsa.answer(Buffer.concat(parts)))
        })
        onTestFinished(() => void server.close())
        const { port } = await listenOn(server, 0, '127.0.0.1')
        const { directory } = ledger.options
        const got = await stampBy(directory, `http://127.0.0.1:${port}/`, authorities(tsa))
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
      const { request, nonce, size } = await requestFor(one.options.directory)
      const response = tsa.answer(request)
      const take = (directory: string, of = tsa, said?: string) =>
        acceptTimestamp(directory, response, authorities(of), said)
      await expect(take(two.options.directory)).rejects.toThrowError(refused)
      await expect(take(one.options.directory, tsa, 'ff'.repeat(8))).rejects.toThrowError(refused)
      await expect(take(one.options.directory, authority(openssl, 'other'))).rejects.toThrowError(refused)
      expect(await take(one.options.directory, tsa, nonce)).toMatchObject({ size })
    },
  )

  interop(
    'openssl',
    'is refused with any byte of it changed that is signed, and never trusted with any byte changed at all',
    async openssl => {
      const tsa = authority(openssl, 'ec')
      const ledger = await anchoredLedger()
      await ledger.use(1)
      const response = tsa.answer((await requestFor(ledger.options.directory)).request)
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
    'is refused from a certificate that is not for time stamping alone, or not critically so',
    async openssl => {
      const ledger = await anchoredLedger()
      await ledger.use(1)
      const { request } = await requestFor(ledger.options.directory)
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
