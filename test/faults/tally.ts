/** Counts rounds by what was done in them. */
import type { Round } from './campaign.ts'

interface Line {
  rounds: number
  refusals: number
  lost: number
  forks: number
  other: number
  ends: Record<Round['end'], number>
}

export class Tally {
  readonly #lines = new Map<string, Line>()
  #acknowledged = 0
  #checkpoints = 0

  /** @param name of which only the first two words count */
  add(name: string, { refusals, end, acknowledged, checkpoints, wrong }: Round): void {
    const kind = name.split(' ').slice(0, 2).join(' ')
    const line = this.#lines.get(kind) ?? {
      rounds: 0,
      refusals: 0,
      lost: 0,
      forks: 0,
      other: 0,
      ends: { done: 0, killed: 0, died: 0 },
    }
    this.#lines.set(kind, line)
    line.rounds += 1
    line.refusals += refusals
    line.ends[end] += 1
    for (const each of wrong) line[each.startsWith('LOST') ? 'lost' : each.startsWith('FORK') ? 'forks' : 'other'] += 1
    this.#acknowledged += acknowledged
    this.#checkpoints += checkpoints
  }

  table(): string {
    const rows = [...this.#lines].sort(([a], [b]) => (a < b ? -1 : 1))
    const line = (cells: readonly (string | number)[]) =>
      cells.map((cell, i) => (i === 0 ? String(cell).padEnd(20) : String(cell).padStart(9))).join('')
    return [
      line(['', 'rounds', 'refusals', 'done', 'killed', 'died', 'lost', 'forks', 'other']),
      ...rows.map(([kind, { rounds, refusals, ends, lost, forks, other }]) =>
        line([kind, rounds, refusals, ends.done, ends.killed, ends.died, lost, forks, other]),
      ),
    ].join('\n')
  }

  summary(): string {
    const rounds = [...this.#lines.values()].reduce((sum, line) => sum + line.rounds, 0)
    return `${rounds} rounds, ${this.#acknowledged} entries acknowledged, ${this.#checkpoints} checkpoints signed`
  }
}
