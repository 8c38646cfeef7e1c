/** With COUNTERFOIL_SEED set, properties draw the same cases each time, so that a commit has one verdict in CI; new ones otherwise. */
import fc from 'fast-check'

const { COUNTERFOIL_SEED: given } = process.env
if (given !== undefined) fc.configureGlobal({ seed: Number(given) })
