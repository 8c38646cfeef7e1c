/**
 * A control's glob as a regular expression for SQL (RE2: linear): `*` within a segment, `**` across, segments end at `/` and `.`.
 * Written apart from the guard's own matcher, so that the one checks the other.
 */
export function globPattern(glob: string): string {
  return glob
    .split(/(\*+)/)
    .map(part => {
      if (part === '*') return '[^/.]*'
      return part.startsWith('*') ? '.*' : part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&')
    })
    .join('')
}

export const anyOf = (globs: readonly string[]): string => `(${globs.map(globPattern).join('|')})`
