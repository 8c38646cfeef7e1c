/** One thing that every adapter must do. */
import type { Control } from '../../lib/control.ts'
import type { Door } from '../door.ts'
import type { World } from '../world.ts'

export interface Case {
  /** A sentence about an adapter. */
  readonly title: string
  /** What is in force. Default: nothing beyond policy. */
  readonly controls?: (door: Door) => readonly Control[]
  /** Default: every door. */
  readonly applies?: (door: Door) => boolean
  readonly test: (world: World) => Promise<void>
}
