/**
 * Verifies ledgers one after the other, and prints as JSON what was found of each, or its
 * error's name. Reads a JSON of all their options.
 */
import { type VerifyOptions, verifyLedger } from '../../../evidence/verify.ts'

const told: unknown[] = []
for (const options of JSON.parse(process.argv[2]!) as VerifyOptions[]) {
  try {
    const { verdict, findings, steps, size } = await verifyLedger(options)
    told.push({ verdict, findings, steps, size })
  } catch (error) {
    told.push({ error: (error as Error).name })
  }
}
console.log(JSON.stringify(told))
