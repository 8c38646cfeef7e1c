/** What others vouch for, verified with keys from outside: the threats of a rewritten, cut or forked ledger, each with its finding. */
import { execFileSync } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Anchors } from '../../evidence/anchors.ts'
import { checkProof, proveEntry } from '../../evidence/prove.ts'
import { keepAnchor } from '../../lib/anchors/kept.ts'
import { tagIn } from '../../lib/anchors/obtain.ts'
import { submit } from '../../lib/anchors/submit.ts'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { cosign, formatCosignerKey, parseCosignerKey } from '../../lib/format/cosignature.ts'
import { encodeEntry, parseEntry } from '../../lib/format/entry.ts'
import { formatNote } from '../../lib/format/note.ts'
import { tagName } from '../../lib/format/tag.ts'
import { decodeBundle, encodeBundle } from '../../lib/format/tile.ts'
import { listenOn } from '../../lib/listening.ts'
import { type Anchored, anchoredLedger, cosigned, startWitness } from '../support/anchored-ledger.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { interop } from '../support/interop.ts'

const codes = (result: { findings: readonly { code: string }[] }) => result.findings.map(({ code }) => code)
const stepOf = (result: { steps: readonly { name: string; status: string; detail: string }[] }) =>
  result.steps.find(({ name }) => name === 'anchors')!
const witnessesOf = (...servers: { verifierKey: string }[]) => ({
  witnesses: servers.map(({ verifierKey }) => verifierKey),
})
const logOf = ({ options, vkey }: Anchored) => [{ origin: options.origin, vkey }]

/** The one file of that ending that is kept. */
function anchorOf({ options: { directory } }: Anchored, ending: string): string {
  const names = readdirSync(join(directory, 'anchors'), { recursive: true, encoding: 'utf8' })
  return join(directory, 'anchors', names.find(name => name.endsWith(ending))!)
}

describe('a ledger with cosignatures', () => {
  it('says who vouches, for how much and since when, and from where on history could have been rewritten', async () => {
    const made = await anchoredLedger()
    const [one, two] = [
      await startWitness(logOf(made)),
      await startWitness(logOf(made), { name: 'witness.example/w2' }),
    ]
    await made.use(300, ledger => cosigned(made, ledger, [one]))
    await made.use(20, ledger => cosigned(made, ledger, [one, two]))
    const result = await made.verify({ anchors: { ...witnessesOf(one, two), quorum: 2 } })
    expect(codes(result)).toEqual([])
    expect(result.verdict).toBe('OK')
    expect(result.anchors.map(({ anchor, by }) => [anchor, by])).toEqual([
      ['witness', 'witness.example/w1'],
      ['witness', 'witness.example/w2'],
    ])
    const { size } = result.anchors[0]!
    expect(size).toBeLessThan(result.size)
    expect(stepOf(result).detail).toMatch(
      new RegExp(`vouches for ${size} of ${result.size} entries since .*, \\d+ seconds? ago`),
    )
    expect(result.undetectable).toContain(`what was appended after the ${size} entries that witness.example/w`)

    const without = await made.verify()
    expect(stepOf(without)).toMatchObject({ status: 'not-examined', detail: expect.stringContaining('are whole') })
    expect(without.undetectable).toContain('could have rewritten all of it')
    const stranger = await startWitness(logOf(made), { name: 'witness.example/w3' })
    const absent = await made.verify({ anchors: witnessesOf(stranger) })
    expect([absent.verdict, codes(absent)]).toEqual(['INCOMPLETE', ['ANCHOR_ABSENT']])
    expect(stepOf(absent).detail).toMatch(
      /^the given witness has not cosigned this ledger; .*once it is started again$/,
    )
    await expect(made.verify({ anchors: { ...witnessesOf(one), quorum: 2 } })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
    await expect(made.verify({ anchors: { witnesses: [made.vkey] } })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
  })

  it('is INCOMPLETE where the newest of a quorum is older than was asked for, or of a time to come', async () => {
    const made = await anchoredLedger()
    const [one, two] = [
      await startWitness(logOf(made)),
      await startWitness(logOf(made), { name: 'witness.example/w2' }),
    ]
    await made.use(5, ledger => cosigned(made, ledger, [one, two]))
    const first = (await made.verify({ anchors: witnessesOf(two) })).anchors[0]!.time
    // Witnesses sign seconds: the next ones are of a later one.
    while (Date.now() < Date.parse(first) + 1000) await new Promise(resolve => setTimeout(resolve, 20))
    await made.use(5, ledger => cosigned(made, ledger, [one]))
    const { time } = (await made.verify({ anchors: witnessesOf(one) })).anchors[0]!
    expect(time > first).toBe(true)
    const hour = 3_600_000
    const at = (now: number, quorum: number) =>
      made.verify({ now, anchors: { ...witnessesOf(one, two), quorum, cosignedWithinMs: hour } })
    for (const [quorum, newest] of [
      [1, time],
      [2, first],
    ] as const) {
      expect((await at(Date.parse(newest) + hour, quorum)).verdict, String(quorum)).toBe('OK')
      const late = await at(Date.parse(newest) + hour + 1, quorum)
      expect([late.verdict, late.integrity.verdict]).toEqual(['INCOMPLETE', 'undetermined'])
      expect(late.findings).toMatchObject([
        { code: 'ANCHOR_STALE', actual: newest, what: expect.stringContaining('1 hour ago') },
      ])
    }
    const ahead = await at(Date.parse(time) - 6 * 60_000, 1)
    expect(codes(ahead)).toContain('ANCHOR_STALE')
    // That nobody has cosigned is one finding, not two.
    const stranger = await startWitness(logOf(made), { name: 'witness.example/w3' })
    const absent = await made.verify({ anchors: { ...witnessesOf(stranger), cosignedWithinMs: hour } })
    expect(codes(absent)).toEqual(['ANCHOR_ABSENT'])
    await expect(made.verify({ anchors: { cosignedWithinMs: hour } })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
  })

  it('shows who is shown another history that its witness signed only the beginning of it', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness(logOf(made))
    await made.use(5, ledger => cosigned(made, ledger, [witness]))
    const other = { ...made.options, directory: temporaryDirectory() }
    cpSync(made.options.directory, other.directory, { recursive: true })
    const again = await anchoredLedger(other)
    // The witness goes on with one of the two, and refuses the other whatever it is asked.
    await made.use(7, ledger => cosigned(made, ledger, [witness]))
    await again.use(9, ledger => cosigned(again, ledger, [witness]))
    const now = Date.now() + 2 * 3_600_000
    const told = async (of: Anchored) =>
      of.verify({ now, anchors: { ...witnessesOf(witness), cosignedWithinMs: 3_600_000 } })
    const shared = (await again.verify({ anchors: witnessesOf(witness) })).anchors[0]!
    expect(shared.size).toBeLessThan((await made.verify({ anchors: witnessesOf(witness) })).anchors[0]!.size)
    expect((await again.verify({ anchors: witnessesOf(witness) })).verdict).toBe('OK')
    expect(codes(await told(again))).toEqual(['ANCHOR_STALE'])
  })

  it('shows it also where the beginning is cosigned again: no entry may be older, and left out', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness(logOf(made))
    await made.use(5, ledger => cosigned(made, ledger, [witness]))
    const { directory } = made.options
    const kept = parseCheckpoint(readFileSync(anchorOf(made, '.note')))
    const { size, root, note } = kept
    const own = { ...note, signatures: note.signatures.filter(({ name }) => name === made.options.origin) }
    await made.use(7)
    // Witnesses sign seconds: the next cosignature is of a later one than all that is appended.
    const appended = Date.now()
    while (Date.now() < appended + 1000) await new Promise(resolve => setTimeout(resolve, 20))
    const cosigner = parseCosignerKey(witness.verifierKey)
    const again = await submit({
      ...{ url: witness.url, cosigner, checkpoint: { ...kept, note: own }, old: size },
      ...{ prove: async () => [], signal: AbortSignal.timeout(5000) },
    })
    const at = again.cosignature.time * 1000
    const bytes = Buffer.from(again.note)
    await keepAnchor(made.options, { anchor: 'witness', by: cosigner.name, size, root, at, bytes })
    const told = (now: number) =>
      made.verify({ now, anchors: { ...witnessesOf(witness), cosignedWithinMs: 3_600_000 } })
    // Within an hour of what came first behind that beginning it is all that can be asked for.
    const first = JSON.parse(String((await proveEntry({ directory, entry: size })).entry)) as { time: string }
    expect((await told(Date.parse(first.time) + 3_600_000)).verdict).toBe('OK')
    const late = await told(Date.parse(first.time) + 3_600_001)
    expect([late.verdict, late.integrity.verdict]).toEqual(['INCOMPLETE', 'undetermined'])
    expect(late.findings).toMatchObject([
      {
        code: 'ANCHOR_STALE',
        actual: first.time,
        what: expect.stringContaining(`and entry ${size} is of ${first.time}`),
      },
    ])
    // The cosignature itself is of less than an hour before.
    expect(at).toBeGreaterThan(Date.parse(first.time) + 1)
  })

  it('gives proofs that carry them, for whoever holds the keys of ledger and witness and nothing else', async () => {
    const made = await anchoredLedger()
    const [one, two] = [
      await startWitness(logOf(made)),
      await startWitness(logOf(made), { name: 'witness.example/w2' }),
    ]
    await made.use(300, ledger => cosigned(made, ledger, [one, two]))
    const { size } = (await made.verify({ anchors: witnessesOf(one) })).anchors[0]!
    const { directory } = made.options
    const { proof, entry } = await proveEntry({ directory, entry: 17, size })
    const checked = checkProof({ proof, entry, key: made.vkey, ...witnessesOf(one, two) })
    expect(checked.cosignatures.map(({ name }) => name).sort()).toEqual(['witness.example/w1', 'witness.example/w2'])
    expect((await proveEntry({ directory, entry: 17 })).checkpoint.size).toBe(size)
    const published = Number(readFileSync(join(directory, 'checkpoint'), 'utf8').split('\n')[1])
    const plain = await proveEntry({ directory, entry: 17, size: published })
    expect(() => checkProof({ ...plain, key: made.vkey, ...witnessesOf(one) })).toThrowError('0 of the given witnesses')
  })

  it('rewritten as a whole by whoever holds its keys has no cosignature, and one that is kept in it shows the fork', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness(logOf(made))
    await made.use(30, ledger => cosigned(made, ledger, [witness]))
    const anchors = join(made.options.directory, 'anchors')
    const again = await anchoredLedger({ ...made.options, directory: temporaryDirectory() })
    await again.use(60, ledger => cosigned(again, ledger, [witness]))
    const rewritten = await again.verify({ anchors: witnessesOf(witness) })
    expect([rewritten.verdict, codes(rewritten)]).toEqual(['INCOMPLETE', ['ANCHOR_ABSENT']])
    cpSync(anchors, join(again.options.directory, 'anchors'), { recursive: true })
    const kept = await again.verify()
    expect([kept.verdict, codes(kept)]).toEqual(['TAMPERED', ['FORK']])
  })

  it('cut back to a seal from before is a rollback, with its anchors kept; without them it says how little is vouched for', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness(logOf(made))
    await made.use(30, ledger => cosigned(made, ledger, [witness]))
    const old = temporaryDirectory()
    cpSync(made.options.directory, old, { recursive: true })
    await made.use(30, ledger => cosigned(made, ledger, [witness]))
    cpSync(join(made.options.directory, 'anchors'), join(old, 'anchors'), { recursive: true })
    const result = await made.verify({ directory: old, anchors: witnessesOf(witness) })
    expect(result.verdict).toBe('TAMPERED')
    expect(codes(result)).toContain('ROLLBACK')
  })

  it('names an anchor that is altered, gone, misplaced, or of another ledger', async () => {
    const made = await anchoredLedger()
    const witness = await startWitness(logOf(made))
    await made.use(30, ledger => cosigned(made, ledger, [witness]))
    const keys = { anchors: witnessesOf(witness) }
    const file = anchorOf(made, '.note')
    const bytes = readFileSync(file)
    for (const at of [0, 40, bytes.length - 5]) {
      writeFileSync(file, Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))))
      expect(codes(await made.verify(keys)), String(at)).toContain('ANCHOR_INVALID')
    }
    rmSync(file)
    expect(await made.verify()).toMatchObject({ verdict: 'TAMPERED', findings: [{ code: 'ANCHOR_MISSING' }] })
    writeFileSync(file, bytes)
    const beside = join(file, '..', 'notes.txt')
    writeFileSync(beside, 'x')
    expect(codes(await made.verify())).toEqual(['ANCHOR_INVALID'])
    rmSync(beside)

    const other = await anchoredLedger({ origin: 'other.example/ledger' })
    const another = await startWitness(logOf(other))
    await other.use(30, ledger => cosigned(other, ledger, [another]))
    cpSync(join(other.options.directory, 'anchors'), join(made.options.directory, 'anchors'), { recursive: true })
    expect(codes(await made.verify(keys))).toEqual(['ANCHOR_INVALID'])
  })
})

describe('a tag in a git repository', () => {
  const repository = (git: string): string => {
    const folder = temporaryDirectory()
    execFileSync(git, ['init', '--quiet', folder])
    return folder
  }

  interop(
    'git',
    'is the checkpoint to the byte, names nobody, becomes an entry, and is read back from outside',
    async git => {
      const made = await anchoredLedger()
      const outside = repository(git)
      await made.use(30, async () => void (await tagIn(made.options, outside)))
      const got = await tagIn(made.options, outside)
      expect(await tagIn(made.options, outside)).toEqual(got)
      const shown = execFileSync(git, ['-C', outside, 'cat-file', 'tag', got.by], { encoding: 'utf8' })
      expect(shown).toContain('tagger counterfoil <counterfoil@localhost>')
      expect(shown.endsWith(readFileSync(join(made.options.directory, 'checkpoint'), 'utf8'))).toBe(true)
      await made.use(5, ledger => cosigned(made, ledger, []))
      const result = await made.verify({ anchors: { git: outside } })
      expect([result.verdict, codes(result)]).toEqual(['OK', []])
      expect(result.anchors[0]).toMatchObject({ anchor: 'git', by: got.by, size: got.size })
      expect(result.undetectable).toContain(`tagged as ${got.by}`)
      const one = await startWitness([{ origin: made.options.origin, vkey: made.vkey }])
      await made.use(5, ledger => cosigned(made, ledger, [one]))
      const both = await made.verify({ anchors: { git: outside, witnesses: [one.verifierKey] } })
      expect(both.steps.find(({ name }) => name === 'anchors')?.detail).toMatch(
        new RegExp(`^witness witness.example/w1 vouches for .*; besides, git ${got.by} for ${got.size}`),
      )
      expect(await made.verify({ anchors: { git: repository(git) } })).toMatchObject({
        findings: [{ code: 'ANCHOR_ABSENT' }],
      })
      await expect(made.verify({ anchors: { git: temporaryDirectory() } })).rejects.toMatchObject({
        code: 'ERR_OPTION_INVALID',
      })
    },
  )

  interop(
    'git',
    'runs nothing that the repository names, as whoever hands it over can name what he likes',
    async git => {
      const made = await anchoredLedger()
      await made.use(30)
      const outside = repository(git)
      const ran = join(temporaryDirectory(), 'ran')
      const program = join(temporaryDirectory(), 'program')
      writeFileSync(program, `#!/bin/sh\ntouch '${ran}'\nexit 1\n`, { mode: 0o755 })
      const name = tagName(made.options.origin, 5)
      // A tag of which the object is to be fetched when somebody asks for it.
      writeFileSync(join(outside, '.git/packed-refs'), `${'12'.repeat(20)} refs/tags/${name}\n`)
      const section = (...lines: string[]) => writeFileSync(join(outside, '.git/config'), `${lines.join('\n')}\n`)
      const partial = [
        '[core]',
        'repositoryformatversion = 1',
        `sshCommand = ${program}`,
        '[extensions]',
        'partialClone = o',
      ]
      const remote = ['[remote "o"]', 'promisor = true', `uploadpack = ${program}`]
      for (const url of ['ssh://nowhere.example/x', `file://${repository(git)}`, `ext::${program}`]) {
        section(...partial, '[protocol]', 'allow = always', ...remote, `url = ${url}`)
        await expect(made.verify({ anchors: { git: outside } })).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
        await tagIn(made.options, outside).catch(() => undefined)
        expect(existsSync(ran), url).toBe(false)
      }
      const replaced = repository(git)
      await tagIn(made.options, replaced)
      const config = readFileSync(join(replaced, '.git/config'), 'utf8')
      writeFileSync(join(replaced, '.git/config'), `${config}[core]\n\tfsmonitor = ${program}\n`)
      cpSync(program, join(replaced, '.git/hooks/reference-transaction'))
      await made.use(5)
      await tagIn(made.options, replaced)
      expect((await made.verify({ anchors: { git: replaced } })).verdict).toBe('OK')
      expect(existsSync(ran)).toBe(false)
    },
  )

  interop('git', 'shows a ledger that was rewritten as a whole, though all that it kept is gone', async git => {
    const made = await anchoredLedger()
    const outside = repository(git)
    await made.use(30, async () => void (await tagIn(made.options, outside)))
    const again = await anchoredLedger({ ...made.options, directory: temporaryDirectory() })
    await again.use(60)
    expect(existsSync(join(again.options.directory, 'anchors'))).toBe(false)
    const result = await again.verify({ anchors: { git: outside } })
    expect(result.verdict).toBe('TAMPERED')
    expect(codes(result)).toContain('FORK')
  })
})

describe('an older state of a ledger, at an address', () => {
  /** @param liar what is served as the checkpoint once entries are read, or undefined: what is there */
  async function published(directory: string, liar: () => string | undefined, live?: string) {
    let read = false
    const server = createServer((request, response) => {
      const path = decodeURIComponent(request.url!)
      if (path === '/checkpoint' && read) {
        const told = liar()
        if (told !== undefined) return response.end(told)
      }
      read ||= path.startsWith('/tile/0/')
      const from = read && live !== undefined ? live : directory
      const file = [from, directory].map(one => join(one, path)).find(one => existsSync(one) && statSync(one).isFile())
      if (file === undefined) return response.writeHead(404).end()
      response.end(readFileSync(file))
    })
    onTestFinished(() => void server.close())
    return `http://127.0.0.1:${(await listenOn(server, 0, '127.0.0.1')).port}/`
  }
  const grown = (checkpoint: string, size = 100_000) => checkpoint.replace(/^(.*)\n\d+\n/, `$1\n${size}\n`)

  interop('git', 'is one whatever newer checkpoint is shown, unless that is verified too', async git => {
    const made = await anchoredLedger()
    const outside = temporaryDirectory()
    execFileSync(git, ['init', '--quiet', outside])
    const { directory } = made.options
    await made.use(20, async () => void (await tagIn(made.options, outside)))
    const old = join(temporaryDirectory(), 'old')
    cpSync(directory, old, { recursive: true })
    await made.use(20, async () => void (await tagIn(made.options, outside)))
    const genuine = readFileSync(join(directory, 'checkpoint'), 'utf8')
    const told = async (address: string) => {
      const { verdict, findings } = await made.verify({ directory: address, anchors: { git: outside } })
      return [verdict, ...new Set(findings.map(({ code }) => code))]
    }
    expect(await told(await published(old, () => undefined))).toEqual(['TAMPERED', 'ROLLBACK'])
    expect((await told(await published(old, () => grown(genuine))))[0]).toBe('TAMPERED')
    // The genuine one, of which no entry is shown.
    expect((await told(await published(old, () => genuine)))[0]).toBe('TAMPERED')
    // One that grows while it is verified.
    expect(await told(await published(old, () => undefined, directory))).toEqual(['OK'])
  })

  it('explains no certificate that its writer did not publish', async () => {
    const made = await anchoredLedger()
    await made.use(20)
    const { directory } = made.options
    const altered = join(temporaryDirectory(), 'altered')
    cpSync(directory, altered, { recursive: true })
    const certificate = readFileSync(join(altered, 'keys/seal.pub.asc'), 'utf8').replace('\n\n', '\nComment: other\n\n')
    for (const name of readdirSync(join(altered, 'keys'))) writeFileSync(join(altered, 'keys', name), certificate)
    const checkpoint = readFileSync(join(altered, 'checkpoint'), 'utf8')
    const { size } = parseCheckpoint(Buffer.from(checkpoint))
    const bundle = (at: number) => join(altered, `tile/entries/000.p/${at}`)
    const entries = [...decodeBundle(readFileSync(bundle(size)), size)]
    const started = entries.map(bytes => parseEntry(bytes)).find(({ kind }) => kind === 'started')!
    const digest = createHash('sha256').update(certificate).digest('base64url')
    const more = encodeEntry({ ...started, certificate: digest } as Parameters<typeof encodeEntry>[0])
    writeFileSync(bundle(size + 1), encodeBundle([...entries, more]))
    for (const liar of [() => undefined, () => grown(checkpoint, size + 1)]) {
      const result = await made.verify({ directory: await published(altered, liar) })
      expect(result.verdict).toBe('TAMPERED')
    }
  })
})

describe('by when entries are known to have stood', () => {
  it('is the earliest time of a quorum of witnesses or of an authority, and never of a tag', () => {
    const anchors = new Anchors(2)
    const add = (anchor: 'witness' | 'timestamp' | 'git', by: string, size: number, day: number) =>
      anchors.add({ anchor, by, size, time: `2026-07-0${day}T00:00:00.000Z` })
    add('git', 'tag', 99, 1)
    add('witness', 'one', 10, 2)
    add('witness', 'one', 30, 3)
    expect(anchors.anchoredBefore(5)).toBeUndefined()
    add('witness', 'two', 20, 4)
    expect(anchors.anchoredBefore(5)).toBe('2026-07-04T00:00:00.000Z')
    expect(anchors.anchoredBefore(21)).toBeUndefined()
    add('timestamp', 'authority', 40, 5)
    expect(anchors.anchoredBefore(21)).toBe('2026-07-05T00:00:00.000Z')
    expect(anchors.anchoredBefore(41)).toBeUndefined()
    expect(anchors.last).toMatchObject({ by: 'tag' })
  })
})

describe('how lately a quorum of witnesses has cosigned', () => {
  const time = (day: number) => `2026-07-0${day}T00:00:00.000Z`
  const cosignedBy = (quorum: number, ...words: readonly (readonly [by: string, size: number, day: number])[]) => {
    const anchors = new Anchors(quorum)
    for (const [by, size, day] of words) anchors.add({ anchor: 'witness', by, size, time: time(day) })
    return anchors
  }

  it('is told by those whose clocks are right, and by one again whose clock was ahead once', () => {
    const ahead = cosignedBy(1, ['one', 20, 2], ['two', 10, 9])
    expect([ahead.cosignedAt(time(3)), ahead.cosignedSince(time(2), time(3))]).toEqual([time(2), 20])
    expect(ahead.cosignedAfter(time(3))).toEqual(['two'])
    const both = cosignedBy(2, ['one', 20, 2], ['two', 10, 9])
    expect([both.cosignedAt(time(3)), both.cosignedSince(time(2), time(3))]).toEqual([undefined, 0])
    const since = cosignedBy(2, ['one', 20, 2], ['two', 10, 9], ['two', 15, 3])
    expect([since.cosignedAt(time(3)), since.cosignedSince(time(2), time(3))]).toEqual([time(2), 15])
  })

  it('is INCOMPLETE where one alone is ahead, and OK beside another that is not, which is said', async () => {
    const made = await anchoredLedger()
    const one = await startWitness(logOf(made))
    await made.use(5, ledger => cosigned(made, ledger, [one]))
    const hour = 3_600_000
    const kept = anchorOf(made, '.note')
    const { note } = parseCheckpoint(readFileSync(kept))
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const tomorrow = Math.floor((Date.now() + 24 * hour) / 1000)
    const ahead = cosign(note.text, 'witness.example/ahead', privateKey, tomorrow)
    const bytes = Buffer.from(formatNote({ text: note.text, signatures: [note.signatures[0]!, ahead] }))
    writeFileSync(join(dirname(kept), `${createHash('sha256').update(bytes).digest('hex')}.note`), bytes)
    const witnesses = [formatCosignerKey('witness.example/ahead', publicKey)]
    const alone = await made.verify({ anchors: { witnesses, cosignedWithinMs: hour } })
    expect(alone.findings).toMatchObject([
      { code: 'ANCHOR_STALE', what: expect.stringContaining('ahead of the clock here') },
    ])
    const beside = await made.verify({
      anchors: { witnesses: [...witnesses, ...witnessesOf(one).witnesses], quorum: 1, cosignedWithinMs: hour },
    })
    expect([beside.verdict, codes(beside)]).toEqual(['OK', []])
    expect(stepOf(beside).detail).toContain('not counted: a cosignature of witness.example/ahead')
  })
})
