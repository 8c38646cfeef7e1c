/** Certificates for tests of TLS between hosts, made by openssl: of an authority that lives as long as the file's tests. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import type { MutualTls } from '../../lib/ledger/shared/certificate.ts'
import { findTool } from './interop.ts'

export interface Issued {
  /** Subject alternative names, as `openssl` has them in a section: `URI.1=...` */
  readonly names: readonly string[]
  readonly use: 'clientAuth' | 'serverAuth'
  /** Milliseconds from now. */
  readonly from?: number
  readonly until?: number
}

export interface Authority {
  /** Of who issues: PEM. */
  readonly ca: string
  issue(issued: Issued): MutualTls
}

const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
const day = 86_400_000
const dateOf = (ms: number) => `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

export function authority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'counterfoil-certificates-'))
  folders.push(folder)
  const openssl = (...args: string[]) =>
    execFileSync(findTool('openssl')!, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  openssl('req', '-x509', ...ec, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test authority', '-days', '2')
  writeFileSync(join(folder, 'index.txt'), '')
  const ca = read('ca.pem')
  return {
    ca,
    issue: ({ names, use, from = -day, until = day }) => {
      // Whoever writes the request gets no say in what is issued.
      openssl('req', ...ec, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=leaf')
      writeFileSync(join(folder, 'ca.cnf'), settings(names, use))
      const now = Date.now()
      const dates = ['-startdate', dateOf(now + from), '-enddate', dateOf(now + until)]
      openssl('ca', '-batch', '-notext', '-config', 'ca.cnf', '-in', 'leaf.csr', '-out', 'leaf.pem', ...dates)
      return { key: read('leaf.key'), cert: read('leaf.pem'), ca }
    },
  }
}

const settings = (names: readonly string[], use: string) => `[ca]
default_ca=test
[test]
database=index.txt
new_certs_dir=.
certificate=ca.pem
private_key=ca.key
default_md=sha256
rand_serial=yes
unique_subject=no
policy=any
x509_extensions=leaf
[any]
commonName=supplied
[leaf]
basicConstraints=critical,CA:FALSE
extendedKeyUsage=${use}
subjectAltName=@names
[names]
${names.join('\n')}
`
