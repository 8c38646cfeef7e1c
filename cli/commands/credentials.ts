/** `counterfoil credentials`: local keys to log in with, hashed and expiring. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { duration } from '../../lib/duration.ts'
import { Misuse } from '../../lib/errors.ts'
import { issueKey, listKeys, revokeKey } from '../../lib/identity/keys.ts'
import { output } from '../output.ts'

export function credentials(program: Command): void {
  const group = program.command('credentials').description('local keys to log in with: hashed, expiring').exitOverride()
  const file = ['--file <file>', 'the file of keys', 'keys.json'] as const
  const json = ['--json', 'print one JSON document'] as const

  group
    .command('issue')
    .description('make a key; it is shown this once')
    .argument('<subject>', 'whose: dba@crm.example, or agent:NAME')
    .option('--for <duration>', 'how long it is good for', '90d')
    .option('--owner <person>', 'for an agent or a service: who is accountable for it')
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
        const path = resolve(options.file)
        const made = !existsSync(path)
        const issued = await issueKey(path, {
          subject,
          type,
          owner,
          principal,
          lifetimeMs: duration(options.for),
        })
        out.result({ subject, type, ...issued, file: path }, () => {
          out.line(`${issued.key}`)
          out.line(`written, as a hash, to ${path}${made ? ', which is new: does your configuration name it?' : ''}`)
          out.line(
            `shown this once; good for ${options.for}; revoke it with: counterfoil credentials revoke ${issued.id}`,
          )
        })
      },
    )

  group
    .command('revoke')
    .description('end a key now')
    .argument('<key>', 'the key, or its id: the part between cfk_ and the second underscore')
    .option(...file)
    .option(...json)
    .exitOverride()
    .action(async (given: string, options: { file: string; json?: boolean }) => {
      const out = output(options.json === true)
      const path = there(options.file)
      const id = /^cfk_([0-9a-f]{12})_/.exec(given)?.[1] ?? given
      if (!(await listKeys(path)).some(record => record.id === id)) {
        throw new Misuse(
          'ERR_OPTION_INVALID',
          `there is no key with this id in ${path}: counterfoil credentials list${options.file === 'keys.json' ? '' : ` --file ${options.file}`}`,
        )
      }
      await revokeKey(path, id)
      out.result({ id, done: 'revoked', file: path }, () => out.line(`revoked: ${id}, in ${path}`))
    })

  group
    .command('list')
    .description('the keys there are, never the secrets')
    .option(...file)
    .option(...json)
    .exitOverride()
    .action(async (options: { file: string; json?: boolean }) => {
      const out = output(options.json === true)
      const records = (await listKeys(there(options.file))).map(({ hash: _, ...shown }) => shown)
      out.result({ keys: records }, () => {
        const state = (record: (typeof records)[number]) =>
          record.revoked !== undefined
            ? `revoked ${record.revoked}`
            : Date.parse(record.expires) <= Date.now()
              ? 'expired'
              : 'live'
        out.table([['id', 'subject', 'expires', 'state'], ...records.map(r => [r.id, r.subject, r.expires, state(r)])])
      })
    })
}

/** An empty list of a file that is not there would read as: no such key. @throws Misuse ERR_OPTION_INVALID */
function there(file: string): string {
  const path = resolve(file)
  if (!existsSync(path))
    throw new Misuse('ERR_OPTION_INVALID', `there is no file of keys at ${path}: name it with --file`)
  return path
}
