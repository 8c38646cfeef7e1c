/**
 * A recording that is encrypted to others: gpg opens the message in its head, and what it
 * says opens the rest with nothing but AES-256-GCM.
 */
import { spawnSync } from 'node:child_process'
import { createDecipheriv } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { origin, temporaryDirectory } from '../support/directory-ledger.ts'
import { erasableLedger } from '../support/erasable-ledger.ts'
import { interop } from '../support/interop.ts'
import { reader } from '../support/reader.ts'

interop('gpg', 'the key of a recording is what gpg decrypts, and it opens the recording', async gpg => {
  const { privateKey, readers } = await reader()
  const { options } = await erasableLedger(temporaryDirectory(), { readers })
  const folder = join(options.directory, 'vault/attachments')
  const [path] = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(each => each.isFile())
  const bytes = readFileSync(join(path!.parentPath, path!.name))
  // Eight bytes of magic, the slot, the length of the message, the message; then length, nonce, box and tag, and a digest.
  const end = 16 + bytes.readUInt32BE(12)
  const home = temporaryDirectory()
  mkdirSync(join(home, 'gpg'), { mode: 0o700 })
  writeFileSync(join(home, 'key.asc'), privateKey)
  writeFileSync(join(home, 'message'), bytes.subarray(16, end))
  const ask = (...args: string[]) =>
    spawnSync(gpg, ['--homedir', join(home, 'gpg'), '--batch', ...args], { cwd: home, encoding: 'utf8' })
  ask('--import', 'key.asc')
  const { stdout, stderr } = ask('--status-fd', '2', '--decrypt', 'message')
  spawnSync('gpgconf', ['--homedir', join(home, 'gpg'), '--kill', 'all'])
  expect(stderr).toContain('[GNUPG:] DECRYPTION_OKAY')
  const said = JSON.parse(stdout) as { attachment: string; key: string; origin: string }
  expect(said).toMatchObject({ attachment: path!.name, origin })
  const box = bytes.subarray(end + 4, end + 4 + bytes.readUInt32BE(end))
  const decipher = createDecipheriv('aes-256-gcm', Buffer.from(said.key, 'base64url'), box.subarray(0, 12))
  decipher.setAAD(Buffer.from(`counterfoil attachment\n${origin}\n${said.attachment}\n0`)).setAuthTag(box.subarray(-16))
  expect(Buffer.concat([decipher.update(box.subarray(12, -16)), decipher.final()]).toString()).toBe('what was shown')
})
