/** OpenSSL as a timestamping authority, made on the fly: its requests and answers are RFC 3161's. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, onTestFinished } from 'vitest'
import { readAuthorities } from '../../lib/format/timestamp.ts'
import { listenOn } from '../../lib/listening.ts'

const folder = mkdtempSync(join(tmpdir(), 'counterfoil-tsa-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

export interface Authority {
  /** PEM, of what certifies it. */
  readonly ca: string
  answer(request: Buffer): Buffer
}

const made = new Map<string, Authority>()

/**
 * @param name of one that is made once for a file of tests. @param usage of the extension extendedKeyUsage. @param key
 * as `openssl req -newkey` names it
 */
export function authority(
  openssl: string,
  name: string,
  usage = 'critical,timeStamping',
  key = 'ec:params',
): Authority {
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

export const authorities = ({ ca }: Authority) => readAuthorities(readFileSync(ca, 'utf8'))

/** @returns its address */
export async function serveAuthority(tsa: Authority): Promise<string> {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    response.setHeader('content-type', 'application/timestamp-reply').end(tsa.answer(Buffer.concat(parts)))
  })
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(await listenOn(server, 0, '127.0.0.1')).port}/`
}
