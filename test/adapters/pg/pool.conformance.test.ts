/** A guarded pool, held to what every adapter must do. */
import { adapterConformance } from '../conformance.ts'
import { poolDoor } from './pool.door.ts'

adapterConformance(poolDoor())
