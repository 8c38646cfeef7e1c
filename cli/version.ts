/** The version of this package, from its manifest. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The manifest lies above both the sources and the built files. */
function manifest(): { version: string } {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    try {
      return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
    } catch {
      const above = dirname(folder)
      if (above === folder) throw new Error('no package.json above the command')
      folder = above
    }
  }
}

export const { version } = manifest()
