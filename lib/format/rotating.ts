/**
 * The note of a change of the vault's key that is under way: from which key to which, and how many entries there were.
 * It has a MAC by each of the two, so that whoever has either can tell it from one that was planted. Pure.
 */
import { isOurs } from '../errors.ts'
import { parseJson } from './canonical.ts'
import { holds, macKey, macOf } from './mac.ts'
import { wrappingKeyId } from './vault.ts'

export interface Rotating {
  /** Ids of the keys. */
  readonly from: string
  readonly to: string
  /** Entries that there were: the one that says so is not before it. */
  readonly size: number
}

/** The former key, and the new one. */
export type RotatingKeys = readonly [from: Uint8Array, to: Uint8Array]

export function encodeRotating(origin: string, keys: RotatingKeys, size: number): string {
  const [from, to] = keys.map(wrappingKeyId)
  const json = JSON.stringify({ from, size, to })
  const macs = keys.map(key => macOf(macKey(key, origin, 'rotating'), Buffer.from(json)).toString('base64url'))
  return `${[json, ...macs].join('\n')}\n`
}

/** @param keys any of which may have made it. @returns undefined where none of them has */
export function decodeRotating(origin: string, keys: readonly Uint8Array[], bytes: Uint8Array): Rotating | undefined {
  const [json = '', ...macs] = textOf(bytes).split('\n')
  const own = keys.map(key => macKey(key, origin, 'rotating'))
  const isOwn = macs.some(mac => holds(own, Buffer.from(json), Buffer.from(mac, 'base64url')))
  return isOwn ? (parseJson(json) as unknown as Rotating) : undefined
}

/** The key that a note says is rotated to, whoever wrote it, with MACs or without; undefined where it says none. */
export function saidRotatingTo(bytes: Uint8Array): string | undefined {
  const [json = ''] = textOf(bytes).split('\n')
  const { to } = (parsed(json) ?? {}) as { to?: unknown }
  return typeof to === 'string' && /^[0-9a-f]{6}$/.test(to) ? to : undefined
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

function parsed(json: string): unknown {
  try {
    return parseJson(json)
  } catch (error) {
    if (!isOurs(error)) throw error
    return undefined
  }
}
