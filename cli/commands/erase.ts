/** `counterfoil erase`: two people, each with a key of their own, have the keys of one person's or session's disclosures destroyed. */
import type { Command } from 'commander'
import type { Target } from '../../lib/custody/custodian.ts'
import { Misuse } from '../../lib/errors.ts'
import { readSecret } from '../credentials.ts'
import { withCustody } from '../custody.ts'
import { output } from '../output.ts'

interface Options {
  readonly principal?: string
  readonly session?: string
  readonly basis: string
  readonly ground: string
  readonly key?: string
  readonly approver?: string
  readonly config: string
  readonly json?: boolean
}

export function erase(program: Command): void {
  program
    .command('erase')
    .description('destroy what the vault holds of one person or session; asked for by one person, approved by another')
    .option('--principal <name>', 'whom: everything sealed under their name, their sessions apart')
    .option('--session <id>', 'which session: its statements, addresses and recordings')
    .requiredOption('--basis <text>', 'why it may be erased, in full; disclosed to who has the key of the vault')
    .option('--ground <word>', 'why, as a word in clear: art-17, retention', 'request')
    .option('--key <where>', 'of who asks for it: env:NAME or file:PATH; else it is typed')
    .option('--approver <where>', 'the key of another person, who approves it: env:NAME or file:PATH; else it is typed')
    .option('--config <file>', 'counterfoil.yaml', 'counterfoil.yaml')
    .option('--json', 'print one JSON document')
    .action(async (options: Options) => {
      const out = output(options.json === true)
      const target = targetOf(options)
      const { basis, ground } = options
      if (!/^[\x21-\x7e]{1,64}$/.test(ground)) throw new Misuse('ERR_OPTION_INVALID', '--ground is one word')
      if (!process.stdin.isTTY && (options.key === undefined || options.approver === undefined)) {
        throw new Misuse('ERR_OPTION_INVALID', 'two people must agree: name the keys of both with --key and --approver')
      }
      const secrets = [
        await readSecret(options.key, 'key of who asks for it'),
        await readSecret(options.approver, 'key of who approves it'),
      ]
      await withCustody(options.config, secrets, {}, async (custodian, [by, approver]) => {
        const { index, origin, slots } = await custodian.erase(by!, approver!, { target, ground, basis })
        const what = 'name' in target ? target.name : `session ${target.id}`
        out.result({ index, origin, slots, by: by!.id, approver: approver!.id }, () => {
          const keys = `${slots} ${slots === 1 ? 'key' : 'keys'}`
          out.line(
            `erased: ${what}, ${keys} destroyed; entry #${index} of ${origin} says so, by ${by!.id}, approved by ${approver!.id}`,
          )
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
