/** A forward's destination in another spelling is no other destination, nor one that policy has not seen. */
import { describe, expect, it } from 'vitest'
import { destinationName, forwardOperation } from '../../adapters/ssh/operation.ts'
import { isOurs } from '../../lib/errors.ts'

const spelling = (host: string): string => {
  try {
    return destinationName(host)
  } catch (error) {
    if (isOurs(error)) return error.code
    throw error
  }
}

describe('a destination', () => {
  // biome-ignore format: a table
  it.each([
    ['db1.internal',        'db1.internal'],
    ['DB1.Internal.',       'db1.internal'],
    ['127.0.0.1',           '127.0.0.1'],
    ['::1',                 '[::1]'],
    ['[::1]',               '[::1]'],
    ['0:0:0:0:0:0:0:1',     '[::1]'],
    ['FD00::0007',          '[fd00::7]'],
    ['::ffff:127.0.0.1',    '127.0.0.1'],
    ['::FFFF:7f00:1',       '127.0.0.1'],
    ['_srv.internal',       '_srv.internal'],
    // What inet_aton takes for 127.0.0.1, and a rule for a name.
    ['127.1',               'ERR_ACCESS_DENIED'],
    ['2130706433',          'ERR_ACCESS_DENIED'],
    ['0x7f.0.0.1',          'ERR_ACCESS_DENIED'],
    ['0x7f000001',          'ERR_ACCESS_DENIED'],
    ['0177.0.0.1',          'ERR_ACCESS_DENIED'],
    ['127.0.0.01',          'ERR_ACCESS_DENIED'],
    ['fe80::1%eth0',        'ERR_ACCESS_DENIED'],
    ['',                    'ERR_ACCESS_DENIED'],
    ['.',                   'ERR_ACCESS_DENIED'],
    ['a..b',                'ERR_ACCESS_DENIED'],
    ['a/b',                 'ERR_ACCESS_DENIED'],
    ['a b',                 'ERR_ACCESS_DENIED'],
    ['a\u0000b',            'ERR_ACCESS_DENIED'],
    ['*',                   'ERR_ACCESS_DENIED'],
    ['ex\u00e4mple',        'ERR_ACCESS_DENIED'],
    ['127\u30020\u30020\u30021', 'ERR_ACCESS_DENIED'],
  ])('%j is %s', (host, expected) => {
    expect(spelling(host)).toBe(expected)
  })

  it.each([0, 65_536, 65_536 + 22, 2 ** 32 - 1])('has no port %d', port => {
    expect(() => forwardOperation('fleet/web1/deploy', 'db1', port)).toThrow('no such port')
  })

  it.each([
    ['127.0.0.1', 'low'],
    ['127.9.9.9', 'low'],
    ['localhost', 'low'],
    ['::1', 'low'],
    ['10.0.0.1', 'high'],
    ['db1', 'high'],
    ['localhost.evil', 'high'],
    ['127.evil', 'high'],
  ])('%s is of %s risk', (host, risk) => {
    const { risk: found, accesses } = forwardOperation('fleet/web1/deploy', host, 22)
    expect(found).toBe(risk)
    expect(accesses).toMatchObject([
      { action: 'forward', resource: expect.stringMatching(/^fleet\/web1\/deploy\/forward\/\S+:22$/) },
    ])
  })
})
