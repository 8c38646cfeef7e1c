/** Verifies a ledger, and prints as JSON what was found, the most memory that it took, and any error's name. Reads a JSON of the options. */
import { type VerifyOptions, verifyLedger } from '../../../evidence/verify.ts'

const options = JSON.parse(process.argv[2]!) as VerifyOptions
try {
  const { verdict, findings, steps, size } = await verifyLedger(options)
  console.log(JSON.stringify({ verdict, findings, steps, size, mostKiB: process.resourceUsage().maxRSS }))
} catch (error) {
  console.log(JSON.stringify({ error: (error as Error).name }))
}
