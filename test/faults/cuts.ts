/**
 * A write-ahead log cut at every offset, with and without zeros behind the cut: what a disk could
 * leave of it that took only some of its blocks.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { verifyLedger } from '../../evidence/verify.ts'
import { isOurs } from '../../lib/errors.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Campaign } from './campaign.ts'
import { type Image, imageLog, tornImage } from './image.ts'
import { small } from './script.ts'
import type { Witness } from './witness.ts'

export interface Cut {
  readonly at: number
  /** Zeros that follow, as the log lays them down ahead. */
  readonly zeros: number
  /** Whether it was refused, since a checkpoint covers more than the log has. */
  readonly refused: boolean
  /** What does not hold; empty where all does. */
  readonly wrong: readonly string[]
}

export class Cuts {
  readonly #campaign: Campaign
  readonly #image: Image
  readonly #log: Buffer
  readonly #directory: string

  private constructor(campaign: Campaign, image: Image) {
    this.#campaign = campaign
    this.#image = image
    this.#log = readFileSync(join(image.directory, imageLog))
    this.#directory = join(campaign.newFolder(), 'ledger')
  }

  static async begin(campaign: Campaign): Promise<Cuts> {
    return new Cuts(campaign, await tornImage(campaign, small))
  }

  /** How many offsets there are: as far as anything was written, the frame that was torn included. */
  get offsets(): number {
    return this.#log.findLastIndex(byte => byte !== 0) + 2
  }

  /** Where the log ends that the last checkpoint covers. */
  get covered(): number {
    return this.#image.frames.find(({ size }) => size >= this.#image.published)!.end
  }

  /** Of the ledger as the kill left it, in its place, and told of nothing that was said. */
  witness(): Witness {
    const directory = this.#directory
    for (const path of [directory, `${directory}.pin`]) rmSync(path, { recursive: true, force: true })
    const witness = this.#campaign.witness(directory)
    cpSync(this.#image.directory, directory, { recursive: true })
    return witness
  }

  async at(at: number, zeros: number): Promise<Cut> {
    const witness = this.witness()
    const found = Buffer.concat([this.#log.subarray(0, at), Buffer.alloc(zeros)])
    // A frame that ends in zeros is whole when only those are cut and zeros follow.
    const whole = this.#image.frames.findLast(({ end }) => found.subarray(0, end).equals(this.#log.subarray(0, end)))!
    this.#image.tell(witness, whole.size)
    writeFileSync(join(this.#directory, imageLog), found)
    const refused = whole.size < this.#image.published
    const wrong = refused ? await this.#refuses() : await witness.examine({ again: true })
    return { at, zeros, refused, wrong }
  }

  /** What is published stands as it did: the opening says that the log is behind it, and a verifier finds it whole. */
  async #refuses(): Promise<string[]> {
    const [options, fingerprint] = [this.#campaign.options(this.#directory), this.#campaign.fingerprint]
    const error: unknown = await openDirectoryLedger(options).then(
      async ledger => ledger.close(),
      (thrown: unknown) => thrown,
    )
    const wrong: string[] = []
    if (!isOurs(error) || error.code !== 'ERR_CHECKPOINT_ROLLBACK') wrong.push(`it is not refused: ${error}`)
    const { verdict } = await verifyLedger({ directory: this.#directory, fingerprint })
    if (verdict !== 'OK') wrong.push(`refused, it verifies as ${verdict}`)
    return wrong
  }
}
