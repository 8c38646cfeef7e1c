/** The documented table of what each SFTP request does and how much it risks, and the operation that each becomes. */
import type { MaskRule } from '../../../lib/control.ts'
import { Refusal } from '../../../lib/errors.ts'
import type { Json } from '../../../lib/format/canonical.ts'
import { overlaps } from '../../../lib/glob.ts'
import type { Operation } from '../../../lib/operation.ts'
import type { Form } from '../../../lib/reply.ts'
import { fileForm } from '../command.ts'
import { operation } from '../operation.ts'
import { Fields, flag, string, type, uint32 } from './packets.ts'
import { type Path, type Paths, resourceOf, shown } from './paths.ts'

export interface Kind {
  readonly action: string
  readonly risk: 'low' | 'high'
  /** Changes nothing. */
  readonly read?: true
  /** A link at the end of the path is followed. */
  readonly follow?: true
  /** Takes two paths; what can be read under the first can then be read under the second. */
  readonly moves?: true
  /** Answered with a handle, whose requests belong to it until it is closed. */
  readonly opens?: true
  /** Shows names or contents: under a mask, refused. Attributes are sizes, times and owners. */
  readonly shows?: true
}

// biome-ignore format: a table
const kinds: ReadonlyMap<number | string, Kind> = new Map<number | string, Kind>([
  [type.opendir,                { action: 'list',     risk: 'low',  read: true, follow: true, opens: true, shows: true }],
  [type.stat,                   { action: 'stat',     risk: 'low',  read: true, follow: true }],
  [type.lstat,                  { action: 'stat',     risk: 'low',  read: true }],
  [type.realpath,               { action: 'stat',     risk: 'low',  read: true, follow: true, shows: true }],
  [type.readlink,               { action: 'stat',     risk: 'low',  read: true, shows: true }],
  ['statvfs@openssh.com',       { action: 'stat',     risk: 'low',  read: true, follow: true }],
  [type.mkdir,                  { action: 'mkdir',    risk: 'low' }],
  [type.setstat,                { action: 'setstat',  risk: 'high', follow: true }],
  ['lsetstat@openssh.com',      { action: 'setstat',  risk: 'high' }],
  [type.remove,                 { action: 'remove',   risk: 'high' }],
  [type.rmdir,                  { action: 'rmdir',    risk: 'high' }],
  [type.rename,                 { action: 'rename',   risk: 'high', moves: true }],
  ['posix-rename@openssh.com',  { action: 'rename',   risk: 'high', moves: true }],
  ['hardlink@openssh.com',      { action: 'hardlink', risk: 'high', moves: true }],
  [type.symlink,                { action: 'symlink',  risk: 'high', moves: true }],
])

/** Extensions that are offered to clients, where the host has them; `copy-data` would copy on the host what a mask hides. */
export const extensions: ReadonlySet<string> = new Set([
  ...[...kinds.keys()].filter(key => typeof key === 'string'),
  ...['fstatvfs@openssh.com', 'fsync@openssh.com', 'limits@openssh.com'],
])

/** A request as it is judged, and as it is sent on. */
export interface Judged {
  readonly operation: Operation
  readonly form: Form
  readonly opens: boolean
  /** What the host is sent, its id aside. */
  readonly type: number
  readonly body: Buffer
  /** Every path that it may mean, for what is later asked of its handle. */
  readonly means: readonly string[]
  /** Resources that get another name with all that is under them. */
  readonly moves?: readonly string[]
}

/** @returns undefined where it is no request that names a path. @throws Garbled, Refusal */
export async function judge(of: number, body: Buffer, base: string, paths: Paths): Promise<Judged | undefined> {
  const fields = new Fields(body)
  if (of === type.open) return open(fields, base, paths)
  const extension = of === type.extended ? fields.string().toString() : undefined
  const kind = kinds.get(extension ?? of)
  if (kind === undefined) return undefined
  const head = extension === undefined ? [] : [string(extension)]
  const first = fields.string()
  const asked =
    of === type.symlink
      ? await paths.either(first, fields.string())
      : [
          await paths.resolve(first, kind.follow === true),
          ...(kind.moves ? [await paths.resolve(fields.string(), false)] : []),
        ]
  // REALPATH's answer is where it leads; a link's two ends are what the request itself is about.
  const asIs = of === type.realpath || of === type.symlink
  const sent = asIs ? body : Buffer.concat([...head, ...asked.map(({ leads }) => pathOf(leads)), fields.rest()])
  const means = asked.flatMap(path => path.means)
  const moves = kind.moves ? { moves: means.map(path => resourceOf(base, path)) } : {}
  const named =
    of === type.symlink ? [shownAs(first), shownAs(new Fields(body.subarray(4 + first.length)).string())] : undefined
  return {
    operation: judged(base, kind, asked, named ?? asked.map(({ leads }) => shown(leads)), fields.rest()),
    form: kind.shows ? fileForm : { kind: 'empty' },
    opens: kind.opens === true,
    ...{ type: of, body: sent, means, ...moves },
  }
}

const pathOf = (path: string) => string(Buffer.from(path, 'latin1'))
const shownAs = (bytes: Buffer) => shown(bytes.toString('latin1'))

function judged(base: string, kind: Kind, asked: readonly Path[], named: readonly Json[], rest: Buffer): Operation {
  const resources = [...new Set(asked.flatMap(({ means }) => means))].map(path => resourceOf(base, path))
  return operation({
    base,
    accesses: resources.map(resource => ({ action: kind.action, resource })),
    action: {
      sftp: kind.action,
      on: named,
      // Attributes: an approval binds them too.
      ...(rest.length > 0 ? { attributes: rest.toString('hex') } : {}),
    },
    part: {
      // A folder takes what is in it along: whatever is under a mask behind the listener may be there.
      ...{ opaque: kind.moves === true, risk: kind.risk, read: kind.read === true },
      ...(kind.opens ? { piecemeal: true } : {}),
    },
  })
}

async function open(fields: Fields, base: string, paths: Paths): Promise<Judged> {
  const path = await paths.resolve(fields.string(), true)
  const flags = fields.uint32()
  const writes = (flags & ~flag.read) !== 0
  const reads = (flags & flag.read) !== 0 || !writes
  const resources = path.means.map(of => resourceOf(base, of))
  const names = Object.entries(flag).flatMap(([name, bit]) => ((flags & bit) === 0 ? [] : [name]))
  return {
    operation: operation({
      base,
      accesses: resources.flatMap(resource => [
        ...(reads ? [{ action: 'read', resource }] : []),
        ...(writes ? [{ action: 'write', resource }] : []),
      ]),
      action: { sftp: 'open', on: [shown(path.leads)], flags: names },
      part: { opaque: false, read: !writes, piecemeal: true, ...(writes ? { unbound: true } : {}) },
    }),
    form: reads ? fileForm : { kind: 'empty' },
    opens: true,
    ...{ type: type.open, body: Buffer.concat([pathOf(path.leads), uint32(flags), fields.rest()]), means: path.means },
  }
}

/** FSETSTAT: a change of what the handle's path names. */
export const setAttributes = (base: string, means: readonly string[], attributes: Buffer): Operation =>
  operation({
    base,
    accesses: means.map(path => ({ action: 'setstat', resource: resourceOf(base, path) })),
    action: { sftp: 'setstat', on: [shown(means.at(-1)!)], attributes: attributes.toString('hex') },
    part: { opaque: false, risk: 'high' },
  })

/**
 * Under another name, what is under a mask would be read in clear.
 * @throws Refusal ERR_OBLIGATION_UNMET where a mask means anything that is moved, or linked to, or anything under it
 */
export function refuseMoves({ moves = [] }: Pick<Judged, 'moves'>, masks: readonly MaskRule[]): void {
  const masked = moves.find(of => masks.some(({ resource }) => [of, `${of}/**`].some(what => overlaps(resource, what))))
  if (masked !== undefined)
    throw new Refusal('ERR_OBLIGATION_UNMET', `${masked} holds what is under a mask: it may get no other name`)
}

export const tooManyFiles = (most: number) =>
  new Refusal('ERR_OBLIGATION_UNMET', `${most} files open at once, and no more: close some`)
