/** A sealed ledger in a directory, opened and grown as a test asks; and a witness for it, over HTTP. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { serveWitness, type WitnessServer } from '../../adapters/witness/index.ts'
import { type Verification, type VerifyOptions, verifyLedger } from '../../evidence/verify.ts'
import { Anchoring } from '../../lib/anchors/anchoring.ts'
import { systemClock } from '../../lib/clock.ts'
import { parseCosignerKey } from '../../lib/format/cosignature.ts'
import { parseVerifierKey } from '../../lib/format/note.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { listenOn } from '../../lib/listening.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { ledgerOptions, settled, temporaryDirectory } from './directory-ledger.ts'

export interface Anchored {
  readonly options: DirectoryOptions
  readonly vkey: string
  /** Opens, appends, does what is asked, and closes, which seals. */
  use(entries: number, work?: (ledger: Ledger) => Promise<void>): Promise<void>
  verify(more?: Partial<VerifyOptions>): Promise<Verification>
}

export async function anchoredLedger(given: Partial<DirectoryOptions> = {}): Promise<Anchored> {
  const sealer = given.sealer ?? openpgpSealer(await readPrivateKey((await generateKey({ name: 'Ledger' })).privateKey))
  const options = ledgerOptions({ publishMs: 1e6, ...given, sealer })
  return {
    options,
    vkey: noteKeyOf(options.noteKey, options.origin).verifierKey,
    use: async (entries, work) => {
      const ledger = await openDirectoryLedger(options)
      try {
        if (entries > 0) await ledger.append(Array.from({ length: entries }, () => settled()))
        await ledger.publish()
        await work?.(ledger)
      } finally {
        await ledger.close()
      }
    },
    verify: more => verifyLedger({ directory: options.directory, fingerprint: sealer.fingerprint, ...more }),
  }
}

export async function startWitness(
  logs: readonly { readonly origin: string; readonly vkey: string }[],
  {
    name = 'witness.example/w1',
    key = generateKeyPairSync('ed25519').privateKey,
  }: { name?: string; key?: KeyObject } = {},
): Promise<WitnessServer & { readonly url: string }> {
  const server = await serveWitness({
    ...{ name, key, state: temporaryDirectory(), clock: systemClock, host: '127.0.0.1', port: 0 },
    logs: new Map(logs.map(({ origin, vkey }) => [origin, [parseVerifierKey(vkey)]])),
  })
  onTestFinished(() => server.close())
  return { ...server, url: `http://127.0.0.1:${server.port}` }
}

/** Has the published checkpoint cosigned, and recorded. */
export async function cosigned(
  { options }: Pick<Anchored, 'options'>,
  ledger: Ledger,
  servers: readonly { url: string; verifierKey: string }[],
) {
  const witnesses = servers.map(({ url, verifierKey }) => ({ url, cosigner: parseCosignerKey(verifierKey) }))
  await new Anchoring({ place: options, ledger, witnesses, quorum: 1, everyMs: 1e6 }).round()
}

/** @returns the address of the ledger's files. @param hidden answers with a status in place of files whose path matches */
export async function publish(
  { options: { directory } }: Anchored,
  hidden?: { readonly path: RegExp; status: number },
) {
  const server = createServer((request, response) => {
    const file = join(directory, decodeURIComponent(request.url!))
    if (hidden?.path.test(request.url!)) return response.writeHead(hidden.status).end()
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end()
    response.end(readFileSync(file))
  })
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(await listenOn(server, 0, '127.0.0.1')).port}/`
}
