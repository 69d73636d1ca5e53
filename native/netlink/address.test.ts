import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressBytes, addressText, macBytes, macText } from './address.ts'

test('addresses survive the way to bytes and back in canonical form', () => {
  const canonical = {
    '10.42.1.0': '10.42.1.0',
    '::': '::',
    '::1': '::1',
    '2001:DB8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '1:2:3:4:5:6:7:8': '1:2:3:4:5:6:7:8',
    '1:0:3:4:5:6:7:8': '1:0:3:4:5:6:7:8',
    'fe80::': 'fe80::',
    '::ffff:10.1.2.3': '::ffff:a01:203',
  }
  for (const [text, expected] of Object.entries(canonical)) assert.equal(addressText(addressBytes(text)), expected)
  assert.equal(macText(macBytes('0A:58:0a:2a:01:05')), '0a:58:0a:2a:01:05')
})

test('what is no address is EINVAL', () => {
  for (const text of ['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', ':::', 'name'])
    assert.throws(() => addressBytes(text), { code: 'EINVAL' })
  for (const text of ['', '0a:58:0a:2a:01', '0a:58:0a:2a:01:0g']) assert.throws(() => macBytes(text), { code: 'EINVAL' })
})
