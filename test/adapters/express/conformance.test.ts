/** express, held to what every adapter must do. */
import { adapterConformance } from '../conformance.ts'
import { expressDoor } from './door.ts'

adapterConformance(expressDoor)
