/** Reads counterfoil.yaml and the files beside it, and collects every problem by file, line and column instead of stopping at one. */
import { readFile } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import type { Control } from '../control.ts'
import { duration } from '../duration.ts'
import { isOurs } from '../errors.ts'
import type { AgentRule } from '../identity/agents.ts'
import { readSshKeys } from '../identity/ssh-keyfile.ts'
import { writerUri } from '../ledger/shared/certificate.ts'
import { longestHeartbeatMs } from '../ledger/story.ts'
import { checkPolicy, type PolicySource } from '../policy/policy.ts'
import { isSubjectId, readRules } from '../policy/rules.ts'
import type { Problem } from '../problem.ts'
import { checkShape } from './check.ts'
import type { Config, LoadOptions, RemoteConfig, SealKeySettings } from './config.ts'
import { readControls } from './controls.ts'
import { type ListenerReader, placeOf, readAddress, readListeners, readMutualTls } from './listeners.ts'
import { ed25519, isIssuer, isKey, shown, spaceOf } from './material.ts'
import { agentsFile, type ConfigFile, configFile, controlsFile, type OwnLedger, type RemoteLedger } from './schema.ts'
import { resolveSecret, Secret } from './secrets.ts'
import { readWitnesses } from './witnesses.ts'
import { keyAt, type Path, readYaml, type YamlFile } from './yaml.ts'

/** Rights about the vault are on `ledger/vault`. */
const ledgerTarget = 'ledger'

export class Loader {
  readonly problems: Problem[] = []
  readonly #file: string
  readonly #folder: string
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #clock: Clock
  readonly #evidence: boolean

  constructor(file: string, { env = process.env, clock = systemClock, evidence = false }: LoadOptions) {
    this.#evidence = evidence
    this.#file = file
    this.#folder = dirname(file)
    this.#env = env
    this.#clock = clock
  }

  async load(): Promise<Config | RemoteConfig | undefined> {
    const report = (problem: Problem) => this.problems.push(problem)
    const name = basename(this.#file)
    const text = await this.#read(name, { file: name, line: 1, column: 1 })
    if (text === undefined) return undefined
    const source = readYaml(text, name)
    const written = checkShape(source, configFile, report)
    if (written === undefined) return undefined

    const ledger = 'gateway' in written.ledger ? undefined : this.#ledger(written, written.ledger, source)
    const gateway = 'gateway' in written.ledger ? this.#gateway(written, written.ledger, source) : undefined
    const readers = 'gateway' in written.ledger ? undefined : await this.#readers(written.ledger, source)
    const listen = await readListeners(written.listen ?? [], source, this.#reader)
    const masking = this.#masking(written, source)
    const admin = written.admin === undefined ? undefined : readAddress(written.admin, ['admin'], source, this.#reader)
    const embedded = written.embedded ?? []
    const targets = [...(written.listen ?? []), ...embedded.map(target => ({ name: target, protocol: 'embedded' }))]
    this.#checkTargets(targets, written, source)
    const policy = await this.#policy(written, targets, source)
    const identity = await this.#identity(written, source)
    if (this.problems.length > 0) return undefined
    return {
      file: this.#file,
      name: written.name,
      ...(gateway === undefined
        ? { ledger: { ...ledger!, ...(readers === undefined ? {} : { readers }) } }
        : { gateway }),
      identity,
      policy: policy!,
      listen,
      embedded,
      targets: targets.map(({ name }) => name),
      ...(masking === undefined ? {} : { masking }),
      ...(admin === undefined ? {} : { admin }),
    }
  }

  get #reader(): ListenerReader {
    return {
      evidence: this.#evidence,
      problem: problem => this.problems.push(problem),
      report: (source, path, message, hint) => this.#report(source, path, message, hint),
      read: (path, at, source) => this.#read(path, { file: source.file, ...source.placeOf(at) }),
      secret: (reference, path, source) => this.#secret(reference, path, source),
    }
  }

  #report(source: YamlFile, path: Path, message: string, hint?: string): void {
    this.problems.push({ file: source.file, ...source.placeOf(path), message, hint })
  }

  /** @param from where the file is named */
  async #read(path: string, from: { file: string; line: number; column: number }): Promise<string | undefined> {
    try {
      return await readFile(resolve(this.#folder, path), 'utf8')
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      const isOwn = from.line === 1 && from.file === path
      const hint = isOwn ? '`counterfoil init` writes one' : 'paths are relative to this file'
      const which = isOwn ? '' : `: ${path}`
      this.problems.push({
        ...from,
        message: code === 'ENOENT' ? `there is no such file${which}` : `the file cannot be read (${code})${which}`,
        hint,
      })
      return undefined
    }
  }

  #secret(reference: string, path: Path, source: YamlFile): Secret | undefined {
    const found = resolveSecret(reference, { folder: this.#folder, env: this.#env })
    if (found instanceof Secret) return found
    this.#report(source, path, `${keyAt(path)}: ${found.missing}`, found.hint)
    return undefined
  }

  #gateway({ name }: ConfigFile, ledger: RemoteLedger, source: YamlFile): RemoteConfig['gateway'] | undefined {
    const writer = this.#writer(ledger.writer, name, true, source)
    const heartbeatMs = this.#heartbeat(ledger.heartbeat, true, source)
    const uri = writerUri(name, writer)
    const tls = readMutualTls(ledger.tls, ['ledger', 'tls'], source, this.#reader, { folder: this.#folder, uri })
    return tls && { urls: [ledger.gateway].flat(), writer, heartbeatMs, tls }
  }

  #listen({ listen, shared }: OwnLedger, source: YamlFile): Pick<Config['ledger'], 'listen'> {
    if (listen === undefined || this.#evidence) return {}
    const at = ['ledger', 'listen']
    if (shared !== true) {
      this.#report(source, at, 'a ledger that is not shared takes no writers of other hosts', 'add shared: true')
    }
    const { host, port } = placeOf(listen.address, at, source, this.#reader)
    const tls = readMutualTls(listen.tls, [...at, 'tls'], source, this.#reader, { folder: this.#folder })
    return tls === undefined ? {} : { listen: { host, port, tls } }
  }

  #heartbeat(written: string | undefined, shared: boolean, source: YamlFile): number {
    const heartbeatMs = duration(written ?? '60s')
    if (shared && heartbeatMs > longestHeartbeatMs) {
      this.#report(source, ['ledger', 'heartbeat'], 'who shares a ledger says at least every 60s that it lives')
    }
    return heartbeatMs
  }

  #ledger({ name }: ConfigFile, ledger: OwnLedger, source: YamlFile): Config['ledger'] | undefined {
    const { directory, keys, heartbeat, seal: every, rollover = {}, retention, witnesses, shared = false } = ledger
    const at = (...path: string[]) => ['ledger', 'keys', ...path]
    const note = this.#secret(keys.note, at('note'), source)
    const noteKey = note === undefined ? undefined : ed25519(note)
    if (note !== undefined && noteKey === undefined)
      this.#report(source, at('note'), 'not an Ed25519 private key in PEM')

    const sealKey = this.#sealKey(keys.seal, source)

    const vaultKey = this.#secret(keys.vault, at('vault'), source)
    if (vaultKey !== undefined && !isKey(vaultKey)) {
      this.#report(source, at('vault'), 'not 32 bytes in base64url')
    }
    const writer = this.#writer(ledger.writer, name, shared, source)
    const heartbeatMs = this.#heartbeat(heartbeat, shared, source)
    const listen = this.#listen(ledger, source)
    if (noteKey === undefined || sealKey === undefined || vaultKey === undefined) return undefined
    return {
      directory: resolve(this.#folder, directory),
      noteKey,
      sealKey,
      keyFiles: {
        ...this.#fileOf('note', keys.note),
        ...this.#fileOf('seal', typeof keys.seal === 'string' ? keys.seal : 'key' in keys.seal ? keys.seal.key : ''),
      },
      vaultKey,
      heartbeatMs,
      sealMs: duration(every ?? '1h'),
      rollover: {
        ...(rollover.every === undefined ? {} : { everyMs: duration(rollover.every) }),
        ...(rollover.entries === undefined ? {} : { entries: rollover.entries }),
      },
      ...(retention === undefined ? {} : { retentionMs: duration(retention) }),
      disk: { warn: spaceOf(ledger.disk?.warn ?? '2GiB'), refuse: spaceOf(ledger.disk?.refuse ?? '500MiB') },
      shared,
      writer,
      ...listen,
      ...(witnesses === undefined
        ? {}
        : { witnesses: readWitnesses(witnesses, (...args) => this.#report(source, ...args)) }),
    }
  }

  /** Only who records needs them; that each can be encrypted to is looked at now, and not when somebody logs in. */
  async #readers({ recordings }: OwnLedger, source: YamlFile): Promise<readonly string[] | undefined> {
    if (recordings === undefined || this.#evidence) return undefined
    const { readRecipient } = await import('../openpgp.ts')
    const list = typeof recordings.to === 'string' ? [recordings.to] : recordings.to
    const read: string[] = []
    for (const [i, path] of list.entries()) {
      const at = ['ledger', 'recordings', 'to', ...(typeof recordings.to === 'string' ? [] : [i])]
      const text = await this.#read(path, { file: source.file, ...source.placeOf(at) })
      if (text === undefined) continue
      read.push(text)
      await readRecipient(text, new Date(this.#clock.now())).catch((error: unknown) => {
        if (!isOurs(error)) throw error
        this.#report(source, at, error.message, 'an armored certificate of who may read: gpg --armor --export')
      })
    }
    return read
  }

  /** Whoever only makes evidence appends nothing, and need not know the name. */
  #writer(written: string | undefined, name: string, shared: boolean, source: YamlFile): string {
    const at = ['ledger', 'writer']
    if (written === undefined) {
      if (shared && !this.#evidence) {
        this.#report(
          source,
          ['ledger'],
          'missing key "writer"',
          'each process that shares a ledger has a name: env:WRITER',
        )
      }
      return name
    }
    if (!written.startsWith('env:')) return written
    const value = this.#env[written.slice('env:'.length)]
    if (value !== undefined && /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/.test(value)) return value
    if (!this.#evidence)
      this.#report(source, at, value === undefined ? 'this variable is not set' : 'the variable holds no name')
    return name
  }

  #sealKey(written: OwnLedger['keys']['seal'], source: YamlFile): SealKeySettings | undefined {
    const at = (...path: string[]) => ['ledger', 'keys', 'seal', ...path]
    if (typeof written !== 'string' && 'gpg' in written) {
      const { gpg, home, program } = written
      const fingerprint = gpg.replaceAll(/\s/g, '').toUpperCase()
      const where = home === undefined ? {} : { home: resolve(this.#folder, home) }
      return { gpg: { fingerprint, ...where, ...(program === undefined ? {} : { program }) } }
    }
    const seal = typeof written === 'string' ? { key: written } : written
    const inner = typeof written === 'string' ? [] : ['key']
    const armored = this.#secret(seal.key, at(...inner), source)
    if (armored !== undefined && !armored.reveal().startsWith('-----BEGIN PGP PRIVATE KEY BLOCK-----')) {
      this.#report(source, at(...inner), 'not an armored OpenPGP private key')
    }
    const passphrase =
      seal.passphrase === undefined ? undefined : this.#secret(seal.passphrase, at('passphrase'), source)
    return armored === undefined ? undefined : { armored, ...(passphrase === undefined ? {} : { passphrase }) }
  }

  #fileOf<N extends string>(name: N, reference: string): { [K in N]?: string } {
    const [, path] = /^file:(.+)$/.exec(reference) ?? []
    return path === undefined ? {} : ({ [name]: resolve(this.#folder, path) } as { [K in N]: string })
  }

  #masking({ masking }: ConfigFile, source: YamlFile): Config['masking'] {
    // Evidence is made of what was masked already: whoever makes it need not hold this key.
    if (masking === undefined || this.#evidence) return masking === undefined ? undefined : {}
    const path = ['masking', 'key']
    const key = this.#secret(masking.key, path, source)
    if (key === undefined) return undefined
    if (!isKey(key)) this.#report(source, path, 'not 32 bytes in base64url')
    return { key }
  }

  #checkTargets(targets: readonly { name: string }[], written: ConfigFile, source: YamlFile): void {
    const listeners = written.listen?.length ?? 0
    const pathOf = (i: number) => (i < listeners ? ['listen', i, 'name'] : ['embedded', i - listeners])
    for (const [i, { name }] of targets.entries()) {
      if (targets.findIndex(other => other.name === name) < i)
        this.#report(source, pathOf(i), 'this name is taken already')
      if (name === ledgerTarget)
        this.#report(source, pathOf(i), "this name is the ledger's own: rights about its vault are given on it")
    }
    if (targets.length === 0)
      this.#report(source, [], 'nothing is guarded', 'add a listener to listen, or an application to embedded')
  }

  async #policy(
    { policy, controls, masking }: ConfigFile,
    targets: readonly { name: string; protocol: string }[],
    source: YamlFile,
  ): Promise<(PolicySource & { controls: Control[] }) | undefined> {
    const from = (...path: string[]) => ({ file: source.file, ...source.placeOf(path) })
    const shipped = policy.model === undefined || policy.model === 'default'
    const model = shipped ? undefined : await this.#read(policy.model!, from('policy', 'model'))
    const rulesText = await this.#read(policy.rules, from('policy', 'rules'))
    const controlsText = await this.#read(controls, from('controls'))
    const names = [...targets.map(({ name }) => name), ledgerTarget]
    const files = { model: shipped ? undefined : shown(policy.model!), rules: shown(policy.rules) }
    const found = checkPolicy({ model, rules: rulesText ?? '', targets: names, files })
    this.problems.push(...found)
    if (controlsText === undefined) return undefined

    const yaml = readYaml(controlsText, shown(controls))
    const written = checkShape(yaml, controlsFile, problem => this.problems.push(problem))
    if (written === undefined || rulesText === undefined) return undefined
    const rules = found.length > 0 ? undefined : readRules(rulesText, { file: files.rules }).rules
    const canHash = masking !== undefined
    const read = readControls(written, { targets, rules, canHash, now: this.#clock.now() }, (path, message, hint) =>
      this.#report(yaml, path, message, hint),
    )
    return { model, rules: rulesText, controls: read, controlsText, targets: names, files }
  }

  async #identity({ identity }: ConfigFile, source: YamlFile): Promise<Config['identity']> {
    const people = identity.people ?? []
    for (const [i, { oidc, names }] of people.entries()) {
      if (!isIssuer(oidc))
        this.#report(source, ['identity', 'people', i, 'oidc'], 'not an issuer: an https URL, or http on loopback')
      if (people.findIndex(other => other.oidc === oidc) < i)
        this.#report(source, ['identity', 'people', i, 'oidc'], 'the same issuer twice')
      if (names === undefined && (people.length > 1 || identity.keys !== undefined))
        this.#report(
          source,
          ['identity', 'people', i],
          'beside other issuers or local keys, this one could name their people',
          "say whom it may name: names: ['*@crm.example']",
        )
    }
    if (people.length === 0 && identity.keys === undefined && identity.sshKeys === undefined) {
      this.#report(source, ['identity'], 'nobody could log in', 'add people (oidc) or keys')
    }
    await this.#sshKeys(identity.sshKeys, source)
    const agents =
      identity.agents === undefined
        ? []
        : await this.#agents(
            identity.agents,
            people.map(p => p.oidc),
            source,
          )
    return {
      people: people.map(({ oidc, audience, subject, names }) => ({
        issuer: oidc,
        audience,
        ...(subject === undefined ? {} : { subject }),
        ...(names === undefined ? {} : { names }),
      })),
      agents,
      ...(identity.keys === undefined ? {} : { keys: resolve(this.#folder, identity.keys) }),
      ...(identity.sshKeys === undefined ? {} : { sshKeys: resolve(this.#folder, identity.sshKeys) }),
    }
  }

  async #sshKeys(path: string | undefined, source: YamlFile): Promise<void> {
    if (path === undefined) return
    const text = await this.#read(path, { file: source.file, ...source.placeOf(['identity', 'sshKeys']) })
    if (text !== undefined) this.problems.push(...readSshKeys(text, shown(path)).problems)
  }

  async #agents(path: string, issuers: readonly string[], source: YamlFile): Promise<AgentRule[]> {
    const text = await this.#read(path, { file: source.file, ...source.placeOf(['identity', 'agents']) })
    if (text === undefined) return []
    const yaml = readYaml(text, shown(path))
    const written = checkShape(yaml, agentsFile, problem => this.problems.push(problem)) ?? []
    const key = ({ recognise: { issuer, claim, value } }: AgentRule) => JSON.stringify([issuer, claim, value])
    for (const [i, agent] of written.entries()) {
      const { id, recognise, owner } = agent
      const earlier = written.slice(0, i)
      if (!isSubjectId(owner) || owner.startsWith('agent:'))
        this.#report(yaml, [i, 'owner'], 'not a person as policy names them', 'as owner@crm.example, in lower case')
      if (!issuers.includes(recognise.issuer))
        this.#report(
          yaml,
          [i, 'recognise', 'issuer'],
          'this agent can never be recognised',
          'name an issuer of identity.people',
        )
      if (earlier.some(other => other.id === id)) this.#report(yaml, [i, 'id'], 'this id is taken already')
      if (earlier.some(other => key(other) === key(agent)))
        this.#report(yaml, [i, 'recognise'], 'another agent is recognised by the same')
    }
    return written
  }
}
