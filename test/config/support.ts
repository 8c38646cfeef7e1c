/** A whole, valid configuration in a temporary folder, for tests to break. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { type Config, type LoadOptions, loadConfig } from '../../lib/config/config.ts'
import { isOurs } from '../../lib/errors.ts'
import type { Problem } from '../../lib/problem.ts'

export const counterfoilYaml = `name: crm-gateway
ledger:
  directory: ./ledger
  keys:
    note: file:./keys/note.key
    seal: { key: file:./keys/seal.asc, passphrase: env:SEAL_PASSPHRASE }
    vault: file:./keys/vault.key
  heartbeat: 30s
identity:
  people: [{ oidc: https://id.example.com, audience: counterfoil, names: ['*@crm.example'] }]
  agents: ./agents.yaml
  keys: ./keys.json
policy: { model: default, rules: ./policy.csv }
listen:
  - name: crm
    protocol: postgres
    address: 127.0.0.1:6432
    upstream: env:CRM_URL
embedded: [api]
admin: { address: 127.0.0.1:9090 }
controls: ./controls.yaml
`

export const agentsYaml = `- id: agent:crm-assistant
  recognise: { issuer: https://id.example.com, claim: azp, value: crm-assistant }
  owner: owner@crm.example
  model: a language model
  purpose: answers questions of support
`

const policies = fileURLToPath(new URL('../../fixtures/policies/', import.meta.url))
const folders: string[] = []

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

export const env = {
  CRM_URL: 'postgres://gateway:canary-upstream@127.0.0.1:5432/crm',
  SEAL_PASSPHRASE: 'canary-passphrase',
}

/** @param files replaces files of the valid configuration, by name; undefined leaves one out. @returns the configuration's path */
export async function folderWith(files: Readonly<Record<string, string | undefined>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'counterfoil-config-'))
  folders.push(folder)
  const key = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const all: Record<string, string | undefined> = {
    'counterfoil.yaml': counterfoilYaml,
    'agents.yaml': agentsYaml,
    'keys/note.key': key,
    'keys/seal.asc': '-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nnot read here\n-----END PGP PRIVATE KEY BLOCK-----\n',
    'keys/vault.key': `${randomBytes(32).toString('base64url')}\n`,
    ...files,
  }
  for (const name of ['policy.csv', 'controls.yaml'])
    if (!(name in files)) await copyFile(join(policies, name), join(folder, name))
  for (const [name, text] of Object.entries(all)) {
    if (text === undefined) continue
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return join(folder, 'counterfoil.yaml')
}

export const load = async (
  files: Readonly<Record<string, string | undefined>> = {},
  options: LoadOptions = {},
): Promise<Config> => loadConfig(await folderWith(files), { env, ...options })

/** The lines of the error, as a person sees them. */
export async function problemsOf(
  files: Readonly<Record<string, string | undefined>>,
  options: LoadOptions = {},
): Promise<string[]> {
  try {
    await load(files, options)
  } catch (error) {
    if (!isOurs(error) || error.code !== 'ERR_OPTION_INVALID') throw error
    const { problems } = error.data as { problems: readonly Problem[] }
    const lines = error.message.split('\n')
    if (problems.length !== lines.length) throw new Error('a problem without a line of its own')
    return lines
  }
  return []
}

/** The valid configuration with one text replaced. */
export const edited = (from: string, to: string): Record<string, string> => {
  if (!counterfoilYaml.includes(from)) throw new Error(`the sample has no ${from}`)
  return { 'counterfoil.yaml': counterfoilYaml.replace(from, to) }
}
