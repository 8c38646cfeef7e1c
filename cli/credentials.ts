/** Where `login` keeps what later commands call the guard with: one file, readable by its owner alone. */
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { type AdminClient, adminClient } from '../adapters/admin/client.ts'
import { isOurs, Misuse } from '../lib/errors.ts'
import { parseJson } from '../lib/format/canonical.ts'

interface Login {
  readonly server: string
  readonly secret: string
}

/** `COUNTERFOIL_HOME`, else the XDG base directory, else `~/.config`. */
function file(): string {
  const home =
    process.env.COUNTERFOIL_HOME ?? join(process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'counterfoil')
  return join(home, 'login.json')
}

export async function saveLogin(login: Login): Promise<string> {
  const path = file()
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}`
  await writeFile(temporary, `${JSON.stringify(login)}\n`, { mode: 0o600 })
  await chmod(temporary, 0o600)
  await rename(temporary, path)
  return path
}

/** The guard that was logged in to. @throws Misuse ERR_OPTION_INVALID where there was no login */
export async function savedClient(): Promise<AdminClient> {
  const login = await readLogin()
  return adminClient(login.server, login.secret)
}

async function readLogin(): Promise<Login> {
  try {
    const value = parseJson(await readFile(file(), 'utf8')) as unknown as Partial<Login>
    if (typeof value.server === 'string' && typeof value.secret === 'string') return value as Login
  } catch (error) {
    if (!isOurs(error) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  throw new Misuse('ERR_OPTION_INVALID', 'not logged in: run counterfoil login --server URL first')
}

/** A secret from where it was said to be, from a pipe, or typed without echo; never from the command line itself. */
export async function readSecret(from: string | undefined, prompt: string): Promise<string> {
  const [, kind, name] = /^(env|file):(.+)$/.exec(from ?? '') ?? []
  if (kind === 'env') return nonEmpty(process.env[name!], `the environment variable ${name} is not set`)
  if (kind === 'file') {
    const text = await readFile(name!, 'utf8').catch(() => undefined)
    return nonEmpty(text?.trim(), `${name} cannot be read, or is empty`)
  }
  if (from !== undefined) {
    throw new Misuse(
      'ERR_OPTION_INVALID',
      'a secret on the command line is seen by everybody: use env:NAME or file:PATH',
    )
  }
  return nonEmpty(
    process.stdin.isTTY ? await typed(prompt) : await piped(),
    'no key was given: pipe it in, or name it with --key env:NAME or --key file:PATH',
  )
}

function nonEmpty(text: string | undefined, complaint: string): string {
  if (!text) throw new Misuse('ERR_OPTION_INVALID', complaint)
  return text
}

async function piped(): Promise<string> {
  let text = ''
  for await (const part of process.stdin.setEncoding('utf8')) {
    text += part
    if (text.length > 64 * 1024) break
  }
  return text.trim()
}

/** By events, since a loop over the stream would end it: there may be more to ask. */
async function typed(prompt: string): Promise<string> {
  const { stdin } = process
  // Before it is asked: what is typed at once is not shown either.
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  process.stderr.write(`${prompt}: `)
  let take = (_: string) => {}
  let end = () => {}
  try {
    return await new Promise<string>((resolve, reject) => {
      let text = ''
      end = () => resolve(text)
      take = part => {
        const characters = [...part]
        for (const [i, character] of characters.entries()) {
          if (character === '\u0003') return reject(new Misuse('ERR_OPTION_INVALID', 'interrupted'))
          if (character === '\r' || character === '\n' || character === '\u0004') {
            // What was typed or pasted ahead answers what is asked next.
            const rest = characters.slice(i + 1).join('')
            if (rest !== '') setImmediate(() => stdin.unshift(rest, 'utf8'))
            return resolve(text)
          }
          text = character === '\u007f' || character === '\b' ? text.slice(0, -1) : text + character
        }
      }
      stdin.on('data', take).on('end', end)
      stdin.resume()
    })
  } finally {
    stdin.off('data', take).off('end', end)
    stdin.setRawMode(false)
    stdin.pause()
    process.stderr.write('\n')
  }
}
