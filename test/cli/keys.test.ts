/** The ledger's keys as an operator handles them: made, rotated, revoked, and what is left when that is cut off. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, rmSync } from 'node:fs'
import { appendFile, chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Command } from 'commander'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { keys } from '../../cli/commands/keys.ts'
import { exit, exitStatusOf } from '../../cli/exit.ts'
import { initialise, writeKeys } from '../../cli/initialise.ts'
import { newPassphrase } from '../../cli/keys/passphrase.ts'
import { prepare } from '../../cli/keys/prepared.ts'
import { revokeFormer } from '../../cli/keys/revoke-former.ts'
import { type RotateOptions, rotate, type Step } from '../../cli/keys/rotate.ts'
import { buildBundle, ledgerKeys, verifyBundle, verifyLedger } from '../../evidence/index.ts'
import { type Config, loadConfig } from '../../lib/config/config.ts'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { parseVerifierKey, requireSignature } from '../../lib/format/note.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { armorSignature, generateKey, readCertificate, readPrivateKey } from '../../lib/openpgp.ts'
import { configuredSealer } from '../../lib/sealing.ts'
import { compiledScript } from '../support/compiled.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { findTool, interop } from '../support/interop.ts'

const main = compiledScript(new URL('../../cli/main.ts', import.meta.url))
const run = async (...args: string[]) =>
  promisify(execFile)(process.execPath, [main, ...args], { env: { ...process.env, NO_COLOR: '1' } }).then(
    ({ stdout }) => ({ status: 0, text: stdout }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      status: error.code,
      text: error.stdout + error.stderr,
    }),
  )

class Place {
  readonly folder: string
  readonly fingerprint: string

  constructor(folder: string, fingerprint: string) {
    this.folder = folder
    this.fingerprint = fingerprint
  }

  static async make(): Promise<Place> {
    const folder = temporaryDirectory()
    const people = { user: 'user@example.com', approver: 'approver@example.com' }
    const { fingerprint } = await initialise({ folder, name: 'crm', upstream: 'env:DATABASE_URL', ...people })
    const place = new Place(folder, fingerprint)
    await place.use()
    return place
  }

  get ledger() {
    return join(this.folder, 'ledger')
  }

  config = (): Promise<Config> => loadConfig(join(this.folder, 'counterfoil.yaml'), { evidence: true })

  /** @returns the text of before */
  async edit(change: (text: string) => string): Promise<string> {
    const file = join(this.folder, 'counterfoil.yaml')
    const text = await readFile(file, 'utf8')
    await writeFile(file, change(text))
    return text
  }

  /** Opens, appends, closes, as the gateway does. */
  async use(): Promise<void> {
    const ledger = await openDirectoryLedger({ ...(await this.options()), create: true })
    await ledger.append([{ kind: 'heartbeat', open: 0, interval: 60 }])
    await ledger.close()
  }

  async options() {
    const { name, ledger } = await this.config()
    return {
      directory: ledger.directory,
      origin: name,
      writer: name,
      noteKey: ledger.noteKey,
      sealer: await configuredSealer(ledger.sealKey),
      wrappingKey: Buffer.from(ledger.vaultKey.reveal(), 'base64url'),
      software: 'counterfoil/test',
      placement: 'gateway' as const,
    }
  }

  /** Whether a copy of the ledger opens with this file for that key. */
  async opensWith(name: string, file: string): Promise<boolean> {
    const folder = temporaryDirectory()
    cpSync(this.folder, folder, { recursive: true })
    const yaml = join(folder, 'counterfoil.yaml')
    await writeFile(yaml, (await readFile(yaml, 'utf8')).replace(`keys/${name}`, `keys/${file}`))
    return new Place(folder, this.fingerprint).use().then(
      () => true,
      () => false,
    )
  }

  async rotate(key: 'note' | 'seal', more: Partial<RotateOptions> = {}) {
    const steps = rotate({ config: await this.config(), key, ...more })
    for (let step = await steps.next(); ; step = await steps.next()) if (step.done === true) return step.value
  }

  verify(fingerprint = this.fingerprint) {
    return verifyLedger({ directory: this.ledger, fingerprint })
  }
}

describe('rotating', () => {
  it('lets the ledger go on with the new key, refuse the old one, and verify with either fingerprint', async () => {
    const place = await Place.make()
    const old = await place.options()
    const note = await place.rotate('note')
    const seal = await place.rotate('seal')
    await place.use()
    const now = await place.options()
    expect(noteKeyOf(now.noteKey, 'crm').verifierKey).toBe(note.new)
    expect(now.sealer.fingerprint).toBe(seal.new)
    for (const pin of [place.fingerprint, seal.new]) {
      const { verdict, findings } = await place.verify(pin)
      expect([verdict, findings]).toEqual(['OK', []])
    }
    await expect(openDirectoryLedger({ ...now, noteKey: old.noteKey })).rejects.toThrow(/was rotated/)
    await expect(openDirectoryLedger({ ...now, sealer: old.sealer })).rejects.toMatchObject({
      code: 'ERR_LEDGER_INCONSISTENT',
      data: { expected: seal.new },
    })
    const { keys } = await ledgerKeys(place.ledger, { fingerprint: place.fingerprint })
    expect(keys.map(({ key, id, until }) => [key, id, until === undefined])).toEqual([
      ['note', note.old, false],
      ['note', note.new, true],
      ['seal', place.fingerprint, false],
      ['seal', seal.new, true],
    ])
    expect(await readdir(join(place.ledger, 'keys'))).toEqual(
      [`${place.fingerprint}.asc`, `${seal.new}.asc`, 'seal.pub.asc'].sort(),
    )
    // What others' tools pin: the old note key opens the checkpoint that first tells of the new one.
    const first = parseCheckpoint(await readFile(join(place.ledger, 'checkpoint.d', String(keys[1]!.since))))
    for (const key of [note.old, note.new]) requireSignature(first.note, parseVerifierKey(key))
  })

  it('to a key that can be read by others, or while the ledger is open, is refused; nothing is changed', async () => {
    const place = await Place.make()
    const file = join(place.folder, 'keys/note.key')
    await chmod(file, 0o644)
    await expect(place.rotate('note')).rejects.toThrow(/can be read by others \(mode 644\)/)
    await chmod(file, 0o600)
    const before = await readFile(file, 'utf8')
    const ledger = await openDirectoryLedger(await place.options())
    await expect(place.rotate('note')).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' })
    await ledger.close()
    expect(await readFile(file, 'utf8')).toBe(before)
    expect((await place.verify()).verdict).toBe('OK')
  })

  it.each([
    ['note', 'note.key'],
    ['seal', 'seal.key.asc'],
  ] as const)(
    'the %s key, cut off after any step, leaves a ledger that opens with one of two, and is finished by a second run',
    async (key, name) => {
      const place = await Place.make()
      const images: [Step, Place][] = []
      for await (const step of rotate({ config: await place.config(), key })) {
        // What a kill at this moment leaves: everything as it is on disk while the rotation goes no further.
        const folder = temporaryDirectory()
        cpSync(place.folder, folder, { recursive: true })
        images.push([step, new Place(folder, place.fingerprint)])
      }
      expect(images.map(([step]) => step)).toEqual(['made', 'recorded', 'published'])
      for (const [step, image] of images) {
        const files = [name, `${name}.next`]
        const opened = []
        for (const file of files) opened.push(await image.opensWith(name, file))
        expect([step, opened]).toEqual([step, [step === 'made', step !== 'made']])
        expect(await image.rotate(key)).toMatchObject({ finished: step !== 'made' })
        await image.use()
        const { verdict, findings } = await image.verify()
        expect([step, verdict, findings]).toEqual([step, 'OK', []])
      }
    },
  )
})

describe('revoking', () => {
  it('a compromised OpenPGP key leaves the old fingerprint behind, and publishes the revocation for gpg', async () => {
    const place = await Place.make()
    const { new: now, old } = await place.rotate('seal', { revocation: { reason: 'compromised' } })
    await place.use()
    expect(await place.verify()).toMatchObject({ verdict: 'INCOMPLETE', findings: [{ code: 'KEY_COMPROMISED' }] })
    expect(await place.verify(now)).toMatchObject({ verdict: 'OK', findings: [] })
    // keys show has the same status as verify: nothing is known to be broken.
    const shown = await ledgerKeys(place.ledger, { fingerprint: old }).catch((error: unknown) => error)
    expect(shown).toMatchObject({ message: expect.stringContaining('compromised') })
    expect(exitStatusOf(shown)).toBe(exit.incomplete)
    const published = await readFile(join(place.ledger, 'keys', `${old}.asc`), 'utf8')
    expect(await readCertificate(published)).toMatchObject({ revoked: true, revocation: { reason: 'compromised' } })
  })

  it('a note key that was compromised needs nobody to pin anything anew', async () => {
    const place = await Place.make()
    const { old } = await place.rotate('note', { revocation: { reason: 'compromised' } })
    await place.use()
    expect(await place.verify()).toMatchObject({ verdict: 'OK', findings: [] })
    const { keys } = await ledgerKeys(place.ledger)
    expect(keys.find(({ id }) => id === old)).toMatchObject({ revoked: { reason: 'compromised' } })
  })

  interop(
    ['gpg', 'sqv'],
    'exit statuses: gpg ends with 0 for a seal of a revoked key, where sqv and its own status do not',
    async gpg => {
      const place = await Place.make()
      const { old } = await place.rotate('seal', { revocation: { reason: 'superseded' } })
      const folder = temporaryDirectory()
      await chmod(folder, 0o700)
      const sizes = (await readdir(join(place.ledger, 'checkpoint.d'))).map(Number).sort((a, b) => a - b)
      const { note } = parseCheckpoint(await readFile(join(place.ledger, 'checkpoint.d', String(sizes[0]))))
      await writeFile(join(folder, 'seal'), note.text)
      await writeFile(join(folder, 'seal.asc'), armorSignature(note.signatures[1]!.signature))
      const certificate = join(place.ledger, 'keys', `${old}.asc`)
      const gpgIn = (...args: string[]) =>
        spawnSync(gpg, ['--homedir', folder, '--batch', '--no-autostart', ...args], { cwd: folder, encoding: 'utf8' })
      expect(gpgIn('--import', certificate).status).toBe(0)
      const told = gpgIn('--status-fd', '1', '--verify', 'seal.asc', 'seal')
      expect(told.status).toBe(0)
      expect(told.stdout).toContain('[GNUPG:] REVKEYSIG')
      expect(told.stdout).not.toContain('[GNUPG:] GOODSIG')
      // A revocation that gives a reason other than compromise leaves what is older: the one for a stolen key leaves nothing.
      const stolen = await Place.make()
      const { old: lost } = await stolen.rotate('seal', { revocation: { reason: 'compromised' } })
      const [first] = (await readdir(join(stolen.ledger, 'checkpoint.d'))).map(Number).sort((a, b) => a - b)
      const seal = parseCheckpoint(await readFile(join(stolen.ledger, 'checkpoint.d', String(first)))).note
      await writeFile(join(folder, 'lost'), seal.text)
      await writeFile(join(folder, 'lost.asc'), armorSignature(seal.signatures[1]!.signature))
      const keyring = join(stolen.ledger, 'keys', `${lost}.asc`)
      expect(spawnSync(findTool('sqv')!, ['--keyring', keyring, 'lost.asc', 'lost'], { cwd: folder }).status).not.toBe(
        0,
      )
    },
  )
})

describe('a key that lies where nothing can be written', () => {
  it('is rotated to from where it was put, recorded once, and named by the configuration afterwards', async () => {
    const place = await Place.make()
    const [note, seal] = [join(place.folder, 'next-note'), join(place.folder, 'next-seal')]
    await prepare('note', 'crm', note)
    await prepare('seal', 'crm', seal, 'correct horse')
    vi.stubEnv('NEXT_NOTE', await readFile(note, 'utf8'))
    vi.stubEnv('NEXT_PASSPHRASE', 'correct horse')
    onTestFinished(() => void vi.unstubAllEnvs())
    const rotated = await place.rotate('note', { to: { at: 'env:NEXT_NOTE' } })
    expect(rotated).toMatchObject({ finished: false, kept: undefined })
    expect(await place.rotate('note', { to: { at: 'env:NEXT_NOTE' } })).toMatchObject({ finished: true })
    await expect(place.use()).rejects.toThrow(/was rotated/)
    await place.edit(text => text.replace('note: file:./keys/note.key', 'note: env:NEXT_NOTE'))
    await expect(place.rotate('note')).rejects.toThrow(/keys prepare note/)
    await expect(place.rotate('note', { to: { at: 'env:NEXT_NOTE' } })).rejects.toThrow(/names already/)
    await expect(place.rotate('note', { to: { at: 'gpg:AA' } })).rejects.toThrow(/no OpenPGP key/)
    await place.rotate('seal', { to: { at: `file:${seal}`, passphrase: 'env:NEXT_PASSPHRASE' } })
    await place.edit(text => text.replace(/seal: .*/, `seal: { key: "file:${seal}", passphrase: env:NEXT_PASSPHRASE }`))
    await place.use()
    expect(await place.verify()).toMatchObject({ verdict: 'OK', findings: [] })
  })

  interop(['gpg', 'gpg-agent', 'gpgconf'], 'gpg, is rotated to and from', async gpg => {
    const place = await Place.make()
    const home = await mkdtemp(join(tmpdir(), 'cf-gpg-'))
    onTestFinished(() => {
      vi.unstubAllEnvs()
      spawnSync(findTool('gpgconf')!, ['--homedir', home, '--kill', 'all'])
      rmSync(home, { recursive: true, force: true })
    })
    vi.stubEnv('GNUPGHOME', home)
    const made = await generateKey({ name: 'counterfoil crm' })
    expect(spawnSync(gpg, ['--batch', '--import'], { input: made.privateKey }).status).toBe(0)
    const before = await place.options()
    const { certificateFile } = await place.rotate('seal', { to: { at: `gpg:${made.fingerprint}` } })
    // keys/ledger.pub.asc is still the old one's: what is handed over is where the ledger publishes it.
    expect(certificateFile).toBe(join(place.ledger, 'keys', `${made.fingerprint}.asc`))
    expect((await readCertificate(await readFile(certificateFile!, 'utf8'))).fingerprint).toBe(made.fingerprint)
    await expect(openDirectoryLedger(before)).rejects.toMatchObject({ data: { expected: made.fingerprint } })
    const file = /seal: (.*)/.exec(
      await place.edit(text => text.replace(/seal: .*/, `seal: { gpg: ${made.fingerprint} }`)),
    )![1]!
    await place.use()
    await expect(place.rotate('seal')).rejects.toThrow(/keys prepare seal/)
    const next = join(place.folder, 'keys/seal.next.asc')
    await prepare('seal', 'crm', next, 'correct horse')
    await writeFile(join(place.folder, 'secret'), 'correct horse')
    const passphrase = `file:${join(place.folder, 'secret')}`
    await place.rotate('seal', { to: { at: `file:${next}`, passphrase } })
    await place.edit(text => text.replace(/seal: .*/, `seal: { key: "file:${next}", passphrase: "${passphrase}" }`))
    await place.use()
    expect(file).toContain('seal.key.asc')
    expect(await place.verify()).toMatchObject({ verdict: 'OK', findings: [] })
  })
})

describe('a key that was rotated away', () => {
  it('is revoked afterwards: what it signed counts where others had seen it before, and else leads nowhere', async () => {
    const place = await Place.make()
    await place.rotate('note')
    const { old, new: now } = await place.rotate('seal')
    await place.use()
    const at = Date.now()
    const revoked = await revokeFormer(await place.config(), 'seal', old, { reason: 'compromised', at })
    expect(revoked).toEqual({ key: 'seal', revoked: old, published: true })
    const whole = await place.verify(now)
    expect(whole).toMatchObject({ verdict: 'OK', findings: [] })
    expect(whole.undetectable).toContain(`in other hands: ${old} (from ${new Date(at).toISOString()} on)`)
    expect(await place.verify()).toMatchObject({ verdict: 'INCOMPLETE', findings: [{ code: 'KEY_COMPROMISED' }] })
    const by = (time: number) =>
      verifyLedger({
        ...{ directory: place.ledger, fingerprint: old },
        anchoredBefore: size => (size < 12 ? new Date(time).toISOString() : undefined),
      })
    expect(await by(at - 1000)).toMatchObject({ verdict: 'OK', findings: [] })
    expect(await by(at + 1000)).toMatchObject({ verdict: 'INCOMPLETE' })
    const published = await readFile(join(place.ledger, 'keys', `${old}.asc`), 'utf8')
    expect(await readCertificate(published)).toMatchObject({ revocation: { reason: 'compromised' } })
    const { keys } = await ledgerKeys(place.ledger, { fingerprint: now })
    const note = keys.find(({ key }) => key === 'note')!.id
    await revokeFormer(await place.config(), 'note', note.split('+')[1]!, { reason: 'retired' })
    expect(await place.verify(now)).toMatchObject({ verdict: 'OK', findings: [] })
    const config = await place.config()
    await expect(revokeFormer(config, 'seal', now, { reason: 'retired' })).rejects.toThrow(/speaks now/)
    await expect(revokeFormer(config, 'seal', 'A'.repeat(40), { reason: 'retired' })).rejects.toThrow(/no seal key/)
  })
})

describe('a note key that is lost', () => {
  it('is not rotated without it: another ledger begins, certified by the same OpenPGP key, and both verify', async () => {
    const place = await Place.make()
    const program = new Command().exitOverride()
    keys(program)
    const asked = program.parseAsync(['keys', 'rotate', 'note', '--lost'], { from: 'user' })
    await expect(asked).rejects.toThrow(/begin another in a new directory/)
    const options = await place.options()
    const other = generateKeyPairSync('ed25519').privateKey
    await expect(openDirectoryLedger({ ...options, noteKey: other })).rejects.toMatchObject({ name: 'LedgerError' })
    const directory = temporaryDirectory()
    const next = await openDirectoryLedger({ ...options, directory, origin: 'crm-2', noteKey: other, create: true })
    await next.close()
    for (const ledger of [place.ledger, directory]) {
      const { verdict, findings } = await verifyLedger({ directory: ledger, fingerprint: place.fingerprint })
      expect([verdict, findings]).toEqual(['OK', []])
    }
  }, 300_000)
})

describe('a passphrase that is typed', () => {
  interop(
    ['script'],
    'is not shown, is asked for thrice at most, and ctrl-C ends it',
    async script => {
      const folder = temporaryDirectory()
      const command = [process.execPath, main, 'keys', 'init', '--dir', folder, '--passphrase', 'prompt']
      const typed = async (...answers: string[]) => {
        const child = spawn(script, ['-qefc', command.map(part => `'${part}'`).join(' '), '/dev/null'])
        let shown = ''
        child.stdout.setEncoding('utf8').on('data', part => {
          shown += part
          // One answer for each question, once it stands there.
          if (/(seal key|again): $/.test(shown) && answers.length > 0) child.stdin.write(answers.shift()!)
        })
        const [status] = await once(child, 'close')
        return { status, shown }
      }
      const [wrong, ended] = await Promise.all([
        typed(...['one', 'two', 'three', 'four', 'five', 'six'].map(text => `${text}\r`)),
        typed('secret\u0003'),
      ])
      expect(wrong.status).toBe(2)
      expect(wrong.shown.match(/once more/g)).toHaveLength(2)
      expect(ended.shown).toMatch(/interrupted/)
      for (const { shown } of [wrong, ended]) expect(shown).not.toMatch(/three|four|secret/)
      expect(await readdir(folder)).toEqual([])
      expect((await typed('one\r', 'two\r', 'horrs\u007f\u007fse\r', 'horse\r')).status).toBe(0)
      const armored = await readFile(join(folder, 'keys/seal.key.asc'), 'utf8')
      expect(await readPrivateKey(armored, 'horse')).toBeDefined()
    },
    300_000,
  )
})

describe('a bundle', () => {
  it('of a time with rotations in it, or before it, verifies with either fingerprint', async () => {
    const place = await Place.make()
    const middle = new Date().toISOString()
    await place.rotate('note')
    const { new: now } = await place.rotate('seal')
    await place.use()
    const { sealer } = await place.options()
    const year = Number(middle.slice(0, 4))
    for (const [from, to] of [
      [`${year - 1}-01-01`, `${year + 1}-01-01`],
      [`${year - 1}-01-01`, middle],
    ] as const) {
      const out = join(temporaryDirectory(), 'bundle')
      const ledger = { directory: place.ledger, fingerprint: now }
      const sign = async (bytes: Uint8Array) => armorSignature(await sealer.sign(bytes))
      await buildBundle({ ledger, out, organisation: 'CRM Example', from, to, controls: [], sign })
      for (const fingerprint of [place.fingerprint, now]) {
        const { verdict, findings } = await verifyBundle({ directory: out, fingerprint })
        expect([findings, verdict]).toEqual([[], 'OK'])
      }
      const other = await verifyBundle({ directory: out, fingerprint: 'A'.repeat(40) })
      expect(other.verdict).toBe('TAMPERED')
      expect(JSON.stringify(other.findings)).toContain(now)
    }
  })

  it('by a key that follows one that was in other hands is not told from the old fingerprint, as its ledger is not, and accuses nobody', async () => {
    const place = await Place.make()
    const { old, new: now } = await place.rotate('seal')
    await place.use()
    await revokeFormer(await place.config(), 'seal', old, { reason: 'compromised', at: Date.now() })
    const { sealer } = await place.options()
    const out = join(temporaryDirectory(), 'bundle')
    const year = new Date().getFullYear()
    const ledger = { directory: place.ledger, fingerprint: now }
    const sign = async (bytes: Uint8Array) => armorSignature(await sealer.sign(bytes))
    const period = { from: `${year - 1}-01-01`, to: `${year + 1}-01-01` }
    await buildBundle({ ledger, out, organisation: 'CRM Example', ...period, controls: [], sign })
    const told = await verifyBundle({ directory: out, fingerprint: old })
    expect(told).toMatchObject({
      verdict: 'INCOMPLETE',
      findings: [{ code: 'KEY_COMPROMISED', expected: old, actual: now }],
    })
    expect(told.steps.find(({ name }) => name === 'signature')?.status).toBe('not-examined')
    expect(await verifyBundle({ directory: out, fingerprint: now })).toMatchObject({ verdict: 'OK' })
    await appendFile(join(out, 'VERIFY.txt'), 'x')
    expect(await verifyBundle({ directory: out, fingerprint: old })).toMatchObject({ verdict: 'TAMPERED' })
  })
})

describe('counterfoil keys', () => {
  it('init makes keys under a passphrase that is named, prints none, and overwrites nothing', async () => {
    const folder = temporaryDirectory()
    await writeFile(join(folder, 'secret'), 'correct horse\n')
    const made = await run('keys', 'init', '--dir', folder, '--passphrase', `file:${join(folder, 'secret')}`)
    expect(made.status).toBe(0)
    expect(made.text).toMatch(/^ {2}[0-9A-F]{40}$/m)
    expect(made.text).not.toContain('correct horse')
    expect((await readdir(join(folder, 'keys'))).sort()).toEqual([
      'ledger.pub.asc',
      'note.key',
      'seal.key.asc',
      'seal.revocation.asc',
      'vault.key',
    ])
    await expect(newPassphrase('correct horse')).rejects.toThrow(/seen by everybody/)
    await expect(newPassphrase('env:NOT_SET_ANYWHERE')).rejects.toThrow(/not set/)
    await expect(newPassphrase('prompt')).rejects.toThrow(/no terminal/)
    await expect(writeKeys(folder, 'crm')).rejects.toThrow(/nothing is overwritten/)
  }, 300_000)

  it('show --note prints the verifier key alone, rotate whom to tell of the new one; a wrong passphrase is named', async () => {
    const place = await Place.make()
    const { text } = await run('keys', 'show', place.ledger, '--note')
    expect(text).toBe(`${(await ledgerKeys(place.ledger)).note}\n`)
    const rotated = await run('keys', 'rotate', 'note', '--config', join(place.folder, 'counterfoil.yaml'))
    const { note } = await ledgerKeys(place.ledger)
    // Whom a new note key concerns, in the words in which they take it.
    expect(rotated.text).toContain(`counterfoil witness serve ... --origin crm=${note}\n`)
    expect(rotated.text).toContain(`counterfoil prove --check FILE --entry FILE --key ${note}\n`)
    const sealed = await run('keys', 'rotate', 'seal', '--config', join(place.folder, 'counterfoil.yaml'))
    expect(sealed.text).toContain(`its certificate (${join(place.folder, 'keys/ledger.pub.asc')})`)
    await rm(join(place.folder, 'keys/ledger.pub.asc'))
    const uncopied = await run('keys', 'rotate', 'seal', '--config', join(place.folder, 'counterfoil.yaml'))
    const [, now] = /and is from now on {2}([0-9A-F]{40})/.exec(uncopied.text)!
    expect(uncopied.text).toContain(`its certificate (${join(place.ledger, `keys/${now}.asc`)})`)
    await writeFile(join(place.folder, 'keys/seal.passphrase'), 'wrong\n')
    await expect(place.rotate('seal')).rejects.toThrow(/the passphrase does not open/)
  }, 300_000)
})
