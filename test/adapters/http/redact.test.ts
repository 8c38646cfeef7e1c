/** What of a request may be shown. */
import { describe, expect, it } from 'vitest'
import { isSecretName, withoutSecrets } from '../../../adapters/http/redact.ts'

describe('a name', () => {
  it.each([
    ...[
      'password',
      'newPassword',
      'user[password]',
      'pass',
      'passwd',
      'db_pwd',
      'passphrase',
      'client_secret',
      'clientSecret',
    ],
    ...[
      'access_token',
      '?access_token',
      'refreshToken',
      'Authorization',
      'authorisation',
      'set-cookie',
      'apiKey',
      'x-api-key',
    ],
    ...[
      'privateKey',
      'aws_access_key',
      'credentials',
      'pin',
      '?pin',
      'card[cvc]',
      'cardCvv',
      'otp',
      'jwt',
      'sessionId',
      'sid',
      'sig',
    ],
  ])('%s says that it holds a secret', name => expect(isSecretName(name)).toBe(true))

  it.each(['passenger', 'compass', 'shipping', 'opinion', 'author', 'name', 'signal', 'design', 'side', 'bypass'])(
    '%s does not',
    name => expect(isSecretName(name)).toBe(false),
  )
})

describe('what is shown', () => {
  it('leaves out secrets at every depth, and whatever their value is made of', () => {
    const value = { user: 'a', password: { old: 'x', new: 'y' }, list: [{ token: ['z'] }, 'kept'] }
    expect(withoutSecrets(value)).toEqual({
      user: 'a',
      password: '[withheld]',
      list: [{ token: '[withheld]' }, 'kept'],
    })
  })

  it('leaves out a value whose sibling names it a secret', () => {
    expect(withoutSecrets([{ op: 'replace', path: '/user/password', value: 'x' }])).toEqual([
      { op: 'replace', path: '/user/password', value: '[withheld]' },
    ])
    expect(withoutSecrets({ name: 'colour', value: 'red' })).toEqual({ name: 'colour', value: 'red' })
  })

  it('keeps a member that is named as an object inherits it', () => {
    const shown = withoutSecrets(JSON.parse('{"__proto__":{"token":"x"},"a":1}'))
    expect(JSON.stringify(shown)).toBe('{"__proto__":{"token":"[withheld]"},"a":1}')
  })
})
