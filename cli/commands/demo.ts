/** `counterfoil demo`: the whole of it in a minute, on loopback, with nothing left running. */
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { type Company, openCompany } from '../demo/company.ts'
import { interrupted } from '../demo/interrupted.ts'
import { Narrator } from '../demo/narrator.ts'
import { aroundTheGateway, auditor, bypass, insider, leak, reconciled } from '../demo/villains.ts'
import { dropsOnce, getsGrant, logIn, losesGrant, needsGrant, reads, sealed } from '../demo/work.ts'
import { exit } from '../exit.ts'
import { type Output, output } from '../output.ts'

export function demo(program: Command): void {
  program
    .command('demo')
    .description(
      "an agent's work on a real PostgreSQL and web service, from controls to evidence, and who tries to get around it",
    )
    .option('--out <folder>', 'what is left to look at: ledger/, bundle/, keys/ledger.pub.asc, pin', 'demo-out')
    .option('--keep', 'leave the gateway up, with a line for psql, until Ctrl-C; then go on')
    .action(async (options: { out: string; keep?: boolean }) => {
      const out = output(false)
      const tell = new Narrator(out)
      const began = performance.now()
      const company = await openCompany(resolve(options.out))
      try {
        const tokens = await logIn(company)
        await reads(company, tokens, tell)
        await needsGrant(company, tokens, tell)
        const { client, grant } = await getsGrant(company, tokens, tell)
        await dropsOnce(company, tokens, tell)
        await losesGrant(company, tokens, tell, client, grant)
        await bypass(company)
        const csvlog = await company.postgres.csvlog(aroundTheGateway)
        if (options.keep) await keep(company, tokens.agent, options.out, out)
        await company.stopServing()
        const evidence = await sealed(company, csvlog, tell)
        await insider(company, evidence, tell)
        reconciled(evidence, tell)
        await leak(company, tell)
        await auditor(company, evidence, tell)
      } finally {
        await company.stop()
      }
      const seconds = ((performance.now() - began) / 1000).toFixed(1)
      out.line()
      const where = options.out
      const key = `--key ${quoted(join(where, 'keys/ledger.pub.asc'))} --pin ${quoted(join(where, 'pin'))}`
      out.line(`${tell.claims} claims held, in ${seconds} s; everything is stopped. To look at, and to try:`)
      out.line(`  ${join(where, 'bundle/README.html')}`)
      out.line(`  npx counterfoil verify ${quoted(join(where, 'ledger'))} ${key}`)
      out.line(`  npx counterfoil verify-bundle ${quoted(join(where, 'bundle'))} ${key}`)
      out.line(
        `The last one ends with status ${exit.exceptions}: the bundle is whole, and notes the bypass as an exception.`,
      )
    })
}

/** As a shell reads it. */
const quoted = (path: string) => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`)

/** Until Ctrl-C: the gateway can be tried by hand. */
async function keep({ folder, gatewayPort }: Company, token: string, shown: string, out: Output): Promise<void> {
  await writeFile(join(folder, 'agent.token'), token, { mode: 0o600 })
  out.line()
  out.line(
    'the gateway is up; try it elsewhere, with a token that is good for ten minutes; Ctrl-C goes on to the evidence:',
  )
  const password = `PGPASSWORD="$(cat ${quoted(join(shown, 'agent.token'))})"`
  out.line(`  ${password} psql -h 127.0.0.1 -p ${gatewayPort} -U agent crm -c 'select * from customers'`)
  await interrupted()
}
