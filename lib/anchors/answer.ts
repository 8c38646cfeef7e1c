/** The body of an answer by a server that is not ours: read no further than it may be long. */

/** @returns undefined where it is longer; the rest of it is not waited for */
export async function answerOf({ body }: Response, most: number): Promise<Buffer | undefined> {
  const parts: Uint8Array[] = []
  let length = 0
  // Leaving the loop ends the connection.
  for await (const part of body ?? []) {
    length += part.length
    if (length > most) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts)
}
