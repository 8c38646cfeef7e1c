/** What a killed writer left, with a torn tail: what the brief scripts begin from. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeFrame } from '../../lib/format/frame.ts'
import { segmentFile } from '../../lib/format/layout.ts'
import type { Campaign } from './campaign.ts'
import { ScriptedWriter, type Step } from './script.ts'
import type { Witness } from './witness.ts'

export interface Image {
  readonly directory: string
  /** Where each frame of the write-ahead log ends, and how many entries there are then. */
  readonly frames: readonly { readonly end: number; readonly size: number }[]
  /** How many of them a checkpoint covers. */
  readonly published: number
  /** Tells a witness what was said of it. @param most entries, of those acknowledged */
  tell(witness: Witness, most?: number): void
}

export const imageLog = segmentFile(0)

export async function tornImage(campaign: Campaign, steps: readonly Step[]): Promise<Image> {
  const folder = campaign.newFolder()
  const [living, directory] = [join(folder, 'living'), join(folder, 'image')]
  const said: string[] = []
  const options = { ...campaign.options(living), publishMs: 1e8, heartbeatMs: 1e8 }
  const writer = new ScriptedWriter(options, line => said.push(line))
  const ledger = (await writer.open())!
  let published = 0
  for (const [name, step] of steps) {
    await step(writer, ledger)
    if (name === 'publish') published = ledger.size
  }
  cpSync(living, directory, { recursive: true })
  // The next frame, as far as the kill let it come.
  const log = readFileSync(join(directory, imageLog))
  const frames = framesOf(log)
  await ledger.append([{ kind: 'settled', exchanges: [], result: 'committed' }])
  const longer = readFileSync(join(living, imageLog))
  const last = framesOf(longer).at(-1)!.end
  const whole = frames.at(-1)!.end
  const torn = Math.floor((whole + last) / 2)
  longer.copy(log, whole, whole, torn)
  writeFileSync(join(directory, imageLog), log)
  await ledger.close()
  return {
    directory,
    frames,
    published,
    tell(witness, most = Number.POSITIVE_INFINITY) {
      for (const line of said) if (!line.startsWith('+') || Number(line.split(' ')[1]) < most) witness.hear(line)
    },
  }
}

function framesOf(log: Buffer): { end: number; size: number }[] {
  const found = [{ end: 0, size: 0 }]
  for (let next = decodeFrame(log, 0); next !== undefined; next = decodeFrame(log, next.end)) {
    found.push({ end: next.end, size: next.frame.first + next.frame.count })
  }
  return found
}
