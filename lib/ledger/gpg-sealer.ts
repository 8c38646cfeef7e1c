/**
 * Seals with a key that gpg holds: in its agent, or on a smartcard. gpg's exit status is no verdict: what it says on
 * its status channel is read, and what it signed is verified before it is used.
 */
import { spawn } from 'node:child_process'
import { Fault } from '../errors.ts'
import type { Sealer } from './sealer.ts'

export interface GpgKey {
  /** 40 upper-case hex digits: of the primary key. */
  readonly fingerprint: string
  /** GNUPGHOME; gpg's own default where absent. */
  readonly home?: string
  /** The program; `gpg` on the path, where absent. */
  readonly program?: string
  /** Milliseconds for one signature, a touch of a smartcard included. Default: 30,000. */
  readonly timeoutMs?: number
}

const mostOutput = 1024 * 1024

/** @throws Fault ERR_LEDGER_UNAVAILABLE where gpg has no such key, or cannot be run */
export async function gpgSealer(key: GpgKey): Promise<Sealer> {
  const { fingerprint } = key
  const exported = await run(key, ['--armor', '--export-options', 'export-minimal', '--export', fingerprint])
  const certificate = exported.output.toString('latin1')
  const { readCertificate, sayExpired, verifyDetached } = await import('../openpgp.ts')
  const found = await readCertificate(certificate).catch((error: unknown) => {
    throw unavailable(`gpg has no key ${fingerprint}`, error)
  })
  if (found.fingerprint !== fingerprint) throw unavailable(`gpg gives another key for ${fingerprint}`)
  const sign = async (bytes: Uint8Array) => {
    // One that was extended since is published with what it says of itself now, which takes a start.
    const expired = sayExpired(found)
    if (expired !== undefined) throw unavailable(expired)
    const options = ['--detach-sign', '--no-armor', '--digest-algo', 'SHA512', '--local-user', fingerprint]
    const { output, status } = await run(key, options, bytes)
    // doc/DETAILS, SIG_CREATED: type, algorithms, class, time, fingerprint. Class 00 is a signature over binary data.
    if (!/^\[GNUPG:\] SIG_CREATED D \d+ \d+ 00 \d+ [0-9A-F]{40}$/m.test(status))
      throw unavailable('gpg made no signature')
    await verifyDetached({ data: bytes, signature: output, certificate, fingerprint }).catch((error: unknown) => {
      throw unavailable(`gpg did not sign with ${fingerprint}`, error)
    })
    return output
  }
  return { fingerprint, certificate, sign }
}

/** @throws Fault ERR_LEDGER_UNAVAILABLE where it cannot be run, or is not done in time */
function run(
  { home, program = 'gpg', timeoutMs = 30_000 }: GpgKey,
  options: readonly string[],
  input: Uint8Array = Buffer.alloc(0),
) {
  const always = ['--batch', '--no-tty', '--status-fd', '3', ...(home === undefined ? [] : ['--homedir', home])]
  return new Promise<{ output: Buffer; status: string }>((resolve, reject) => {
    const child = spawn(program, [...always, ...options], { stdio: ['pipe', 'pipe', 'ignore', 'pipe'] })
    const [stdin, stdout, , statusPipe] = child.stdio
    const output: Buffer[] = []
    const status: Buffer[] = []
    let held = 0
    const keep = (into: Buffer[]) => (part: Buffer) => {
      held += part.length
      if (held > mostOutput) child.kill('SIGKILL')
      else into.push(part)
    }
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(unavailable(`gpg was not done within ${timeoutMs} ms`))
    }, timeoutMs)
    stdout?.on('data', keep(output))
    statusPipe?.on('data', keep(status))
    // It may end before it has read everything: its status tells why.
    stdin?.on('error', () => undefined)
    stdin?.end(input)
    child.on('error', error => {
      clearTimeout(timer)
      reject(unavailable(`${program} cannot be run`, error))
    })
    child.on('close', () => {
      clearTimeout(timer)
      resolve({ output: Buffer.concat(output), status: Buffer.concat(status).toString('latin1') })
    })
  })
}

const unavailable = (what: string, cause?: unknown) => new Fault('ERR_LEDGER_UNAVAILABLE', what, {}, cause)
