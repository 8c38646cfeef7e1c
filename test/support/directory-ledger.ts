/** Ledgers in temporary directories for tests: options with fresh keys, crash images, and what a reader finds. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Entry } from '../../lib/format/entry.ts'
import type { Draft, Ledger, Stored } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'

export const origin = 'crm.example/counterfoil'

/** A directory that is removed when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'counterfoil-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export function ledgerOptions(more: Partial<DirectoryOptions> = {}): DirectoryOptions {
  return {
    directory: more.directory ?? temporaryDirectory(),
    origin,
    writer: 'crm-gateway',
    noteKey: generateKeyPairSync('ed25519').privateKey,
    wrappingKey: new Uint8Array(32).fill(7),
    software: 'counterfoil/test',
    placement: 'gateway',
    create: true,
    ...more,
  }
}

/** What a kill at this moment would leave: the directory copied while its ledger is open. */
export function crashImage(options: DirectoryOptions): DirectoryOptions {
  const directory = temporaryDirectory()
  cpSync(options.directory, directory, { recursive: true, filter: path => !path.endsWith('/leader') })
  return { ...options, directory }
}

let made = 0
export const exchangeId = (): string => {
  made += 1
  return `0190b0a0-0000-7000-8000-${made.toString(16).padStart(12, '0')}`
}

export const settled = (exchange = exchangeId()): Draft => ({
  kind: 'settled',
  exchanges: [exchange],
  result: 'committed',
})

export const decision = (exchange = exchangeId(), verdict: 'permit' | 'deny' = 'permit'): Draft => ({
  kind: 'decision',
  exchange,
  protocol: 'postgres',
  target: 'crm',
  action: createHash('sha256').update(exchange).digest('base64url'),
  accesses: [{ action: 'update', resource: 'crm/public.customers' }],
  controls: ['AC-03'],
  risk: 'low',
  read: false,
  verdict,
  durability: 'durable',
})

export const outcome = (exchange: string): Draft => ({
  kind: 'outcome',
  exchange,
  result: 'completed',
  items: 1,
  bytes: 9,
})

export async function allEntries(ledger: Ledger, from = 0): Promise<Stored[]> {
  const found: Stored[] = []
  for await (const stored of ledger.entries(from)) found.push(stored)
  return found
}

export const kindsOf = (stored: readonly Stored[]): Entry['kind'][] => stored.map(({ entry }) => entry.kind)

/** Relative path to digest of every file, so that two states of a directory can be compared. */
export function fileDigests(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1)).sort()
  return Object.fromEntries(
    paths.map(path => [
      path,
      createHash('sha256')
        .update(readFileSync(join(directory, path)))
        .digest('hex'),
    ]),
  )
}
