/** `counterfoil keys`: local keys to log in with, hashed and expiring. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { duration } from '../../lib/duration.ts'
import { issueKey, listKeys, revokeKey } from '../../lib/identity/keys.ts'
import { output } from '../output.ts'

export function keys(program: Command): void {
  const group = program.command('keys').description('local keys to log in with: hashed, expiring').exitOverride()
  const file = ['--file <file>', 'the file of keys', 'keys.json'] as const
  const json = ['--json', 'print one JSON document'] as const

  group
    .command('issue')
    .description('make a key; it is shown this once')
    .argument('<subject>', 'whose: dba@crm.example, or agent:NAME')
    .option('--for <duration>', 'how long it is good for', '90d')
    .option('--owner <person>', 'for an agent: who is accountable for it')
    .option('--principal <person>', 'for an agent: on whose behalf it acts with this key')
    .option('--service', 'it is a service, not a person')
    .option(...file)
    .option(...json)
    .exitOverride()
    .action(
      async (
        subject: string,
        options: { for: string; owner?: string; principal?: string; service?: boolean; file: string; json?: boolean },
      ) => {
        const out = output(options.json === true)
        const type = subject.startsWith('agent:') ? 'agent' : options.service ? 'service' : 'person'
        const { owner, principal } = options
        const issued = await issueKey(resolve(options.file), {
          subject,
          type,
          owner,
          principal,
          lifetimeMs: duration(options.for),
        })
        out.result({ subject, type, ...issued }, () => {
          out.line(`${issued.key}`)
          out.line(`shown this once; good for ${options.for}; revoke it with: counterfoil keys revoke ${issued.id}`)
        })
      },
    )

  group
    .command('revoke')
    .description('end a key now')
    .argument('<id>', 'the part between cfk_ and the second underscore')
    .option(...file)
    .option(...json)
    .exitOverride()
    .action(async (id: string, options: { file: string; json?: boolean }) => {
      const out = output(options.json === true)
      await revokeKey(resolve(options.file), id)
      out.result({ id, done: 'revoked' }, () => out.line(`revoked: ${id}`))
    })

  group
    .command('list')
    .description('the keys there are, never the secrets')
    .option(...file)
    .option(...json)
    .exitOverride()
    .action(async (options: { file: string; json?: boolean }) => {
      const out = output(options.json === true)
      const records = (await listKeys(resolve(options.file))).map(({ hash: _, ...shown }) => shown)
      out.result({ keys: records }, () => {
        const state = (record: (typeof records)[number]) =>
          record.revoked ?? (Date.parse(record.expires) <= Date.now() ? 'expired' : 'live')
        out.table([['id', 'subject', 'expires', 'state'], ...records.map(r => [r.id, r.subject, r.expires, state(r)])])
      })
    })
}
