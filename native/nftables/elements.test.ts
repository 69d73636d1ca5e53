import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DatatypeName, formatValue, type Value, writeValue } from './datatype.ts'
import { Elements } from './elements.ts'
import { describe } from './expression.ts'
import * as s from './statement.ts'

const roundTrip = (type: DatatypeName, value: Value): string => {
  const words = new Uint32Array(4)
  writeValue(type, value, words, 0)
  return formatValue(type, words, 0)
}

test('values are written and printed as nft does', () => {
  assert.equal(roundTrip('ipv4_addr', '10.43.0.255'), '10.43.0.255')
  assert.equal(roundTrip('ipv4_addr', 0x0a2b0001), '10.43.0.1')
  assert.equal(roundTrip('ipv6_addr', 'FD00:0:0:1::10.0.0.1'), 'fd00::1:0:0:a00:1')
  assert.equal(roundTrip('inet_proto', 'udp'), 'udp')
  assert.equal(roundTrip('inet_proto', 253), '253')
  assert.equal(roundTrip('inet_service', '30080'), '30080')
  assert.equal(roundTrip('mark', 0x4000), '0x00004000')
  assert.equal(roundTrip('ifname', 'coracle0'), '"coracle0"')
})

test('what a type has no place for is refused', () => {
  const bad: [DatatypeName, Value][] = [
    ['ipv4_addr', '10.43.0'],
    ['ipv4_addr', '10.43.0.256'],
    ['ipv4_addr', '10.43.0.1.2'],
    ['ipv4_addr', '10..0.1'],
    ['ipv4_addr', 'fd00::1'],
    ['ipv6_addr', 'fd00::1::2'],
    ['ipv6_addr', '10.0.0.1'],
    ['inet_proto', 'nothing'],
    ['inet_service', 65_536],
    ['inet_service', -1],
    ['mark', 2 ** 32],
    ['ifname', 'sixteen-letters-'],
  ]
  for (const [type, value] of bad) assert.throws(() => roundTrip(type, value), `${type} ${value}`)
  assert.throws(() => new Elements({ name: 'x', key: ['inet_service'], data: 'verdict' }).add([80]), TypeError)
  assert.throws(() => new Elements({ name: 'x', key: ['inet_service'] }).add([80, 81]), TypeError)
})

test('intervals of prefixes and ranges', () => {
  const spec = { name: 'x', key: ['ipv4_addr'], flags: ['interval'] } as const
  const elements = new Elements(spec).add(['10.1.2.3/8']).add(['0.0.0.0/0']).add(['1.1.1.1']).add(['1.1.1.1-1.1.1.4'])
  assert.deepEqual(
    Array.from({ length: 4 }, (_, row) => elements.text(row)),
    ['10.0.0.0/8', '0.0.0.0/0', '1.1.1.1', '1.1.1.1-1.1.1.4'],
  )
})

// As `nft --debug=netlink` prints the same rules.
test('statements are the expressions that nft makes of them', () => {
  const of = (...statements: ReturnType<typeof s.match>[]) => s.rule(...statements).expressions.map(describe)
  assert.deepEqual(of(s.match('ip6 saddr', 'fd00::/56')), [
    'payload load 7b @ network header + 8 => reg 1',
    'cmp eq reg 1 0x000000fd 0x00000000',
  ])
  assert.deepEqual(of(s.match('ip6 saddr', '!=', 'fd00::/60')), [
    'payload load 16b @ network header + 8 => reg 1',
    'bitwise reg 1 = ( reg 1 & 0xffffffff 0xf0ffffff 0x00000000 0x00000000 ) ^ 0x00000000 0x00000000 0x00000000 0x00000000',
    'cmp neq reg 1 0x000000fd 0x00000000 0x00000000 0x00000000',
  ])
  assert.deepEqual(of(s.dnat('ip6', s.lookup(['ip6 daddr', 'meta l4proto', 'th dport', 'numgen random mod 1'], 'backends'))), [
    'payload load 16b @ network header + 24 => reg 1',
    'meta load l4proto => reg 2',
    'payload load 2b @ transport header + 2 => reg 13',
    'numgen reg 14 = random mod 1',
    'lookup reg 1 set backends dreg 1',
    'nat dnat ip6 addr_min reg 1 proto_min reg 2',
  ])
  assert.deepEqual(of(s.match('ct state', 'new,established'), s.update('seen', ['ip daddr', 'th dport'], 3_600_000)), [
    'ct load state => reg 1',
    'bitwise reg 1 = ( reg 1 & 0x0000000a ) ^ 0x00000000',
    'cmp neq reg 1 0x00000000',
    'payload load 4b @ network header + 16 => reg 1',
    'payload load 2b @ transport header + 2 => reg 9',
    'dynset update reg_key 1 set seen timeout 3600000ms',
  ])
  assert.deepEqual(of(s.match('ct direction', 'reply'), s.goto('replies')), [
    'ct load direction => reg 1',
    'cmp eq reg 1 0x00000001',
    'immediate reg 0 goto -> replies',
  ])
  assert.throws(() => s.match('ct state', 'newish'), TypeError)
  assert.throws(() => s.match('ct direction', 'sideways'), TypeError)
  assert.throws(() => s.match('ip saddr', '10.0.0.0/33'), TypeError)
})
