import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contains, gatewayOf, parseCidr } from './cidr.ts'
import { AddressPool } from './pool.ts'

const cidr = parseCidr('10.42.1.0/29')!

test('a range is read strictly and canonically', () => {
  assert.deepEqual(parseCidr('10.42.1.77/24'), { text: '10.42.1.0/24', first: 0x0a2a0100, last: 0x0a2a01ff, prefix: 24 })
  assert.equal(parseCidr('255.0.0.0/0')?.text, '0.0.0.0/0')
  for (const text of ['', '10.42.1.0', '10.42.1.0/33', '10.42.1/24', '10.42.256.0/24', 'fd00::/64', '10.42.1.0/x'])
    assert.equal(parseCidr(text), undefined)
  assert.equal(gatewayOf(cidr), '10.42.1.1')
  assert.deepEqual([contains(cidr, '10.42.1.7'), contains(cidr, '10.42.1.8'), contains(cidr, 'x')], [true, false, false])
})

test('the network’s, the gateway’s and the broadcast address are never given out; when all are, it says so', () => {
  const pool = new AddressPool(cidr)
  const given = Array.from({ length: 5 }, () => pool.allocate())
  assert.deepEqual(given, ['10.42.1.2', '10.42.1.3', '10.42.1.4', '10.42.1.5', '10.42.1.6'])
  assert.throws(() => pool.allocate(), { code: 'EADDRNOTAVAIL' })
})

test('an address given back is the last to be given out again', () => {
  const pool = new AddressPool(cidr)
  pool.release(pool.allocate())
  assert.equal(pool.allocate(), '10.42.1.3')
  for (const expected of ['10.42.1.4', '10.42.1.5', '10.42.1.6', '10.42.1.2']) assert.equal(pool.allocate(), expected)
  pool.release('10.42.1.5')
  pool.release('10.42.1.3')
  assert.deepEqual([pool.allocate(), pool.allocate()], ['10.42.1.5', '10.42.1.3'])
})

test('an address that was found in use is not given out, and only once found', () => {
  const pool = new AddressPool(cidr)
  assert.deepEqual([pool.reserve('10.42.1.2'), pool.reserve('10.42.1.2'), pool.reserve('10.42.2.2')], [true, false, false])
  assert.equal(pool.allocate(), '10.42.1.3')
  pool.release('10.42.7.7')
  assert.deepEqual(
    [1, 2, 3].map(() => pool.allocate()),
    ['10.42.1.4', '10.42.1.5', '10.42.1.6'],
  )
})
