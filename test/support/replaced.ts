/**
 * A file that somebody edits: replaced at once, since between the truncation of one and its writing it is empty, to whoever looks then.
 */
import { rename, writeFile } from 'node:fs/promises'

export async function replaced(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}
