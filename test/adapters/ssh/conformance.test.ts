/** The SSH gateway, held to what every adapter must do. */
import { adapterConformance } from '../conformance.ts'
import { sshDoor } from './door.ts'

adapterConformance(sshDoor)
