/** `counterfoil login`: keeps a key for a running guard, after the guard has said who it is. */
import type { Command } from 'commander'
import { adminClient } from '../../adapters/admin/client.ts'
import { Misuse } from '../../lib/errors.ts'
import { readSecret, saveLogin } from '../credentials.ts'
import { output } from '../output.ts'

export function login(program: Command): void {
  program
    .command('login')
    .description('log in to a running guard with a key or token')
    .requiredOption('--server <url>', "the guard's admin address, as http://127.0.0.1:9090")
    .option('--key <where>', 'env:NAME or file:PATH; else it is read from standard input')
    .option('--json', 'print one JSON document')
    .action(async (options: { server: string; key?: string; json?: boolean }) => {
      const out = output(options.json === true)
      if (!/^https?:\/\//.test(options.server)) {
        throw new Misuse('ERR_OPTION_INVALID', '--server is a URL: http://127.0.0.1:9090')
      }
      const secret = await readSecret(options.key, 'key')
      const who = await adminClient(options.server, secret).get('/v1/whoami')
      const path = await saveLogin({ server: options.server, secret })
      out.result({ ...who, server: options.server, saved: path }, () => {
        out.line(`logged in as ${String(who.id)} (${String(who.type)}); kept in ${path}`)
      })
    })
}
