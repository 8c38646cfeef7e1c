/**
 * The order of the files of tests: what takes long comes first, so that the workers end together; what shares its
 * worker comes last and in a row, since a worker is handed on to the next file only where that shares it too.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Over ten seconds, the longest first. A file that is not here comes after those that are. */
const long = [
  'documents',
  'cli/tail',
  'evidence/hostile-bundle',
  'faults/faults',
  'adapters/ssh/openssh',
  'adapters/pg/conformance',
  'adapters/pg/pool.conformance',
  'attacks/canaries',
  'ledger/conformance',
  'evidence/bundle',
  'cli/evidence',
  'cli/exit',
  'cli/keys',
  'evidence/procedures',
  'evidence/control-test',
  'attacks/moving-definitions',
  'ledger/model',
  'tamper/files',
  'tamper/every-byte',
  'evidence/series',
].map(name => `/test/${name}.test.ts`)

const placeOf = ({ moduleId }: TestSpecification) => {
  const place = long.findIndex(name => moduleId.endsWith(name))
  return place === -1 ? long.length : place
}

const isShared = ({ project }: TestSpecification) => (project.config.isolate ? 0 : 1)

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return [...files].sort(
      (a, b) => isShared(a) - isShared(b) || placeOf(a) - placeOf(b) || (a.moduleId < b.moduleId ? -1 : 1),
    )
  }
}
