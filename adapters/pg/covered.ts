/** Which resources a definition is about, when it names a relation or a schema: itself, its kin, all that it shows. */
import { type Relation, resourceOf, segment } from './names.ts'
import type { Reading } from './reading.ts'
import type { Node } from './tree.ts'

/** What a relation is called in policy, itself and its kin: the rules on any of them cover its data. */
export interface Family {
  readonly own: readonly string[]
  readonly kin: readonly string[]
  readonly relation: Relation | undefined
}

export function family(reading: Reading, range: Node): Family {
  const { resources, relation } = reading.resolve(range)
  return { own: resources, kin: relation?.kin ?? [], relation }
}

/** Everything whose data the relation can show. */
export function shownBy(reading: Reading, range: Node): readonly string[] {
  const { resources, relation } = reading.resolve(range)
  return relation === undefined ? resources : [...resources, ...reading.inner.beneath(relation)]
}

/** Every relation of a schema, those that this session has made among them. */
export function inSchema({ names, overlay, createdHere }: Reading, schema: string): readonly string[] {
  const made = [...overlay.created, ...createdHere].filter(([, of]) => of === schema)
  const start = `${names.target}/${segment(schema)}.`
  return [
    ...names.resources().filter(resource => resource.startsWith(start)),
    ...made.map(([name]) => resourceOf(names.target, schema, name)),
  ]
}
