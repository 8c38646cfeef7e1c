/** Where a passphrase comes from: typed twice, or from where it was said to be; never the command line, which everybody sees. */
import { Misuse } from '../../lib/errors.ts'
import { readSecret } from '../credentials.ts'

/** @param from `prompt`, `env:NAME` or `file:PATH`. @throws Misuse ERR_OPTION_INVALID */
export async function newPassphrase(from: string): Promise<string> {
  if (from !== 'prompt') return readSecret(from, '')
  if (process.stdin.isTTY !== true) {
    throw new Misuse('ERR_OPTION_INVALID', 'there is no terminal to ask for a passphrase on: use env:NAME or file:PATH')
  }
  const first = await readSecret(undefined, 'passphrase of the seal key')
  if ((await readSecret(undefined, 'the same again')) !== first) {
    throw new Misuse('ERR_OPTION_INVALID', 'the two are not the same: nothing was written')
  }
  return first
}
