/** Writes one more witness into a counterfoil.yaml, whose comments and order stay. */
import { parseDocument } from 'yaml'
import { Misuse } from '../errors.ts'
import { parseCosignerKey } from '../format/cosignature.ts'
import { isPlace } from './witnesses.ts'

export interface NewWitness {
  /** Its verifier key, of type 4. */
  readonly key: string
  readonly url: string
}

/** @returns the text with it. @throws Misuse ERR_OPTION_INVALID; LedgerError ERR_CHECKPOINT_SIGNATURE where the key is none */
export function withWitness(text: string, { key, url }: NewWitness): string {
  const { name } = parseCosignerKey(key)
  if (!isPlace(url))
    throw new Misuse('ERR_OPTION_INVALID', 'the url is an http or https address, without credentials or query')
  const document = parseDocument(text)
  if (document.errors.length > 0) throw new Misuse('ERR_OPTION_INVALID', 'the configuration cannot be read as YAML')
  const at = ['ledger', 'witnesses', 'list']
  const listed = document.getIn(at) === undefined ? [] : (document.toJS() as Listed).ledger.witnesses.list
  if (listed.some(one => one.key === key)) {
    throw new Misuse('ERR_OPTION_INVALID', `the witness ${name} is in the configuration already`)
  }
  if (listed.length === 0)
    document.setIn(['ledger', 'witnesses'], document.createNode({ quorum: 1, list: [{ key, url }] }))
  else document.addIn(at, document.createNode({ key, url }))
  return document.toString({ lineWidth: 0 })
}

interface Listed {
  readonly ledger: { readonly witnesses: { readonly list: readonly NewWitness[] } }
}
