/** The client broke the protocol, or asked for what a gateway cannot give. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation'
  readonly sqlstate: string
  /** Where the statement is wrong: in characters, from 1. */
  readonly position: number | undefined

  /** @param text shown to the client: it never quotes data */
  constructor(sqlstate: string, text: string, position?: number) {
    super(text)
    this.sqlstate = sqlstate
    this.position = position
  }
}
