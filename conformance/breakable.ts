/** A memory ledger whose disk can be said to be full. */
import { Fault } from '../lib/errors.ts'
import type { Draft, Ledger } from '../lib/ledger/ledger.ts'
import { openMemoryLedger } from '../lib/ledger/memory.ts'

export interface Breakable {
  readonly port: Ledger
  /** From now on every append that `which` picks fails, as on a full disk. Default: every one. */
  break(which?: (drafts: readonly Draft[]) => boolean): void
  mend(): void
}

export async function breakable(): Promise<Breakable> {
  const ledger = await openMemoryLedger({ origin: 'crm.example/conformance', writer: 'conformance' })
  let fails = (_: readonly Draft[]) => false
  const port: Ledger = {
    origin: ledger.origin,
    get size() {
      return ledger.size
    },
    append: async (drafts, options) => {
      if (fails(drafts)) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the disk is full')
      return ledger.append(drafts, options)
    },
    entries: from => ledger.entries(from),
    state: () => ledger.state(),
    disclosures: index => ledger.disclosures(index),
    attach: async parts => {
      if (fails([])) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the disk is full')
      return ledger.attach(parts)
    },
    attachment: id => ledger.attachment(id),
    follow: listener => ledger.follow(listener),
    publish: () => ledger.publish(),
    seal: () => ledger.seal(),
    close: () => ledger.close(),
  }
  return {
    port,
    break: (which = () => true) => {
      fails = which
    },
    mend: () => {
      fails = () => false
    },
  }
}
