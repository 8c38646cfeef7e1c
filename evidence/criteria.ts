/**
 * What this product can show for each of the 61 Trust Services Criteria: direct, partial or none, and by which artifacts. The
 * paraphrases are ours. Even `direct` holds only for traffic routed through the guard; the report prints the none rows too.
 */

import type { CriterionId } from '../lib/criteria.ts'
import { criteria as ids } from '../lib/criteria.ts'

export { type CriterionId, isCriterion } from '../lib/criteria.ts'

export type Strength = 'direct' | 'partial' | 'none'

export interface Criterion {
  readonly id: CriterionId
  readonly paraphrase: string
  readonly strength: Strength
  /** What of a bundle speaks to it; empty for none. */
  readonly evidence: string
}

const D = 'direct'
const P = 'partial'
const none = 'none'

// Artifacts: L population listing, S samples, C configuration snapshot, T test of operating effectiveness, X exception register,
// R recordings.
// biome-ignore format: a table
const table: Record<CriterionId, readonly [Strength, paraphrase: string, evidence: string]> = {
  'CC1.1': [none, 'Leadership acts ethically', ''],
  'CC1.2': [none, 'Board oversees independently', ''],
  'CC1.3': [P,    'Reporting lines and authority are set', 'C: who may approve, by role'],
  'CC1.4': [none, 'People are competent', ''],
  'CC1.5': [none, 'People answer for control duties', ''],
  'CC2.1': [P,    'Controls run on reliable information', 'T: completeness and integrity of the log'],
  'CC2.2': [none, 'Internal communication', ''],
  'CC2.3': [none, 'External communication', ''],
  'CC3.1': [none, 'Objectives are clear', ''],
  'CC3.2': [none, 'Risks are identified, analysed', ''],
  'CC3.3': [none, 'Fraud risk considered', ''],
  'CC3.4': [none, 'Significant change assessed', ''],
  'CC4.1': [P,    'Controls are monitored', 'T: runs of these tests'],
  'CC4.2': [P,    'Weaknesses reported and fixed', 'X: the exceptions; owner and closure are kept elsewhere'],
  'CC5.1': [P,    'Control activities reduce risk, duties split', 'C, T: approval by another person'],
  'CC5.2': [P,    'Technology controls selected', 'C: policy as code'],
  'CC5.3': [none, 'Policies put into practice', ''],
  'CC6.1': [D,    'Logical access protects assets', 'L, S, C, T, X, R'],
  'CC6.2': [P,    'Users registered, authorised, removed', 'L, T: grants; joiners and leavers come from elsewhere'],
  'CC6.3': [D,    'Roles, least privilege, duty separation', 'L, S, C, T, X'],
  'CC6.4': [none, 'Physical access', ''],
  'CC6.5': [none, 'Media and asset retirement', ''],
  'CC6.6': [P,    'Outside threats kept out', 'L: source address and method of each session at this gateway'],
  'CC6.7': [P,    'Data movement restricted', 'T: masking'],
  'CC6.8': [none, 'Malicious software stopped', ''],
  'CC7.1': [P,    'Configuration drift and vulnerabilities found', 'L, T: changes of the own policy only'],
  'CC7.2': [D,    'Anomalies monitored', 'L, T, R: privileged-access events only'],
  'CC7.3': [P,    'Events triaged into incidents', 'L: refusals and refused attempts; triage is kept elsewhere'],
  'CC7.4': [P,    'Incidents answered', 'L, R: the timeline of a session'],
  'CC7.5': [none, 'Recovery', ''],
  'CC8.1': [P,    'Changes authorised, tested, approved', 'L, S, T: changes executed here; development elsewhere'],
  'CC9.1': [none, 'Disruption risk mitigated', ''],
  'CC9.2': [none, 'Vendor risk managed', ''],
  'A1.1':  [none, 'Capacity', ''],
  'A1.2':  [none, 'Backups, environment', ''],
  'A1.3':  [none, 'Recovery tested', ''],
  'PI1.1': [none, 'Processing specifications defined', ''],
  'PI1.2': [none, 'Inputs complete, accurate', ''],
  'PI1.3': [P,    'Processing controlled', 'T: approved manual data fixes'],
  'PI1.4': [none, 'Outputs right, timely', ''],
  'PI1.5': [none, 'Stored items protected', ''],
  'C1.1':  [P,    'Confidential data identified, protected', 'C, T: masking; classification is the entity\'s'],
  'C1.2':  [P,    'Confidential data disposed', 'L: disposal executed here'],
  'P1.1':  [none, 'Privacy notice', ''],
  'P2.1':  [none, 'Choice and consent', ''],
  'P3.1':  [none, 'Collection matches objectives', ''],
  'P3.2':  [none, 'Explicit consent', ''],
  'P4.1':  [P,    'Use limited to purpose', 'L: the reason of each grant'],
  'P4.2':  [P,    'Retention limits', 'C: the ledger\'s own'],
  'P4.3':  [P,    'Secure disposal', 'L: disposal executed here'],
  'P5.1':  [none, 'Data subject access', ''],
  'P5.2':  [none, 'Correction', ''],
  'P6.1':  [none, 'Third-party disclosure consent', ''],
  'P6.2':  [P,    'Authorised disclosures recorded', 'L: what was offered, by count and commitment'],
  'P6.3':  [P,    'Unauthorised disclosures recorded', 'L: scoping input'],
  'P6.4':  [none, 'Third-party privacy commitments', ''],
  'P6.5':  [none, 'Third parties report breaches', ''],
  'P6.6':  [none, 'Breach notification', ''],
  'P6.7':  [P,    'Accounting of disclosures', 'L: this channel\'s slice'],
  'P7.1':  [none, 'Personal data accurate', ''],
  'P8.1':  [none, 'Complaints handled', ''],
}

export const criteria: readonly Criterion[] = ids.map(id => {
  const [strength, paraphrase, evidence] = table[id]
  return { id, paraphrase, strength, evidence }
})
