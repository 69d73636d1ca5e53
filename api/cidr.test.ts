import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressAt, contains, formatAddress, overlaps, parseAddress, parseCidr, parseCidrs } from './cidr.ts'

const canonical = (text: string) => {
  const address = parseAddress(text)
  return address && formatAddress(address)
}

test('every address has one text', () => {
  for (const [text, expected] of [
    ['10.42.1.77', '10.42.1.77'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
    ['2001:db8:0:1:0:0:0:0', '2001:db8:0:1::'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:10:0:0:0:0:0:2', '1:10::2'],
    ['0:0:1:0:0:0:0:10', '0:0:1::10'],
    ['::ffff:10.1.2.3', '::ffff:a01:203'],
  ] as const)
    assert.equal(canonical(text), expected, text)
  for (const text of ['', '10.42.1', '10.42.256.0', '010.1.1.1', 'fe80::1%eth0', ':::', '1:2:3:4:5:6:7:8:9', 'x'])
    assert.equal(parseAddress(text), undefined)
})

test('a range is read strictly and canonically', () => {
  assert.deepEqual(parseCidr('10.42.1.77/24'), { family: 'IPv4', text: '10.42.1.0/24', first: 0x0a2a0100n, last: 0x0a2a01ffn, prefix: 24 })
  assert.equal(parseCidr('255.0.0.0/0')?.text, '0.0.0.0/0')
  assert.equal(parseCidr('fd42:0:0:7:8::9/64')?.text, 'fd42:0:0:7::/64')
  assert.equal(parseCidr('::1/128')?.last, 1n)
  for (const text of ['', '10.42.1.0', '10.42.1.0/33', '10.42.1/24', 'fd00::/129', '10.42.1.0/x', '10.0.0.0/08', '10.0.0.0/8/8'])
    assert.equal(parseCidr(text), undefined, text)
})

test('what lies in a range, and which ranges meet', () => {
  const [four, six] = [parseCidr('10.42.1.0/29')!, parseCidr('fd42::/64')!]
  assert.deepEqual(
    [contains(four, '10.42.1.7'), contains(four, '10.42.1.8'), contains(four, 'x'), contains(four, '::a2a:107')],
    [true, false, false, false],
  )
  assert.deepEqual([contains(six, 'fd42::ffff:ffff:ffff:ffff'), contains(six, 'fd42:0:0:1::')], [true, false])
  assert.deepEqual(
    [overlaps(four, parseCidr('10.42.0.0/16')!), overlaps(four, parseCidr('10.42.1.8/29')!), overlaps(parseCidr('0.0.0.0/0')!, six)],
    [true, false, false],
  )
  assert.deepEqual([addressAt(four, 1), addressAt(six, 1n << 63n)], ['10.42.1.1', 'fd42::8000:0:0:0'])
})

test('one range, or one of each family', () => {
  const texts = (list: string) => parseCidrs(list)?.map(({ text }) => text)
  assert.deepEqual(texts('10.42.0.0/16'), ['10.42.0.0/16'])
  assert.deepEqual(texts('fd42::/56, 10.42.0.0/16'), ['fd42::/56', '10.42.0.0/16'])
  for (const list of ['', '10.42.0.0/16,', '10.42.0.0/16,10.43.0.0/16', 'fd42::/56,fd43::/56', 'x,10.42.0.0/16'])
    assert.equal(texts(list), undefined, list)
})
