/** A client that takes a gigabyte, and takes its time: it stops for seconds at first, and again after each piece. */
import type { Readable } from 'node:stream'

/** @returns how many bytes came */
export async function readSlowly(from: Readable): Promise<number> {
  let bytes = 0
  let rest = 0
  await pause(3000)
  for await (const part of from) {
    bytes += part.length
    rest += part.length
    if (rest < 32 * 1024 * 1024) continue
    rest = 0
    await pause(50)
  }
  return bytes
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
