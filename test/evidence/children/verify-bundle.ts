/** Verifies a bundle, and prints as JSON what was found and the most memory that it took. Reads a JSON of the options. */
import { verifyBundle } from '../../../evidence/bundle/verify-bundle.ts'

const options = JSON.parse(process.argv[2]!) as { directory: string; fingerprint: string }
const { verdict, findings, steps } = await verifyBundle({ ...options, readControls: text => JSON.parse(text) })
console.log(JSON.stringify({ verdict, findings, steps, mostKiB: process.resourceUsage().maxRSS }))
