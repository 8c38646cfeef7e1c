/** Who tries to get around it, and what shows them: the insider, the bypass, the leak; and the auditor, who trusts none of our tools. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { verifyLedger } from '../../evidence/index.ts'
import type { Entry } from '../../lib/format/entry.ts'
import type { Company } from './company.ts'
import { canaries, logins } from './crm.ts'
import { filesUnder, rewriteHistory } from './insider.ts'
import type { Narrator } from './narrator.ts'
import type { Evidence } from './work.ts'

const run = promisify(execFile)

export const aroundTheGateway = 'select count(*) from customers'

/** A direct connection, around the gateway: nothing here can stop it, and the server's own log names it. */
export async function bypass({ postgres, password }: Company): Promise<void> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    connectionString: `postgres://${logins.stray}:${password}@127.0.0.1:${postgres.port}/crm`,
    application_name: 'spreadsheet',
  })
  await client.connect()
  await client.query(aroundTheGateway)
  await client.end()
}

export async function insider(company: Company, { pin }: Evidence, tell: Narrator): Promise<void> {
  tell.act('The insider deletes the drop from the ledger, and signs it all again with the real keys')
  const forged = join(company.folder, 'insider', 'ledger')
  const dropped = (entry: Entry) => 'accesses' in entry && entry.accesses.some(({ action }) => action === 'drop')
  const exchanges = new Set<string>()
  const approvals = new Set<string>()
  // What belongs to it: decisions, outcomes, the approval and its decision.
  const unwanted = (entry: Entry) => {
    if (dropped(entry)) {
      if ('exchange' in entry && entry.exchange !== undefined) exchanges.add(entry.exchange)
      if (entry.kind === 'approval-requested') approvals.add(entry.approval)
      return true
    }
    if (entry.kind === 'outcome') return exchanges.has(entry.exchange)
    if (entry.kind === 'settled') return entry.exchanges.some(id => exchanges.has(id))
    return entry.kind === 'approval-decided' && approvals.has(entry.approval)
  }
  const gone = await rewriteHistory(company.config, forged, unwanted)
  const trust = { directory: forged, fingerprint: company.fingerprint }
  const plain = await verifyLedger(trust)
  tell.claim(
    gone > 0 && plain.verdict === 'OK',
    `${gone} entries replaced by heartbeats; verify without a pin says OK, and what it cannot know:`,
  )
  tell.line(plain.undetectable)
  // A copy: the monitor's own pin stays where it is.
  const pinned = await verifyLedger({ ...trust, pin })
  const named = pinned.findings.find(({ code }) => code === 'FORK')
  tell.claim(
    pinned.verdict === 'TAMPERED' && named !== undefined,
    `with the monitor's pin: ${named?.code}: ${named?.what}`,
  )
}

export function reconciled({ bundle }: Evidence, tell: Narrator): void {
  tell.act('The bypass connects to the database directly')
  const [reconciliation] = bundle.reconciliations
  const found = reconciliation?.bypasses ?? []
  for (const row of found)
    tell.line(`${row.time}  ${row.user}  ${row.application}  ${row.tag}  (line ${row.line} of the server's log)`)
  const named = found.some(row => row.user === logins.stray)
  tell.claim(
    named,
    "the gateway cannot stop it; the server's own log names it, and the bundle notes it as an exception",
  )
}

export async function leak({ folder }: Company, tell: Narrator): Promise<void> {
  tell.act('The leak: the raw numbers are looked for in ledger, logs and bundle')
  const found: string[] = []
  let searched = 0
  for (const place of ['ledger', 'bundle', 'insider']) {
    for await (const { path, bytes } of filesUnder(join(folder, place))) {
      searched += 1
      if (canaries.some(canary => bytes.includes(canary))) found.push(path)
    }
  }
  const log = await readFile(join(folder, 'gateway.log'))
  if (canaries.some(canary => log.includes(canary))) found.push('gateway.log')
  tell.claim(found.length === 0, `${searched + 1} files searched: ${found.length} hold one`)
}

export async function auditor(
  { certificateFile, fingerprint }: Company,
  { bundle }: Evidence,
  tell: Narrator,
): Promise<void> {
  tell.act('The auditor follows one line of the report, with sha256sum and gpg alone')
  const { directory } = bundle
  const tool = async (name: string) =>
    run(name, ['--version']).then(
      () => true,
      () => false,
    )
  // The line: AC-07, one in the population. Its number links to these rows, each of which links to its entry.
  const rows = await readFile(join(directory, 'report/rows/AC-07.approval-by-another.html'), 'utf8')
  const index = /entries\/(\d+)\.html/.exec(rows)?.[1]
  tell.line(`report: AC-07 -> its row -> report/entries/${index}.html -> proofs/${index}.tlog-proof`)
  if (await tool('sha256sum')) {
    await run('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: directory })
    const { stdout } = await run('sh', ['verify-inclusion.sh', String(index)], { cwd: directory })
    const last = stdout.trim().split('\n').at(-1)
    tell.claim(
      last === `entry ${index}: included`,
      `sha256sum: every file holds, and its hashes lead to the signed root: ${last}`,
    )
  } else {
    tell.line('sha256sum is not installed here: skipped')
  }
  if (await tool('gpg')) {
    const status = await gpgStatus(directory, certificateFile)
    const good = /^\[GNUPG:\] GOODSIG /m.test(status)
    const valid = new RegExp(`^\\[GNUPG:\\] VALIDSIG .*${fingerprint}`, 'm').test(status)
    tell.claim(
      good && valid,
      'gpg says GOODSIG and VALIDSIG with the pinned fingerprint (its exit status is no verdict)',
    )
  } else {
    tell.line('gpg is not installed here: skipped')
  }
}

async function gpgStatus(directory: string, certificate: string): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'counterfoil-gpg-'))
  try {
    const gpg = ['--homedir', home, '--batch', '--no-autostart']
    await run('gpg', [...gpg, '--import', certificate])
    const verify = [...gpg, '--status-fd', '1', '--verify', 'SHA256SUMS.asc', 'SHA256SUMS']
    return (await run('gpg', verify, { cwd: directory })).stdout
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}
