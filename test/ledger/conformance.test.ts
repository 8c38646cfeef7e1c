/** The stores that ship, held to the suite that every store must pass. */
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'
import { ledgerOptions, origin } from '../support/directory-ledger.ts'
import { ledgerConformance } from './conformance.ts'

ledgerConformance('a directory', () => openDirectoryLedger(ledgerOptions()))
ledgerConformance('memory', () => openMemoryLedger({ origin, writer: 'crm-gateway' }))
