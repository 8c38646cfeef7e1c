/** The ledgers for which the keys of a configuration speak: all of its series that are there. What is done to keys is done in each. */
import type { Config } from '../lib/config/config.ts'
import { noteKeyOf } from '../lib/ledger/checkpoint.ts'
import type { BothKeys } from '../lib/ledger/rotation.ts'
import { earlierIn, memberOf, newestIn } from '../lib/ledger/series.ts'

/** The configuration, as if each were the only one; the newest last. */
export async function ledgersOf(config: Config): Promise<readonly [...Config[], Config]> {
  const { directory } = config.ledger
  const at = (number: number): Config => {
    const member = memberOf({ directory, origin: config.name }, number)
    return { ...config, name: member.origin, ledger: { ...config.ledger, directory: member.directory } }
  }
  return [...(await earlierIn(directory)).map(at), at(await newestIn(directory))]
}

/** The configuration, as if the newest of the series were the only one: that is the one that is read where no other is named. */
export const newestOf = async (config: Config): Promise<Config> => (await ledgersOf(config)).at(-1)!

/** A note key is named for the ledger that it speaks for. */
export const inNameOf = ({ name }: Config, keys: BothKeys): BothKeys => ({
  ...keys,
  noteKey: noteKeyOf(keys.noteKey.privateKey, name),
})
