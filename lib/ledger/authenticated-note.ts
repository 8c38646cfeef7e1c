/**
 * A note that an opening, or a writer at work, acts on: a line of JSON, and one with its MAC, of the note's name and that
 * (../format/mac.ts). Whoever has no key makes none, and none stands under the name of another.
 */
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { utf8 } from '../format/canonical.ts'
import { holds, type MacKey, macKey, macOf } from '../format/mac.ts'
import { namesIn, readRegular, replaceFiles } from './files.ts'

const bound = (name: string, json: string) => Buffer.from(`${name}\n${json}`)

export const encodeNote = (key: MacKey, name: string, json: string): string =>
  `${json}\n${macOf(key, bound(name, json)).toString('base64url')}\n`

/** @param keys it is under one of them. @param file for the error. @returns its JSON. @throws LedgerError ERR_LEDGER_CORRUPT */
export function decodeNote(keys: readonly MacKey[], name: string, file: string, bytes: Uint8Array): string {
  const [json = '', mac = ''] = utf8(bytes).split('\n')
  if (holds(keys, bound(name, json), Buffer.from(mac, 'base64url'))) return json
  throw new LedgerError('ERR_LEDGER_CORRUPT', `${file} was not made with the key of the vault`, { file })
}

export interface NotesChange {
  readonly directory: string
  readonly origin: string
  readonly wrappingKey: Uint8Array
  readonly formerWrappingKey: Uint8Array
}

/** Which notes. */
export interface Notes {
  readonly folder: string
  readonly use: Parameters<typeof macKey>[2]
  /** @returns what a file's name is bound as; undefined where it is no note */
  readonly nameOf: (file: string) => string | undefined
}

/**
 * Where the key of the vault is changed: every note under the new one. @throws LedgerError ERR_LEDGER_CORRUPT where one is under neither
 */
export async function reauthenticateNotes(change: NotesChange, { folder, use, nameOf }: Notes): Promise<void> {
  const { directory, origin, wrappingKey, formerWrappingKey } = change
  const [to, from] = [macKey(wrappingKey, origin, use), macKey(formerWrappingKey, origin, use)]
  for (const file of await namesIn(join(directory, folder))) {
    const name = nameOf(file)
    if (name === undefined) continue
    const path = `${folder}/${file}`
    const json = decodeNote([to, from], name, path, await readRegular(join(directory, path)))
    await replaceFiles(directory, [[path, encodeNote(to, name, json)]], 'closed')
  }
}
