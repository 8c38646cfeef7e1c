/** Locks the directory that it is given, says so, and holds it until it is killed. */
import { lockDirectory } from '../../../lib/ledger/lock.ts'

lockDirectory(process.argv[2]!)
process.stdout.write('held')
setInterval(() => undefined, 1000)
