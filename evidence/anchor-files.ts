/**
 * What others say of a ledger, as it is kept in files, held against it: each is what its name and its
 * entry commit to, of this very history, and forks nothing. That is examined without keys from
 * outside too; by whose word it counts, these say.
 */
import { hash } from 'node:crypto'
import { basename } from 'node:path/posix'
import { isOurs, Misuse } from '../lib/errors.ts'
import { type AnchorKind, anchorFile, anchorFolder, parseAnchorName } from '../lib/format/anchor.ts'
import { type Checkpoint, parseCheckpoint, type SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { cosignaturesOf } from '../lib/format/cosignature.ts'
import { type Hash, sameHash } from '../lib/format/merkle.ts'
import { parseTag } from '../lib/format/tag.ts'
import { isTrusted, readTimestamp, signerName } from '../lib/format/timestamp.ts'
import { type AnchorKeys, Anchors } from './anchors.ts'
import { type Finding, isUnreachable } from './finding.ts'
import type { Tag } from './git-tags.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { requireOwnSignature, type Trust } from './trust.ts'

export type AnchorCode = 'ANCHOR_INVALID' | 'ANCHOR_MISSING' | 'ANCHOR_ABSENT' | 'ROLLBACK' | 'FORK'

export interface AnchorFinding extends Finding {
  readonly code: AnchorCode
}

export interface AnchorExamination {
  readonly anchors: Anchors
  readonly findings: readonly AnchorFinding[]
  /** Files under anchors/ that were looked at. */
  readonly files: number
  /** Files that entries tell of, and that are not published at the address where the ledger is read. */
  readonly unpublished: number
}

/** What an entry says is kept. */
export interface RecordedAnchor {
  readonly index: number
  readonly size: number
  /** Under anchors/. */
  readonly file: string
}

/** Where anchors lie: a ledger, or a bundle of one. */
export type AnchorFiles = Pick<LedgerFiles, 'directory' | 'anchorSizes' | 'anchorNames' | 'anchor' | 'hasAnchor'>

interface Given {
  readonly files: AnchorFiles
  readonly checkpoint: Checkpoint
  readonly trust: Trust
  /** The root over the first entries, as verified; undefined where that failed, and was told. */
  readonly rootOf: (size: number) => Promise<Hash | undefined>
  /** The same of more entries than that, where these were published since, and are verified too. */
  readonly laterRootOf?: (size: number) => Promise<Hash | undefined>
  readonly keys: AnchorKeys
  readonly recorded: readonly RecordedAnchor[]
  readonly tags: readonly Tag[]
  /** Whether entries before these were passed over: what they tell of is then neither missed nor, where it cannot be listed, known. */
  readonly isPart: boolean
  /** What anchors are looked for, in words. */
  readonly of: string
  /** Of a bundle, which is as it was made: nothing more can be obtained for it. */
  readonly isPast?: boolean
}

/** After so many files that are none no more are looked at: who put them there could go on for ever. */
const mostInvalid = 50

export async function examineAnchors(given: Given): Promise<AnchorExamination> {
  const examiner = new Examiner(given)
  const isAddress = given.files.directory === undefined
  const { files, unpublished } = isAddress ? await examineNamed(given, examiner) : await examineListed(given, examiner)
  await examiner.examineTags()
  examiner.tellAbsent(isAddress && given.isPart)
  return { anchors: examiner.anchors, findings: examiner.findings, files, unpublished }
}

type Looked = Pick<AnchorExamination, 'files' | 'unpublished'>

/** In a directory: what is there is examined, and what entries tell of must be. */
async function examineListed({ files, recorded }: Given, examiner: Examiner): Promise<Looked> {
  const { sizes, strange } = await files.anchorSizes()
  const there = new Set<string>()
  for (const name of strange) {
    examiner.fail({
      code: 'ANCHOR_INVALID',
      what: 'a file among the anchors that is none',
      file: `${anchorFolder}/${name}`,
    })
  }
  for (const size of sizes) {
    const names = await files.anchorNames(size)
    // Notes first: what is stamped is one of them.
    for (const name of names.toSorted((a, b) => Number(b.endsWith('.note')) - Number(a.endsWith('.note')))) {
      if (examiner.findings.length >= mostInvalid) break
      there.add(`${anchorFolder}/${size}/${name}`)
      await examiner.examine(size, name)
    }
  }
  for (const { index, file } of recorded) {
    if (there.has(file)) continue
    examiner.fail({
      code: 'ANCHOR_MISSING',
      what: `entry ${index} says that an anchor is kept, and it is not there`,
      index,
      file,
    })
    if (examiner.findings.length >= mostInvalid) break
  }
  return { files: there.size, unpublished: 0 }
}

/**
 * At an address: by the names that entries tell. Whoever publishes tiles alone has published
 * a whole ledger: an anchor less is no finding.
 */
async function examineNamed({ files, recorded }: Given, examiner: Examiner): Promise<Looked> {
  const sizes = new Map(recorded.map(({ file, size }) => [file, size]))
  let unpublished = 0
  // Notes first, as in a directory.
  const named = [...sizes].sort(([a], [b]) => Number(b.endsWith('.note')) - Number(a.endsWith('.note')))
  for (const [file, size] of named) {
    if (examiner.findings.length >= mostInvalid) break
    if (await files.hasAnchor(file)) await examiner.examine(size, basename(file))
    else unpublished += 1
  }
  return { files: sizes.size - unpublished, unpublished }
}

class Examiner {
  readonly anchors: Anchors
  readonly findings: AnchorFinding[] = []
  readonly #given: Given
  /** Digests of the notes that hold, by which stamps name them. */
  readonly #notes = new Set<string>()

  constructor(given: Given) {
    this.#given = given
    this.anchors = new Anchors(given.keys.quorum)
  }

  fail(finding: AnchorFinding): void {
    this.findings.push(finding)
  }

  async examine(size: number, name: string): Promise<void> {
    const file = `${anchorFolder}/${size}/${name}`
    const known = parseAnchorName(name)
    try {
      const bytes = await this.#given.files.anchor(file)
      if (known === undefined)
        return this.fail({ code: 'ANCHOR_INVALID', what: 'a file among the anchors that is none', file })
      if (hash('sha256', bytes, 'base64url' as 'hex') !== known.digest) {
        return this.fail({
          code: 'ANCHOR_INVALID',
          what: 'an anchor that is not what its name says: it was altered',
          file,
        })
      }
      if (known.kind === 'witness') await this.#note(size, known.digest, bytes, file)
      if (known.kind === 'timestamp') await this.#stamp(size, bytes, file)
      if (known.kind === 'git') await this.#holds(parseTag(bytes).checkpoint, size, file)
    } catch (error) {
      if (!isOurs(error) || isUnreachable(error)) throw error
      this.fail({ code: 'ANCHOR_INVALID', what: error.message, file })
    }
  }

  async #note(size: number, digest: string, bytes: Buffer, file: string): Promise<void> {
    const checkpoint = parseCheckpoint(bytes)
    if (!(await this.#holds(checkpoint, size, file))) return
    this.#notes.add(`${size} ${digest}`)
    for (const { name, time } of cosignaturesOf(checkpoint.note, this.#given.keys.cosigners)) {
      this.anchors.add({ anchor: 'witness', by: name, size, time: new Date(time * 1000).toISOString() })
    }
  }

  async #stamp(size: number, bytes: Buffer, file: string): Promise<void> {
    const stamp = readTimestamp(bytes)
    const digest = stamp.imprint.toString('base64url')
    const isNamed = () => this.#notes.has(`${size} ${digest}`)
    const note = anchorFile('witness', size, digest)
    // No entry tells of a note that was only stamped: where none are listed it is found by its digest, which is its name.
    const { files } = this.#given
    const isUnlisted = !isNamed() && files.directory === undefined && stamp.imprint.length === 32
    if (isUnlisted && (await files.hasAnchor(note))) await this.examine(size, basename(note))
    if (!isNamed()) {
      const isMissing = stamp.imprint.length === 32 && !(await files.hasAnchor(note))
      const what = 'a time stamp of no checkpoint, or of one that does not hold'
      const missed = 'the checkpoint that a time stamp is of is not kept beside it'
      this.fail(
        isMissing ? { code: 'ANCHOR_MISSING', what: missed, file: note } : { code: 'ANCHOR_INVALID', what, file },
      )
    } else if (isTrusted(stamp, this.#given.keys.authorities)) {
      const time = new Date(stamp.time).toISOString()
      this.anchors.add({ anchor: 'timestamp', by: signerName(stamp), size, time })
    }
  }

  /** The repository outside is what counts, whatever became of what is kept here. */
  async examineTags(): Promise<void> {
    for (const { name, bytes } of this.#given.tags) {
      try {
        const tag = parseTag(bytes)
        if (tag.name !== name) throw new Misuse('ERR_OPTION_INVALID', 'the tag is of another name')
        const { size } = tag.checkpoint
        if (await this.#holds(tag.checkpoint, size, `the tag ${name}`)) {
          this.anchors.add({ anchor: 'git', by: name, size, time: new Date(tag.time).toISOString() })
        }
      } catch (error) {
        if (!isOurs(error) || isUnreachable(error)) throw error
        this.fail({ code: 'ANCHOR_INVALID', what: `the tag ${name}: ${error.message}` })
      }
    }
  }

  /** Whether a checkpoint that the ledger's key signed is of this very history; where not, two signed trees disagree: a fork. */
  async #holds(found: SignedCheckpoint, size: number, file: string): Promise<boolean> {
    const { trust, checkpoint, rootOf, laterRootOf } = this.#given
    if (found.origin !== trust.origin || found.size !== size) {
      this.fail({ code: 'ANCHOR_INVALID', what: 'an anchor of another ledger, or of another size', file })
      return false
    }
    requireOwnSignature(found, trust)
    if (size > checkpoint.size) {
      // A live ledger may have been published, and vouched for, since its checkpoint was read here.
      const later = await laterRootOf?.(size)
      if (later !== undefined && sameHash(later, found.root)) return false
      const what = `the ledger has ${checkpoint.size} entries, and had ${size} when others vouched for it`
      this.fail({ code: 'ROLLBACK', what, expected: String(size), actual: String(checkpoint.size), file })
      return false
    }
    const [expected, actual] = [base64(found.root), await rootOf(size)]
    if (actual !== undefined && !sameHash(actual, found.root)) {
      const what = `the first ${size} entries are not those that others vouched for`
      this.fail({ code: 'FORK', what, expected, actual: base64(actual), file })
      return false
    }
    return actual !== undefined
  }

  /**
   * Whoever gives a key expects its word: that there is none is for them to know, and no proof of anything.
   * @param unlisted what is kept may be more than could be looked at: then only the repository outside is missed
   */
  tellAbsent(unlisted: boolean): void {
    const { keys, of } = this.#given
    if (!unlisted) this.#tellUnkept()
    if (keys.git !== undefined && this.#count('git') === 0) {
      const what = this.#advised(`no checkpoint of ${of} is tagged in the given repository`, '"anchor git" tags one')
      this.fail({ code: 'ANCHOR_ABSENT', what })
    }
  }

  #tellUnkept(): void {
    const { keys, of } = this.#given
    const { cosigners, quorum, authorities } = keys
    const cosigned = this.#count('witness')
    if (cosigners.length > 0 && cosigned < quorum) {
      const given = cosigners.length === 1 ? 'the given witness has' : `the ${cosigners.length} given witnesses have`
      const count =
        cosigners.length === 1
          ? `${given} not cosigned ${of}`
          : `${cosigned} of ${given} cosigned ${of}, and ${quorum} must have`
      const what = this.#advised(
        count,
        'a gateway asks the witnesses that "witness add" named once it is started again',
      )
      this.fail({ code: 'ANCHOR_ABSENT', what })
    }
    if (authorities.length > 0 && this.#count('timestamp') === 0) {
      const what = this.#advised(
        `no time stamp of ${of} by the given authority is kept`,
        '"anchor timestamp" obtains one',
      )
      this.fail({ code: 'ANCHOR_ABSENT', what })
    }
  }

  #advised(what: string, next: string): string {
    return this.#given.isPast === true ? what : `${what}; ${next}`
  }

  #count(kind: AnchorKind): number {
    return this.anchors.newest.filter(({ anchor }) => anchor === kind).length
  }
}

const base64 = (hash: Hash) => Buffer.from(hash).toString('base64')
