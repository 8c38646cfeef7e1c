/** Which people an issuer may name: a name as it stands, or `*` and what a name must end in. */

/** `dba@crm.example`, `*@crm.example`, `*` */
export const namePattern = /^\*?[\x21-\x29\x2b\x2d-\x7e]{0,255}$/

export const mayName = (patterns: readonly string[], id: string): boolean =>
  patterns.some(pattern => (pattern.startsWith('*') ? id.endsWith(pattern.slice(1)) : id === pattern))
