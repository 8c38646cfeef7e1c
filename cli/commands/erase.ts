/** `counterfoil erase`: two people, each with a key of their own, have the keys of one person's or session's disclosures destroyed. */
import type { Command } from 'commander'
import type { Target } from '../../lib/custody/custodian.ts'
import { Misuse } from '../../lib/errors.ts'
import { type Agreement, agreement, secretsOf, withCustody } from '../custody.ts'
import { output } from '../output.ts'

interface Options extends Agreement {
  readonly principal?: string
  readonly session?: string
}

export function erase(program: Command): void {
  const command = program
    .command('erase')
    .description('destroy what the vault holds of one person or session; asked for by one person, approved by another')
    .option('--principal <name>', 'whom: everything sealed under their name, their sessions apart')
    .option('--session <id>', 'which session: its statements, addresses and recordings')
  agreement(command, 'request').action(async (options: Options) => {
    const out = output(options.json === true)
    const target = targetOf(options)
    const { basis, ground } = options
    const secrets = await secretsOf(options)
    await withCustody(options.config, secrets, {}, async (custodian, [by, approver]) => {
      const { index, origin, slots } = await custodian.erase(by!, approver!, { target, ground, basis })
      const what = 'name' in target ? target.name : `session ${target.id}`
      out.result({ index, origin, slots, by: by!.id, approver: approver!.id }, () => {
        const keys = `${slots} ${slots === 1 ? 'key' : 'keys'}`
        out.line(
          `erased: ${what}, ${keys} destroyed; entry #${index} of ${origin} says so, by ${by!.id}, approved by ${approver!.id}`,
        )
        if ('name' in target)
          out.line('what was typed and recorded in their sessions stays: that is erased by session (--session ID)')
        out.line('older copies of the vault, and backups, are not reached from here: erase or let them expire too')
      })
    })
  })
}

/** @throws Misuse ERR_OPTION_INVALID unless it is exactly one */
export function targetOf({ principal, session }: Pick<Options, 'principal' | 'session'>): Target {
  if ((principal === undefined) === (session === undefined)) {
    throw new Misuse('ERR_OPTION_INVALID', 'say which: --principal NAME or --session ID')
  }
  if (principal !== undefined) return { scope: 'principal', name: principal }
  return { scope: 'session', id: session!.replace(/^urn:uuid:/, '') }
}
