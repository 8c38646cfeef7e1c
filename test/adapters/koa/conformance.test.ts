/** koa, held to what every adapter must do. */
import { adapterConformance } from '../conformance.ts'
import { koaDoor } from './door.ts'

adapterConformance(koaDoor)
