/** The stores that ship, held to the suite that every store must pass. */

import { onTestFinished } from 'vitest'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'
import { openSharedLedger } from '../../lib/ledger/shared/open.ts'
import { ledgerOptions, origin } from '../support/directory-ledger.ts'
import { ledgerConformance } from './conformance.ts'

ledgerConformance('a directory', () => openDirectoryLedger(ledgerOptions()))
ledgerConformance('memory', () => openMemoryLedger({ origin, writer: 'crm-gateway' }))
ledgerConformance('a shared directory, of the process that leads', () => openSharedLedger(ledgerOptions()))
ledgerConformance('a shared directory, of another process', async () => {
  const options = ledgerOptions()
  const leader = await openSharedLedger({ ...options, writer: 'leader' })
  onTestFinished(() => leader.close())
  return openSharedLedger(options)
})
