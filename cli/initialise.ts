/** What `init` and the demo start from: keys, counterfoil.yaml, controls.yaml and policy.csv in a folder, nothing overwritten. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Misuse } from '../lib/errors.ts'
import { issueKey } from '../lib/identity/keys.ts'
import { generateKey } from '../lib/openpgp.ts'

export interface Initial {
  readonly folder: string
  readonly name: string
  /** `env:NAME` or `file:PATH`. */
  readonly upstream: string
  readonly user: string
  readonly approver: string
}

export interface Initialised {
  readonly folder: string
  readonly config: string
  readonly files: readonly string[]
  /** What must not be committed, where the folder has a .gitignore of its own. */
  readonly ignore: readonly string[]
  readonly fingerprint: string
  readonly database: string
  readonly keys: readonly { readonly person: string; readonly key: string }[]
}

const keyLifetimeMs = 90 * 86_400_000
const secretFiles = ['keys/', 'keys.json', 'ledger/']

/** @throws Misuse ERR_OPTION_INVALID for a name that cannot be one, or a file that is there already */
export async function initialise({ folder, name, upstream, user, approver }: Initial): Promise<Initialised> {
  check(/^[a-z][a-z0-9-]{0,31}$/.test(name), 'a name is lower case letters, digits and -, a letter first, 32 at most')
  for (const person of [user, approver]) {
    check(
      /^[a-z0-9._+-]+@[a-z0-9.-]+$/.test(person),
      'people are named by address, in lower case: user@example.com,approver@example.com',
    )
  }
  check(user !== approver, 'the person who uses it and the one who approves must be two')
  check(
    /^(env:[A-Za-z_]\w*|file:.+)$/.test(upstream),
    'the upstream holds a secret: say where it is, as env:DATABASE_URL or file:PATH',
  )

  const there = await readdir(folder).catch((): string[] => [])
  const taken = ['counterfoil.yaml', 'controls.yaml', 'policy.csv', 'keys', 'keys.json'].filter(file =>
    there.includes(file),
  )
  check(taken.length === 0, `${folder} holds ${taken.join(', ')} already: nothing is overwritten; choose another --dir`)
  const keys = await writeKeys(folder, name)
  const files: Record<string, string> = {
    'counterfoil.yaml': configuration(name, upstream),
    'controls.yaml': controls(name),
    'policy.csv': policy(name, user, approver),
    ...(there.includes('.gitignore') ? {} : { '.gitignore': `${secretFiles.join('\n')}\n` }),
  }
  for (const [file, text] of Object.entries(files)) await writeNew(join(folder, file), text)
  const issued = []
  for (const person of [user, approver]) {
    const { key } = await issueKey(join(folder, 'keys.json'), {
      subject: person,
      type: 'person',
      lifetimeMs: keyLifetimeMs,
    })
    issued.push({ person, key })
  }
  return {
    folder,
    config: join(folder, 'counterfoil.yaml'),
    files: [...Object.keys(files), 'keys.json', 'keys/'],
    ignore: there.includes('.gitignore') ? secretFiles : [],
    fingerprint: keys.fingerprint,
    database: name,
    keys: issued,
  }
}

/**
 * The note key, the seal key with its certificate and revocation, and the key that the vault's keys are wrapped under.
 * @param passphrase of the seal key; where absent one is made, and written beside it
 */
export async function writeKeys(
  folder: string,
  name: string,
  passphrase?: string,
): Promise<{ fingerprint: string; certificate: string; files: readonly string[] }> {
  await mkdir(join(folder, 'keys'), { recursive: true, mode: 0o700 })
  const made = passphrase ?? randomBytes(24).toString('base64url')
  const seal = await generateKey({ name: `counterfoil ${name}`, passphrase: made })
  const note = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' })
  const files: Record<string, string> = {
    'note.key': String(note),
    'vault.key': `${randomBytes(32).toString('base64url')}\n`,
    'seal.key.asc': seal.privateKey,
    ...(passphrase === undefined ? { 'seal.passphrase': `${made}\n` } : {}),
    'seal.revocation.asc': seal.revocation,
    'ledger.pub.asc': seal.certificate,
  }
  for (const [file, text] of Object.entries(files)) await writeNew(join(folder, 'keys', file), text)
  return { fingerprint: seal.fingerprint, certificate: seal.certificate, files: Object.keys(files) }
}

/** @throws Misuse ERR_OPTION_INVALID where there is one: nothing is overwritten */
async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new Misuse('ERR_OPTION_INVALID', `${path} is there already: nothing is overwritten; choose another --dir`)
  }
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Misuse('ERR_OPTION_INVALID', otherwise)
}

/** How counterfoil.yaml begins, with the keys that `writeKeys` wrote. */
export const nameAndLedger = (name: string) => `name: ${name}
ledger:
  directory: ./ledger
  keys:
    note: file:./keys/note.key
    seal: { key: file:./keys/seal.key.asc, passphrase: file:./keys/seal.passphrase }
    vault: file:./keys/vault.key
`

const configuration = (
  name: string,
  upstream: string,
) => `# Where things run. Secrets are references (env:NAME, file:PATH), never values.
${nameAndLedger(name)}identity:
  keys: ./keys.json
policy: { model: default, rules: ./policy.csv }
listen:
  - { name: ${name}, protocol: postgres, address: 127.0.0.1:6432, upstream: "${upstream}" }
admin: { address: 127.0.0.1:9090 }
controls: ./controls.yaml
`

const controls = (
  name: string,
) => `# What is promised. Adapt the resources to your tables; \`counterfoil check\` reads this strictly.
- id: AC-03
  title: Changes need a live grant
  criteria: [CC6.1, CC6.3]
  covers: { resource: ${name}/public.**, action: [insert, update, delete] }
  require: { grant: { longest: 30m, reason: required } }
- id: AC-07
  title: Destructive operations need another person first
  criteria: [CC6.1, CC8.1]
  covers: { resource: ${name}/**, risk: high }
  require: { approval: { people: 1, from: role:approver, within: 15m, wait: 30s } }
- id: CF-01
  title: Personal data is masked
  criteria: [C1.1]
  covers: { resource: ${name}/public.** }
  mask: { ssn: last4, email: redact }
`

const policy = (name: string, user: string, approver: string) => `# Rights and roles: nothing listed, nothing allowed.
# p, who, resource, action, allow or deny      g, who, role
p, role:user, ${name}/public.**, *, allow
p, role:user, ${name}/session, session, allow
p, role:user, ${name}/pg_catalog.**, select, allow
p, role:user, ${name}/information_schema.**, select, allow
p, role:approver, ${name}/session, session, allow
p, role:approver, ${name}/**, approve, allow
p, role:approver, ${name}/**, revoke, allow
g, ${user}, role:user
g, ${approver}, role:approver
`
