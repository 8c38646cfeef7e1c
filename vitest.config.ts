import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

// Nothing of these files outlives them in their process, so that one loads the product for many of them.
const folders = ['anchors', 'config', 'conformance', 'core', 'custody', 'evidence', 'format', 'guard', 'identity']
const sharing = [...folders, 'ledger', 'masking', 'openpgp', 'policy', 'recording'].map(
  folder => `test/${folder}/**/*.test.ts`,
)

export default defineConfig({
  test: {
    setupFiles: ['test/support/seed.ts'],
    // Bounds for what hangs, not for what is slow: a machine may have much else to do.
    testTimeout: 120_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 20_000 } },
    pool: 'forks',
    // One more than two cores: a third of the time a test waits, for a disk or for another process.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'alone', include: ['test/**/*.test.ts'], exclude: sharing } },
      { extends: true, test: { name: 'sharing', include: sharing, isolate: false } },
    ],
  },
})
