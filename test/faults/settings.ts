/** What a scripted writer is told, as JSON. */
export interface WriterSettings {
  /** One ledger each; what is said of it begins with its place here. */
  readonly directories: readonly string[]
  /** PEM. */
  readonly noteKey: string
  /** Armored, without a passphrase. */
  readonly sealKey: string
  /** Until it is killed; else the script once. */
  readonly forever: boolean
}
