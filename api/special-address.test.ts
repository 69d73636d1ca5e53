import assert from 'node:assert/strict'
import { test } from 'node:test'
import { specialAddress } from './special-address.ts'

test('addresses that mean another machine everywhere are told, in every spelling', () => {
  const words: [string, string[]][] = [
    ['may not be unspecified', ['0.0.0.0', '::', '0:0::0', '::0.0.0.0', '::ffff:0.0.0.0', '0.0.0.1']],
    [
      'may not be in the loopback range',
      ['127.0.0.1', '127.255.0.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::FFFF:7f00:1', '::127.0.0.1'],
    ],
    ['may not be in the link-local range', ['169.254.169.254', 'fe80::1', 'febf::', 'FE80::1', '::ffff:169.254.0.1']],
    ['may not be in the link-local multicast range', ['224.0.0.1', 'ff02::1']],
    ['may not be a multicast address', ['224.0.1.1', '239.255.255.250', 'ff05::2']],
  ]
  for (const [why, all] of words)
    for (const each of all) assert.ok(specialAddress(each)?.startsWith(why), `${each}: ${specialAddress(each)}`)
  for (const each of ['10.0.0.1', '169.253.0.1', '192.0.2.1', '223.255.255.255', '240.0.0.1', '2001:db8::1', 'fd00::1', 'fec0::1', 'a'])
    assert.equal(specialAddress(each), undefined, each)
})
