/** Operations, subjects and controls for tests of the policy. */
import type { Control } from '../../lib/control.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import type { Operation } from '../../lib/operation.ts'

export function operation(parts: Partial<Operation> = {}): Operation {
  return {
    protocol: 'postgres',
    target: 'crm',
    accesses: [{ action: 'select', resource: 'crm/public.customers' }],
    reaches: [],
    opaque: false,
    risk: 'low',
    read: true,
    action: { statement: 'select 1' },
    holdable: true,
    ...parts,
  }
}

export const person = (id: string): Subject => ({ id, type: 'person', issuer: 'local', method: 'key' })
export const agent = (id: string, principal?: string): Subject => ({
  id,
  type: 'agent',
  issuer: 'local',
  method: 'key',
  owner: 'owner@crm.example',
  ...(principal === undefined ? {} : { principal }),
})

export const control = (id: string, parts: Partial<Control> = {}): Control => ({
  id,
  title: id,
  criteria: ['CC6.1'],
  covers: { resource: 'crm/**' },
  mode: 'enforce',
  tests: 'auto',
  ...parts,
})
