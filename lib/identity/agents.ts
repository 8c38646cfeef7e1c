/** Agents: by which claim of whose token one is recognised, and who is accountable for it. */

export interface AgentRule {
  /** `agent:crm-assistant` */
  readonly id: string
  readonly recognise: {
    readonly issuer: string
    readonly claim: 'azp' | 'client_id' | 'sub'
    readonly value: string
  }
  /** The person accountable, as policy names them. */
  readonly owner: string
  readonly model?: string | undefined
  readonly purpose?: string | undefined
}
