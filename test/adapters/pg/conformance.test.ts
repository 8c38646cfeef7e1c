/** The PostgreSQL gateway, held to what every adapter must do. */
import { adapterConformance } from '../conformance.ts'
import { postgresDoor } from './door.ts'

adapterConformance(postgresDoor())
