/** Where a passphrase comes from: typed, or from where it was said to be; never the command line, which everybody sees. */
import { Misuse } from '../../lib/errors.ts'
import { readSecret } from '../credentials.ts'

/** So often it is asked for. */
const attempts = 3

/** Of a key that is made: typed twice. @param from `prompt`, `env:NAME` or `file:PATH`. @throws Misuse ERR_OPTION_INVALID */
export async function newPassphrase(from: string): Promise<string> {
  if (from !== 'prompt') return readSecret(from, '')
  requireTerminal()
  for (let left = attempts; left > 0; left -= 1) {
    const first = await readSecret(undefined, 'passphrase of the seal key')
    if ((await readSecret(undefined, 'the same again')) === first) return first
    if (left > 1) process.stderr.write('the two are not the same: once more\n')
  }
  throw new Misuse('ERR_OPTION_INVALID', 'the two are not the same: nothing was written')
}

/** Of a key that there is. @param open rejects with a Misuse where the passphrase is a wrong one: then it is asked for again */
export async function withPassphrase<T>(from: string, open: (passphrase: string) => Promise<T>): Promise<T> {
  if (from !== 'prompt') return open(await readSecret(from, ''))
  requireTerminal()
  for (let left = attempts; ; left -= 1) {
    const passphrase = await readSecret(undefined, 'passphrase of the seal key')
    try {
      return await open(passphrase)
    } catch (error) {
      if (!(error instanceof Misuse) || left === 1) throw error
      process.stderr.write(`${error.message}\n`)
    }
  }
}

function requireTerminal(): void {
  if (process.stdin.isTTY === true) return
  throw new Misuse('ERR_OPTION_INVALID', 'there is no terminal to ask for a passphrase on: use env:NAME or file:PATH')
}
