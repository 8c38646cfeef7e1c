/** By whose word from outside anchors count: the options that `verify`, `bundle` and `verify-bundle` share. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { AnchorOptions } from '../evidence/index.ts'
import { Misuse } from '../lib/errors.ts'
import { witnessKeys } from './given-keys.ts'
import { count, repeatable } from './values.ts'

export interface AnchorChoice {
  readonly witness: readonly string[]
  readonly quorum?: number
  readonly tsa?: string
  readonly git?: string
}

export const withAnchors = (command: Command): Command =>
  command
    .addOption(repeatable('--witness <vkey>', "a witness's verifier key, from outside"))
    .option('--quorum <n>', 'how many of the witnesses must have cosigned (default: one)', count('--quorum'))
    .option('--tsa <file>', 'certificates (PEM) of timestamping authorities that you trust')
    .option('--git <folder>', 'a repository outside, in which checkpoints were tagged')

/** @throws Misuse ERR_OPTION_INVALID */
export async function anchorsOf({ witness, quorum, tsa, git }: AnchorChoice): Promise<AnchorOptions> {
  return {
    witnesses: witnessKeys('--witness', witness),
    ...(quorum === undefined ? {} : { quorum }),
    ...(tsa === undefined ? {} : { authorities: await readText('--tsa', tsa) }),
    ...(git === undefined ? {} : { git }),
  }
}

/** @throws Misuse ERR_OPTION_INVALID */
export const readText = (option: string, file: string): Promise<string> =>
  readFile(file, 'utf8').catch((error: unknown) => {
    throw new Misuse('ERR_OPTION_INVALID', `${option} ${file}: the file cannot be read`, {}, error)
  })
