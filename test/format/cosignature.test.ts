/** Cosignatures of witnesses (cosignature/v1), byte for byte, and every way to bend one. */
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { cosign, cosignaturesOf, formatCosignerKey, parseCosignerKey } from '../../lib/format/cosignature.ts'
import { formatVerifierKey, type NoteSignature } from '../../lib/format/note.ts'

const refused = expect.objectContaining({ code: 'ERR_CHECKPOINT_SIGNATURE' })
const { privateKey } = generateKeyPairSync('ed25519')
const publicKey = createPublicKey(privateKey)
const name = 'witness.example/w1'
const text = 'crm.example\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n'
const cosigner = parseCosignerKey(formatCosignerKey(name, publicKey))
const line = cosign(text, name, privateKey, 1_679_315_147)
const found = (signature: NoteSignature, of = text) => cosignaturesOf({ text: of, signatures: [signature] }, [cosigner])

describe('a cosignature', () => {
  it('is over the two lines and the whole body that the specification says, with the time before it', () => {
    const message = `cosignature/v1\ntime 1679315147\n${text}`
    expect(Buffer.from(line.signature.subarray(8))).toEqual(sign(null, Buffer.from(message), privateKey))
    expect(Buffer.from(line.signature.subarray(0, 8)).toString('hex')).toBe('00000000641850cb')
    expect(found(line)).toMatchObject([{ name, time: 1_679_315_147 }])
  })

  it('fails where a byte of it, of its time or of the body is another; one of an unknown key is passed over', () => {
    for (const at of [0, 7, 8, 71]) {
      const signature = Uint8Array.from(line.signature, (byte, i) => (i === at ? byte ^ 1 : byte))
      expect(() => found({ ...line, signature }), String(at)).toThrowError(refused)
    }
    expect(() => found({ ...line, signature: line.signature.subarray(8) })).toThrowError(refused)
    expect(() => found(line, text.replace('3', '4'))).toThrowError(refused)
    expect(found({ ...line, keyId: Buffer.alloc(4) })).toEqual([])
    expect(found({ ...line, name: 'witness.example/w2' })).toEqual([])
  })

  it('says nothing with a time behind the year 9999, and stays one that must not be false', () => {
    const at = (time: number) => cosign(text, name, privateKey, time)
    expect(found(at(253_402_300_799))).toMatchObject([{ time: 253_402_300_799 }])
    for (const time of [253_402_300_800, 2 ** 52, Number.MAX_SAFE_INTEGER]) {
      expect(found(at(time)), String(time)).toEqual([])
      expect(cosignaturesOf({ text, signatures: [at(time), line] }, [cosigner])).toMatchObject([
        { time: 1_679_315_147 },
      ])
      expect(() => found(at(time), text.replace('3', '4')), String(time)).toThrowError(refused)
    }
    expect(() => found({ ...line, signature: Buffer.alloc(72, 0xff) })).toThrowError(refused)
  })

  it('counts once for each witness, with its newest time', () => {
    const signatures = [line, cosign(text, name, privateKey, 1_679_400_000), line]
    expect(cosignaturesOf({ text, signatures }, [cosigner])).toMatchObject([{ time: 1_679_400_000 }])
  })

  it('is verified with a key of type 4, whose id is that of its name', () => {
    const vkey = formatCosignerKey(name, publicKey)
    expect(() => parseCosignerKey(formatVerifierKey(name, publicKey))).toThrowError(refused)
    expect(() => parseCosignerKey(vkey.replace('w1', 'w2'))).toThrowError(refused)
    for (const bent of ['', 'x', vkey.slice(0, -4), `${vkey}AAAA`, vkey.replace('+', ' ')]) {
      expect(() => parseCosignerKey(bent), bent).toThrowError(refused)
    }
  })
})
