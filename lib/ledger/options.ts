/** How a ledger directory is opened, and that the options are usable. */
import type { KeyObject } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { Misuse } from '../errors.ts'
import type { SignedCheckpoint } from '../format/checkpoint.ts'
import { scalars } from '../format/shape.ts'
import type { DiskLimits, OnDisk } from './disk.ts'
import type { Readers } from './ledger.ts'
import type { Sealer } from './sealer.ts'
import { longestHeartbeatMs } from './story.ts'

export interface DirectoryOptions {
  readonly directory: string
  /** Names the ledger in every checkpoint: no white space, no plus. `crm.example/counterfoil` */
  readonly origin: string
  /**
   * The name of the series that it belongs to, where that is not its origin (format/series.ts): what writers of other hosts know it by.
   */
  readonly series?: string
  /** Names who appends: each writer has a gap-free counter of its own. */
  readonly writer: string
  /** Ed25519, private. */
  readonly noteKey: KeyObject
  /** Without one, seals carry the note signature only. */
  readonly sealer?: Sealer
  /** 32 bytes, from configuration, never in the directory: wraps the keys of the vault. */
  readonly wrappingKey: Uint8Array
  /** The one before: given, opening wraps under `wrappingKey` what is under this one, and an entry says so. */
  readonly formerWrappingKey?: Uint8Array
  /** To whom recordings are encrypted; else they are under keys of the vault, and whoever has its key reads them. */
  readonly readers?: Readers
  /** Name and version, as entries name them: `counterfoil/0.1.0`. */
  readonly software: string
  readonly placement: 'gateway' | 'embedded'
  /** Milliseconds between heartbeat entries. 60,000 unless said otherwise. */
  readonly heartbeatMs?: number
  /** Milliseconds within which what is durable is published. 1,000 unless said otherwise. */
  readonly publishMs?: number
  /** Milliseconds after which what was published is sealed too, and its write-ahead log given up. 3,600,000 unless said otherwise. */
  readonly sealMs?: number
  /**
   * A segment of the write-ahead log is followed by another at this size, and sealed: an opening after a crash reads
   * what is not. 2 MiB unless said otherwise.
   */
  readonly segmentBytes?: number
  readonly clock?: Clock
  /** Space on the ledger's file system. Not watched unless given. */
  readonly disk?: DiskLimits
  /** Told when the space left passes a limit. */
  readonly onDisk?: OnDisk
  /** Resolves when as many witnesses as are wanted have cosigned; without it, no append can wait to be `witnessed`. */
  readonly witness?: (checkpoint: SignedCheckpoint) => Promise<void>
  /** Told of each seal that is made while the ledger is open; that of closing it is not told. Must not throw. */
  readonly onSeal?: (checkpoint: SignedCheckpoint) => void
  /** Make a new ledger where there is none. Otherwise an empty folder is refused: a volume may not be mounted. */
  readonly create?: boolean
}

const known = new Set<string>([
  'directory',
  'origin',
  'series',
  'writer',
  'noteKey',
  'sealer',
  'wrappingKey',
  'formerWrappingKey',
  'readers',
  'software',
  'placement',
  'heartbeatMs',
  'publishMs',
  'sealMs',
  'segmentBytes',
  'clock',
  'disk',
  'onDisk',
  'witness',
  'onSeal',
  'create',
] satisfies (keyof DirectoryOptions)[])

/** @throws Misuse ERR_OPTION_UNKNOWN, ERR_OPTION_INVALID */
export function checkOptions(options: DirectoryOptions): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw new Misuse('ERR_OPTION_UNKNOWN', `a ledger has no option ${name}`, { option: name })
  }
  for (const option of ['origin', 'writer', 'software'] as const) {
    if (!scalars.word.test(options[option])) throw invalid(option, 'a word without white space')
  }
  for (const option of ['wrappingKey', 'formerWrappingKey'] as const) {
    if (options[option] !== undefined && options[option].length !== 32) throw invalid(option, '32 bytes')
  }
  for (const option of ['heartbeatMs', 'publishMs', 'sealMs', 'segmentBytes'] as const) {
    const value = options[option]
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      throw invalid(option, 'a positive whole number')
  }
}

/** That it says often enough that it lives, for who shares a ledger. @throws Misuse ERR_OPTION_INVALID */
export function checkHeartbeat(heartbeatMs: number): void {
  if (Number.isSafeInteger(heartbeatMs) && heartbeatMs > 0 && heartbeatMs <= longestHeartbeatMs) return
  throw invalid('heartbeatMs', `${longestHeartbeatMs} at most: who shares a ledger says each minute that it lives`)
}

export const invalid = (option: string, expected: string): Misuse =>
  new Misuse('ERR_OPTION_INVALID', `the ledger's ${option} must be ${expected}`, { option })
