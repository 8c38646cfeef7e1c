/** References to secrets, resolved: `env:NAME`, `file:PATH`. What they name is held so that it cannot be printed by accident. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { inspect } from 'node:util'

/** Shows itself as `[secret]` in logs, JSON and templates; only `reveal` tells. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }
}

export interface SecretSources {
  /** What `file:` paths are relative to. */
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** @returns the secret without a final newline, or what is missing, by its name or path and never by content, and what to do. */
export function resolveSecret(
  reference: string,
  { folder, env }: SecretSources,
): Secret | { missing: string; hint: string } {
  const [kind, name] = [reference.slice(0, reference.indexOf(':')), reference.slice(reference.indexOf(':') + 1)]
  if (kind === 'env') {
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    return value
      ? new Secret(value)
      : { missing: `the environment variable ${name} is not set`, hint: 'set it before starting' }
  }
  try {
    const value = readFileSync(resolve(folder, name), 'utf8').replace(/\r?\n$/, '')
    return value === ''
      ? { missing: `the file of this secret is empty: ${name}`, hint: 'write the secret into it' }
      : new Secret(value)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const missing =
      code === 'ENOENT'
        ? `there is no such file: ${name}`
        : `the file of this secret cannot be read (${code ?? 'unknown error'}): ${name}`
    return {
      missing,
      hint: 'paths are relative to counterfoil.yaml; those of a new ledger `counterfoil init` makes, and those of one that there is come from a copy',
    }
  }
}
