/** A bundle for tests to break: a small CRM's ledger over two periods, its bundle, and a forger who holds the key that signs it. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BundleOptions, type BundleResult, buildBundle } from '../../evidence/bundle/build.ts'
import { formatManifest, formatSums, type ListedFile, listFiles, sha256 } from '../../evidence/bundle/manifest.ts'
import { verifyBundle } from '../../evidence/bundle/verify-bundle.ts'
import type { Control } from '../../lib/control.ts'
import { armorSignature, signDetached } from '../../lib/openpgp.ts'
import { type BuilderKeys, builderKeys } from '../support/ledger-builder.ts'
import { Story } from './support.ts'

export const readControls = (text: string) => JSON.parse(text) as Control[]

const outside = ['MANIFEST.json', 'SHA256SUMS', 'SHA256SUMS.asc']

export class BundleFixture {
  readonly scratch: string
  readonly keys: BuilderKeys
  readonly story: Story
  readonly ledger: string
  built!: BundleResult
  #count = 0

  private constructor(scratch: string, keys: BuilderKeys, story: Story) {
    this.scratch = scratch
    this.keys = keys
    this.story = story
    this.ledger = join(scratch, 'ledger')
  }

  static async make(): Promise<BundleFixture> {
    const keys = await builderKeys()
    // June: what stands before the period. A grant from then is used in July, and its session is still open.
    const story = await Story.begin({ keys, start: Date.parse('2026-06-30T23:50:00Z') })
    story.inOrder()
    story.grant('g-00000005')
    const opening = story.builder.entries.length
    story.builder.add('heartbeat', { open: 0, interval: 3600 })
    story.builder.now = Date.parse('2026-07-01T00:00:00Z') - 2000
    story.builder.add('heartbeat', { open: 0, interval: 3600 })
    story.builder.now = Date.parse('2026-07-01T00:00:01Z')
    story.update('g-00000005')
    story.approval('a-00000007', 'drop table old')
    story.drop('a-00000007')
    story.read()
    story.update(undefined, { verdict: 'deny', code: 'ERR_GRANT_REQUIRED' })
    const sealed = story.builder.entries.length
    story.builder.now = Date.parse('2026-07-01T00:59:00Z')
    story.drop(undefined)
    story.builder.add('stopped', {})
    const fixture = new BundleFixture(await mkdtemp(join(tmpdir(), 'bundle-')), keys, story)
    await story.builder.write(fixture.ledger, { seals: [opening, sealed, story.builder.entries.length] })
    fixture.built = await buildBundle(fixture.options())
    return fixture
  }

  remove = () => rm(this.scratch, { recursive: true, force: true })

  /** A path where nothing is yet. */
  folder = (): string => {
    this.#count += 1
    return join(this.scratch, `b${this.#count}`)
  }

  options = (more: Partial<BundleOptions> = {}): BundleOptions => ({
    ledger: {
      directory: this.ledger,
      fingerprint: this.keys.seal.fingerprint,
      wrappingKey: this.story.builder.wrappingKey,
      now: Date.parse('2026-10-02'),
    },
    out: this.folder(),
    organisation: 'CRM Example',
    from: '2026-07-01',
    to: '2026-10-01',
    asOf: Date.parse('2026-10-02'),
    controls: readControls,
    sign: async bytes => armorSignature(await signDetached(this.keys.seal, bytes)),
    ...more,
  })

  verify = (directory: string) => verifyBundle({ directory, fingerprint: this.keys.seal.fingerprint, readControls })

  copy = async (): Promise<string> => {
    const directory = this.folder()
    await cp(this.built.directory, directory, { recursive: true })
    return directory
  }

  /** A forger who holds the bundle's signing key: changes files, lists and signs them anew. @param more files that lie there already */
  forge = async (change: (files: Map<string, string>) => void, more: readonly ListedFile[] = []): Promise<string> => {
    const files = new Map(this.built.files)
    change(files)
    const listed = listFiles(new Map([...files].filter(([path]) => !outside.includes(path))))
    const mapping = sha256(files.get('mapping/controls.json')!)
    const manifest = formatManifest({ ...this.built.manifest, mapping, files: [...listed, ...more] })
    return this.#sign(files, manifest, [...listed, ...more])
  }

  /** As forge, of the manifest alone. */
  relist = (change: (manifest: string) => string): Promise<string> =>
    this.#sign(new Map(), change(this.built.files.get('MANIFEST.json')!), this.built.manifest.files)

  async #sign(files: Map<string, string>, manifest: string, listed: readonly ListedFile[]): Promise<string> {
    const sums = formatSums([...listed, { path: 'MANIFEST.json', sha256: sha256(manifest) }])
    files.set('MANIFEST.json', manifest)
    files.set('SHA256SUMS', sums)
    files.set('SHA256SUMS.asc', armorSignature(await signDetached(this.keys.seal, Buffer.from(sums))))
    const directory = await this.copy()
    for (const [path, content] of files) await writeFile(join(directory, path), content)
    return directory
  }
}
