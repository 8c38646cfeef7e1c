/** What counterfoil.yaml says of a ledger on another host, and of one that takes writers of other hosts. */
import { beforeAll, describe, expect, it } from 'vitest'
import { isRemote, loadConfig, loadGuardConfig } from '../../lib/config/config.ts'
import { type MutualTls, tlsOf, writerUri } from '../../lib/ledger/shared/certificate.ts'
import { authority } from '../support/certificates.ts'
import { without } from '../support/interop.ts'
import { counterfoilYaml, env, folderWith, problemsOf } from './support.ts'

let own: MutualTls
let host: MutualTls

const files = (ledger: string, { key, cert, ca }: MutualTls = own) => ({
  'counterfoil.yaml': counterfoilYaml.replace(/ledger:\n(?: {2}.*\n)+/, `ledger:\n${ledger}`),
  ...{ 'tls/key.pem': key, 'tls/cert.pem': cert, 'tls/ca.pem': ca },
})
const tls = 'tls: { key: file:./tls/key.pem, cert: ./tls/cert.pem, ca: ./tls/ca.pem }'
const remote = (gateway: string, more = '') => `  gateway: ${gateway}\n  writer: web-1\n  ${tls}\n${more}`

describe.skipIf(without('openssl'))('a ledger on another host (with openssl)', () => {
  beforeAll(() => {
    const ours = authority()
    own = ours.issue({ names: [`URI.1=${writerUri('crm-gateway', 'web-1')}`], use: 'clientAuth' })
    host = ours.issue({ names: ['IP.1=127.0.0.1'], use: 'serverAuth' })
  })

  it('is its addresses, the name of this process, and a certificate that is read anew', async () => {
    const path = await folderWith(files(remote('[tls://a.example:7443, "tls://[::1]:7443"]')))
    const config = await loadGuardConfig(path, { env })
    if (!isRemote(config)) throw new Error('it is remote')
    const { urls, writer } = config.gateway
    expect({ urls, writer }).toEqual({ urls: ['tls://a.example:7443', 'tls://[::1]:7443'], writer: 'web-1' })
    expect(tlsOf(config.gateway.tls).cert).toBe(own.cert.trimEnd())
  })

  it('is refused to whoever needs the ledger itself, with where that is', async () => {
    const path = await folderWith(files(remote('tls://a.example:7443')))
    await expect(loadConfig(path, { env })).rejects.toMatchObject({
      ...{ code: 'ERR_OPTION_INVALID', message: expect.stringContaining('on another host (tls://a.example:7443)') },
    })
  })

  it('is refused with what is wrong with it, as one of these and not of the other kind', async () => {
    const problems = async (...args: Parameters<typeof files>) => (await problemsOf(files(...args))).join('\n')
    expect(await problems(remote('https://a.example'))).toMatch(/3:12: .*write tls:\/\/HOST:PORT/)
    expect(await problems(remote('tls://a.example:7443', '  heartbeat: 61s\n'))).toContain('at least every 60s')
    expect(await problems(remote('tls://a.example:7443', '  directory: ./ledger\n'))).toContain(
      '"directory" does not go with the other keys here',
    )
    const nameless = remote('tls://a.example:7443').replace('  writer: web-1\n', '')
    expect(await problems(nameless)).toBe('counterfoil.yaml:3:3: missing key "writer"')
    expect(await problems(remote('tls://a.example:7443').replace('web-1', 'web-2'))).toContain(
      'it needs URI:counterfoil:crm-gateway:web-2 among its subject alternative names',
    )
    expect(await problems(remote('tls://a.example:7443'), { ...own, ca: 'none' })).toContain('not a certificate in PEM')
    expect(await problems(remote('tls://a.example:7443'), { ...own, key: host.key })).toContain(
      'not a private key and its',
    )
  })

  it('is listened for only where it is shared', async () => {
    const listening = (more: string) => ({
      ...files('', host),
      'counterfoil.yaml': counterfoilYaml.replace(
        '  heartbeat: 30s\n',
        `  writer: one\n${more}  listen: { address: 0.0.0.0:7443, ${tls} }\n`,
      ),
    })
    expect(await problemsOf(listening(''))).toEqual([expect.stringContaining('takes no writers of other hosts')])
    const { ledger } = await loadConfig(await folderWith(listening('  shared: true\n')), { env })
    expect(ledger.listen).toMatchObject({ host: '0.0.0.0', port: 7443 })
    expect(tlsOf(ledger.listen!.tls).key).toBe(host.key.trimEnd())
  })
})
