/** The guard of a bench: controls on, and everything sealed into a ledger in a directory. */
import { generateKeyPairSync } from 'node:crypto'
import type { Control } from '../../../lib/control.ts'
import type { Guard } from '../../../lib/guard.ts'
import { openDirectoryLedger } from '../../../lib/ledger/directory.ts'
import { fixture, grantControl, requester } from '../../support/guard.ts'

/** Everybody who presents anything is the requester. @param controls beside one that asks for a grant for changes */
export async function benchGuard(directory: string, controls: readonly Control[] = []): Promise<Guard> {
  const ledger = await openDirectoryLedger({
    directory,
    origin: 'bench.example/doors',
    writer: 'bench',
    noteKey: generateKeyPairSync('ed25519').privateKey,
    wrappingKey: new Uint8Array(32),
    software: 'counterfoil/bench',
    placement: 'embedded',
    create: true,
  })
  return (await fixture([grantControl, ...controls], { ledger, identify: async () => requester })).guard
}
