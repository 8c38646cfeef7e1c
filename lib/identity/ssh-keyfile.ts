/**
 * The file of SSH public keys, read strictly: a line for each as in authorized_keys (sshd(8)), whose comment is the subject's id.
 * Options are ours: `owner="..."`, `principal="..."`, `expires="2027-01-31T12:00:00Z"`, `service`; any other is an error, since what
 * sshd would make of it (`no-pty`, `command="..."`) would not happen here.
 */
import { isSubjectId } from '../policy/rules.ts'
import { type Problem, refuseProblems } from '../problem.ts'
import { fingerprintOf, keyTypes, wrongKey } from './ssh-public-key.ts'
import type { Subject } from './subject.ts'

export interface SshKeyRecord {
  readonly subject: string
  readonly type: Subject['type']
  readonly owner?: string
  readonly principal?: string
  /** Unix milliseconds. */
  readonly expires?: number
  /** `SHA256:...`, as OpenSSH writes it. */
  readonly fingerprint: string
}

type Report = (column: number, message: string, hint?: string) => void

/** @throws Misuse ERR_OPTION_INVALID, with every problem by its line */
export function parseSshKeys(text: string, file: string): readonly SshKeyRecord[] {
  const { records, problems } = readSshKeys(text, file)
  refuseProblems(problems)
  return records
}

/** @returns the keys, and every problem found; the keys are of no use where there is one. */
export function readSshKeys(
  text: string,
  file: string,
): { readonly records: readonly SshKeyRecord[]; readonly problems: readonly Problem[] } {
  const records: SshKeyRecord[] = []
  const problems: Problem[] = []
  const seen = new Map<string, number>()
  for (const [index, whole] of text.split(/\r?\n/).entries()) {
    const line = index + 1
    if (whole.trim() === '' || whole.startsWith('#')) continue
    const before = problems.length
    const record = parseLine(whole, (column, message, hint) =>
      problems.push({ file, line, column, message, ...(hint === undefined ? {} : { hint }) }),
    )
    if (record === undefined || problems.length > before) continue
    const first = seen.get(record.fingerprint)
    if (first !== undefined) problems.push({ file, line, column: 1, message: `the same key as in line ${first}` })
    seen.set(record.fingerprint, first ?? line)
    records.push(record)
  }
  return { records, problems }
}

const optionText = /[A-Za-z0-9-]+(?:="[^"]*")?/
const optionsText = new RegExp(`^${optionText.source}(?:,${optionText.source})*(?=[ \\t])`)
const form = 'write TYPE KEY SUBJECT, with options before it'

function parseLine(whole: string, report: Report): SshKeyRecord | undefined {
  const first = /^\S+/.exec(whole)?.[0] ?? ''
  const options = keyTypes.includes(first) || /^(ssh|ecdsa|sk)-/.test(first) ? '' : optionsText.exec(whole)?.[0]
  if (options === undefined) return void report(1, 'this line is malformed', form)
  const given = readOptions(options, report)
  const [type = '', encoded = '', subject, more] = whole
    .slice(options.length)
    .trim()
    .split(/[ \t]+/)
  const blob = Buffer.from(encoded, 'base64')
  const wrong = wrongKey(type, encoded)
  if (wrong !== undefined) return void report(options.length + 1, wrong, form)
  if (subject === undefined || more !== undefined)
    return void report(options.length + 1, 'behind the key, one word says whose key this is', form)
  const { service, ...named } = given
  const record = {
    ...named,
    subject,
    type: subject.startsWith('agent:') ? ('agent' as const) : service ? ('service' as const) : ('person' as const),
    fingerprint: fingerprintOf(blob),
  }
  checkSubjects(record, service === true, report)
  return record
}

interface Given {
  owner?: string
  principal?: string
  expires?: number
  service?: true
}

function readOptions(text: string, report: Report): Given {
  const given: Given = {}
  const seen = new Set<string>()
  for (const { 0: option, index } of text.matchAll(new RegExp(optionText, 'g'))) {
    const [name = '', quoted] = option.split(/=(.*)/s)
    const value = quoted?.slice(1, -1)
    const at = index + 1
    if (seen.has(name)) report(at, `the option "${name}" stands here twice`)
    seen.add(name)
    if (name === 'service') {
      if (value !== undefined) report(at, 'the option "service" takes no value')
      given.service = true
    } else if (name !== 'owner' && name !== 'principal' && name !== 'expires') {
      report(at, `unknown option "${name.slice(0, 64)}"`, 'known are owner, principal, expires, service')
    } else if (value === undefined) {
      report(at, `the option "${name}" needs a value`, `write ${name}="..."`)
    } else if (name === 'expires') {
      const time = timeOf(value)
      if (time === undefined) report(at, 'not a time', 'write expires="2027-01-31T12:00:00Z", in UTC')
      else given.expires = time
    } else given[name] = value
  }
  return given
}

function timeOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return undefined
  const time = Date.parse(text)
  // The 31st of February would become the 3rd of March.
  return !Number.isNaN(time) && new Date(time).toISOString() === text.replace('Z', '.000Z') ? time : undefined
}

/** As keyfile.ts has it for local keys: an agent under a person's type could approve, and one without an owner has nobody who answers. */
function checkSubjects({ subject, owner, principal }: SshKeyRecord, service: boolean, report: Report): void {
  const agent = subject.startsWith('agent:')
  const named = [owner, principal].filter(name => name !== undefined)
  if (![subject, ...named].every(isSubjectId))
    report(1, 'not a name that policy can use', 'write dba@crm.example in lower case, or agent:NAME')
  if (agent && owner === undefined) report(1, 'an agent needs owner="...": the person accountable for it')
  if (agent && service) report(1, 'an agent is no service')
  if (!agent && named.length > 0) report(1, 'only an agent has an owner or a principal')
  if (named.some(name => name.startsWith('agent:'))) report(1, 'an owner or a principal is a person')
}
