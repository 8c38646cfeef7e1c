/** What each listener of counterfoil.yaml means: where it listens, what proves it to clients, and what is behind it. */
import { Fault } from '../errors.ts'
import type { MutualTls } from '../ledger/shared/certificate.ts'
import type { Problem } from '../problem.ts'
import { checkShape } from './check.ts'
import type { Listener, PostgresListener, SshListener, Tls } from './config.ts'
import { readHosts } from './hosts.ts'
import { isCertificate, isLoopback, isTlsPair, shown, splitAddress, urisIn } from './material.ts'
import { type ConfigFile, hostsFile } from './schema.ts'
import { resolveSecret, Secret } from './secrets.ts'
import { keyAt, type Path, readYaml, type YamlFile } from './yaml.ts'

export interface ListenerReader {
  /** Only what evidence is made from: what is behind a listener is not read. */
  readonly evidence: boolean
  problem(problem: Problem): void
  report(source: YamlFile, path: Path, message: string, hint?: string): void
  /** @param at where the file is named. @returns undefined where it cannot be read, which is reported */
  read(path: string, at: Path, source: YamlFile): Promise<string | undefined>
  /** @returns undefined where there is none, which is reported */
  secret(reference: string, path: Path, source: YamlFile): Secret | undefined
}

type Written = NonNullable<ConfigFile['listen']>[number]

/** @returns those in which nothing is wrong; what is, is reported */
export async function readListeners(
  written: readonly Written[],
  source: YamlFile,
  reader: ListenerReader,
): Promise<Listener[]> {
  const found: Listener[] = []
  for (const [i, listener] of written.entries()) {
    const path = ['listen', i]
    const read =
      listener.protocol === 'ssh'
        ? await readSsh(listener, path, source, reader)
        : readPostgres(listener, path, source, reader)
    if (read !== undefined) found.push(read)
  }
  return found
}

function readPostgres(
  listener: Extract<Written, { protocol: 'postgres' }>,
  path: Path,
  source: YamlFile,
  reader: ListenerReader,
): PostgresListener | undefined {
  const address = readAddress(listener, path, source, reader)
  if (reader.evidence) return undefined
  const upstream = reader.secret(listener.upstream, [...path, 'upstream'], source)
  if (upstream !== undefined && !/^postgres(ql)?:\/\/\S+$/.test(upstream.reveal())) {
    reader.report(source, [...path, 'upstream'], 'not a connection URL: postgres://USER@HOST:PORT/DATABASE')
  }
  if (address === undefined || upstream === undefined) return undefined
  return { name: listener.name, protocol: 'postgres', ...address, upstream }
}

/** It is encrypted by itself: it needs no TLS, wherever it listens. */
async function readSsh(
  listener: Extract<Written, { protocol: 'ssh' }>,
  path: Path,
  source: YamlFile,
  reader: ListenerReader,
): Promise<SshListener | undefined> {
  const address = placeOf(listener.address, path, source, reader)
  if (reader.evidence) return undefined
  const at = (i: number) => [...path, 'hostKey', ...(Array.isArray(listener.hostKey) ? [i] : [])]
  const hostKeys = [listener.hostKey].flat().map((key, i) => privateKey(key, at(i), source, reader))
  const hosts = await readHostsFile(listener.upstream, [...path, 'upstream'], source, reader)
  if (hosts === undefined || hostKeys.some(key => key === undefined)) return undefined
  const { name, environment } = listener
  return {
    ...{ name, protocol: 'ssh', ...address, hosts, hostKeys: hostKeys as Secret[] },
    ...(environment === undefined ? {} : { environment }),
  }
}

async function readHostsFile(
  path: string,
  at: Path,
  source: YamlFile,
  reader: ListenerReader,
): Promise<SshListener['hosts'] | undefined> {
  const text = await reader.read(path, at, source)
  if (text === undefined) return undefined
  const yaml = readYaml(text, shown(path))
  const written = checkShape(yaml, hostsFile, problem => reader.problem(problem))
  if (written === undefined) return undefined
  return readHosts(written, {
    report: (where, message, hint) => reader.report(yaml, where, message, hint),
    privateKey: (reference, where) => privateKey(reference, where, yaml, reader),
    secret: (reference, where) => reader.secret(reference, where, yaml),
  })
}

/** Whether it is one that SSH can use is for the adapter: no other part reads these. */
function privateKey(reference: string, path: Path, source: YamlFile, reader: ListenerReader): Secret | undefined {
  const key = reader.secret(reference, path, source)
  if (key === undefined || /^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key.reveal())) return key
  reader.report(source, path, 'not a private key, in PEM or as ssh-keygen writes it')
  return undefined
}

/** Where something listens to which tokens and keys are sent as they are: over TLS, or on loopback. */
export function readAddress(
  { address, tls }: NonNullable<ConfigFile['admin']>,
  path: Path,
  source: YamlFile,
  reader: ListenerReader,
): { host: string; port: number; tls?: Tls } | undefined {
  const { host, port } = placeOf(address, path, source, reader)
  if (tls !== undefined) {
    const read = readTls(tls, [...path, 'tls'], source, reader)
    return read === undefined ? undefined : { host, port, tls: read }
  }
  if (!isLoopback(host))
    reader.report(source, [...path, 'address'], 'beyond loopback, tls is required', 'add tls: { key, cert }')
  return { host, port }
}

export function placeOf(address: string, path: Path, source: YamlFile, reader: ListenerReader) {
  const parts = splitAddress(address)
  if (parts.port > 65_535) reader.report(source, [...path, 'address'], 'there is no such port')
  return parts
}

function readTls(
  { key, cert }: { key: string; cert: string },
  path: Path,
  source: YamlFile,
  reader: ListenerReader,
): Tls | undefined {
  const secret = reader.secret(key, [...path, 'key'], source)
  const certificate = reader.secret(`file:${cert}`, [...path, 'cert'], source)
  if (secret === undefined || certificate === undefined) return undefined
  if (!isTlsPair(secret, certificate)) reader.report(source, path, 'not a private key and its certificate, both in PEM')
  return { key: secret, cert: certificate.reveal() }
}

interface Mutual {
  /** What paths are relative to. */
  readonly folder: string
  /** What the certificate must bear among its subject alternative names. */
  readonly uri?: string
}

/** @returns undefined where something is wrong with it, which is reported; else the files read anew each time, since they are renewed */
export function readMutualTls(
  written: { key: string; cert: string; ca: string },
  path: Path,
  source: YamlFile,
  reader: ListenerReader,
  { folder, uri }: Mutual,
): (() => MutualTls) | undefined {
  const read = readTls(written, path, source, reader)
  const ca = reader.secret(`file:${written.ca}`, [...path, 'ca'], source)
  if (read === undefined || ca === undefined) return undefined
  if (!isCertificate(ca.reveal())) reader.report(source, [...path, 'ca'], 'not a certificate in PEM')
  else if (uri !== undefined && isCertificate(read.cert) && !urisIn(read.cert).includes(uri)) {
    const hint = `it needs URI:${uri} among its subject alternative names`
    reader.report(source, [...path, 'cert'], 'not a certificate of this writer of this ledger', hint)
  }
  return () => {
    const text = (of: keyof MutualTls, reference: string, once: string) => {
      const found = reference.startsWith('env:') ? undefined : resolveSecret(reference, { folder, env: {} })
      if (found === undefined) return once
      if (found instanceof Secret) return found.reveal()
      throw new Fault('ERR_LEDGER_UNAVAILABLE', `${keyAt([...path, of])}: ${found.missing}`)
    }
    return {
      key: text('key', written.key, read.key.reveal()),
      cert: text('cert', `file:${written.cert}`, read.cert),
      ca: text('ca', `file:${written.ca}`, ca.reveal()),
    }
  }
}
