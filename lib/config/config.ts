/** What a configuration says, read: counterfoil.yaml and every file that it names, with all that is wrong reported at once. */
import type { KeyObject } from 'node:crypto'
import { resolve } from 'node:path'
import type { WitnessPlace } from '../anchors/anchoring.ts'
import type { Clock } from '../clock.ts'
import type { Control } from '../control.ts'
import { Misuse } from '../errors.ts'
import type { AgentRule } from '../identity/agents.ts'
import type { Space } from '../ledger/disk.ts'
import type { Bounds } from '../ledger/rollover.ts'
import type { TlsSource } from '../ledger/shared/certificate.ts'
import type { PolicySource } from '../policy/policy.ts'
import { refuseProblems } from '../problem.ts'
import { Loader } from './load.ts'
import type { Secret } from './secrets.ts'

export interface Config {
  /** Absolute, as all paths here. */
  readonly file: string
  readonly name: string
  readonly ledger: {
    /** Of the series: its first ledger lies there, and the others within it. */
    readonly directory: string
    /** Ed25519, private. */
    readonly noteKey: KeyObject
    readonly sealKey: SealKeySettings
    /** Where those of the keys lie that are files of their own: what a rotation replaces. */
    readonly keyFiles: { readonly note?: string; readonly seal?: string }
    /** 32 bytes, base64url in its Secret. */
    readonly vaultKey: Secret
    readonly heartbeatMs: number
    readonly disk: { readonly warn: Space; readonly refuse: Space }
    /** Whether other processes append to the directory too. */
    readonly shared: boolean
    /** Under which name this process appends. */
    readonly writer: string
    readonly witnesses?: WitnessSettings
    readonly sealMs: number
    /** When the next ledger of the series begins. */
    readonly rollover: Bounds
    readonly retentionMs?: number
    /** Where processes of other hosts append. */
    readonly listen?: { readonly host: string; readonly port: number; readonly tls: TlsSource }
    /** Armored certificates of those who may read recordings; undefined where whoever has the key of the vault may. */
    readonly readers?: readonly string[]
  }
  readonly identity: {
    readonly people: readonly OidcSettings[]
    readonly agents: readonly AgentRule[]
    /** The file of local keys; it need not exist yet. */
    readonly keys?: string
    /** The file of SSH public keys. */
    readonly sshKeys?: string
  }
  readonly masking?: {
    /** For `hash`: 32 bytes, base64url in its Secret; undefined where only evidence is made. */
    readonly key?: Secret
  }
  /** As casbinPolicy and Policy.reload take it. */
  readonly policy: PolicySource & { readonly controls: readonly Control[] }
  readonly listen: readonly Listener[]
  /** Applications that guard themselves in process. */
  readonly embedded: readonly string[]
  /** Names of all of these, also where only evidence is made. */
  readonly targets: readonly string[]
  readonly admin?: { readonly host: string; readonly port: number; readonly tls?: Tls }
}

/** Of a process on another host than the ledger: it has nothing of it but the way there. */
export interface RemoteConfig extends Omit<Config, 'ledger'> {
  readonly gateway: {
    readonly urls: readonly string[]
    readonly writer: string
    readonly heartbeatMs: number
    readonly tls: TlsSource
  }
}

export const isRemote = (config: Config | RemoteConfig): config is RemoteConfig => 'gateway' in config

export type SealKeySettings =
  | { readonly armored: Secret; readonly passphrase?: Secret }
  | { readonly gpg: { readonly fingerprint: string; readonly home?: string; readonly program?: string } }

export interface WitnessSettings {
  readonly list: readonly WitnessPlace[]
  /** How many of them should cosign each time. */
  readonly quorum: number
  readonly everyMs: number
}

export interface OidcSettings {
  readonly issuer: string
  readonly audience: string
  /** The claim that names a person. */
  readonly subject?: string
  /** Which people it may name. */
  readonly names?: readonly string[]
}

export type Listener = PostgresListener | SshListener

interface Listening {
  readonly name: string
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
}

export interface PostgresListener extends Listening {
  readonly protocol: 'postgres'
  readonly tls?: Tls
  readonly upstream: Secret
}

export interface SshListener extends Listening {
  readonly protocol: 'ssh'
  readonly hostKeys: readonly Secret[]
  /** By the name that clients ask for. */
  readonly hosts: Readonly<Record<string, SshHostSettings>>
  readonly environment?: readonly string[]
}

export interface SshHostSettings {
  readonly address: { readonly host: string; readonly port: number }
  /** `ssh-ed25519 AAAA...` */
  readonly hostKeys: readonly string[]
  readonly logins: Readonly<Record<string, { readonly key: Secret; readonly passphrase?: Secret }>>
  /** The one that is meant where a client names the host alone. */
  readonly login?: string
}

/** PEM. */
export interface Tls {
  readonly key: Secret
  readonly cert: string
}

export interface LoadOptions {
  /** Only what evidence is made from: listeners are left out, and whoever asks need not hold the secrets of what is behind them. */
  readonly evidence?: boolean
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly clock?: Clock
}

/** @throws Misuse ERR_OPTION_INVALID: a line for each problem, `counterfoil.yaml:12:5: unknown key "lisen"; did you mean "listen"?` */
export async function loadConfig(path: string, options: LoadOptions = {}): Promise<Config> {
  const config = await loadGuardConfig(path, options)
  if (!isRemote(config)) return config
  throw new Misuse(
    'ERR_OPTION_INVALID',
    `${path}: its ledger is on another host (${config.gateway.urls.join(', ')}): this is done there`,
  )
}

/** As loadConfig, for whoever only guards: the ledger may be on another host. */
export async function loadGuardConfig(path: string, options: LoadOptions = {}): Promise<Config | RemoteConfig> {
  const loader = new Loader(resolve(path), options)
  const config = await loader.load()
  refuseProblems(loader.problems)
  return config!
}
