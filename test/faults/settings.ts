/** What a scripted writer is told, as JSON. */
export interface WriterSettings {
  /** One ledger each; what is said of it begins with its place here. None where it is asked, a line for each ledger. */
  readonly directories: readonly string[]
  /** PEM. */
  readonly noteKey: string
  /** Armored, without a passphrase. */
  readonly sealKey: string
  /**
   * `once`: the long script twice; `forever`: again and again, until it is killed; `asked`: the brief script for each line that comes.
   */
  readonly mode: 'once' | 'forever' | 'asked'
}

/** A line to a writer that is asked. */
export interface Asked {
  readonly directory: string
  readonly script: ScriptName
  readonly limit?: Limit
}

/** No file may grow beyond so many bytes during one step: a write is cut short there, and the next one refused. */
export interface Limit {
  /** The path of that program. */
  readonly prlimit: string
  /** By its name, or `open`, `close`. */
  readonly step: string
  readonly bytes: number
}

/** `first`: a ledger's first opening, and little more; `brief`: what follows upon a kill. */
export type ScriptName = 'first' | 'brief'
