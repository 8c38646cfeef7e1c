/** Who asks, what they may, and what is planted: the same for every door. */
import { randomBytes } from 'node:crypto'
import type { Control } from '../lib/control.ts'
import type { Subject } from '../lib/identity/subject.ts'

export const person = (id: string): Subject => ({ id, type: 'person', issuer: 'local', method: 'key' })

export const requester = person('requester@crm.example')
export const owner = person('owner@crm.example')
export const dba = person('dba@crm.example')
export const secondDba = person('second-dba@crm.example')

/** Everybody may approve, so that a refusal to let them is separation of duties and not a missing right. */
export const rules = `
p, role:support, crm/**, *, allow
p, role:approver, crm/**, approve, allow
p, role:approver, crm/**, revoke, allow
g, requester@crm.example, role:support
g, agent:crm-assistant, role:support
g, owner@crm.example, role:approver
g, requester@crm.example, role:approver
g, dba@crm.example, role:approver
g, second-dba@crm.example, role:approver
g, agent:crm-assistant, role:approver
g, dba@crm.example, role:dba
g, second-dba@crm.example, role:dba
`

/** A control with what its writer need not say. */
export const control = (part: Partial<Control> & Pick<Control, 'id' | 'covers'>): Control => ({
  title: part.id,
  criteria: ['CC6.1'],
  mode: 'enforce',
  tests: 'auto',
  ...part,
})

/** What a masked reply holds. */
export const personal = { name: 'Customer 0001', ssn: '123-45-0001', email: 'c1@customer.example' } as const

/** Planted anew for each run wherever a secret may stand: nothing that is kept or told may hold it. */
export const canary = `canary${randomBytes(12).toString('hex')}`

/** What a subject presents: a secret itself. */
export const credentialOf = (subject: Subject): string => `${canary}.${Buffer.from(subject.id).toString('base64url')}`
