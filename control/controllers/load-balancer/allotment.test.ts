import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Service, ServiceSpec } from '#api/types/core-v1.gen.ts'
import { allot } from './allotment.ts'
import { addressesOf, parseRanges } from './ranges.ts'

type Options = { has?: string[]; annotations?: Record<string, string> }

const service = (name: string, spec: Partial<ServiceSpec> = {}, { has = [], annotations }: Options = {}): Service =>
  ({
    metadata: { name, namespace: 'default', ...(annotations && { annotations }) },
    spec: { type: 'LoadBalancer', ipFamilies: ['IPv4'], ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: { ingress: has.map((ip) => ({ ip })) } },
  }) as unknown as Service

const outcome = (ranges: string, services: Service[], barred: string[] = []) =>
  [...allot(services, parseRanges(ranges).ranges, new Set(barred))].map(
    ([{ metadata }, { addresses, problem }]) => `${metadata.name}: ${problem ?? addresses.join(' ')}`,
  )

test('ranges are read as people write them; what makes no sense is told of', () => {
  const { ranges, problems } = parseRanges('192.0.2.8-192.0.2.9, 192.0.2.17/31\n2001:DB8:0::ffff-2001:db8::1:0 10.0.0.1')
  assert.deepEqual(problems, [])
  assert.deepEqual([...addressesOf(ranges, 'IPv4')], ['192.0.2.8', '192.0.2.9', '192.0.2.16', '192.0.2.17', '10.0.0.1'])
  assert.deepEqual([...addressesOf(ranges, 'IPv6')], ['2001:db8::ffff', '2001:db8::1:0'])
  const [huge] = addressesOf(parseRanges('fd00::/8').ranges, 'IPv6')
  assert.equal(huge, 'fd00::')
  assert.deepEqual(parseRanges('').ranges, [])
  assert.deepEqual(parseRanges('all 10.0.0.9-10.0.0.1 10.0.0.1-fd00::1 10.0.0.0/33 10.0.0.300 1-2-3 /8 fe80::1%eth0').problems, [
    'all is no address, range or network',
    '10.0.0.9-10.0.0.1 ends before it begins',
    '10.0.0.1-fd00::1 begins in one family and ends in another',
    '10.0.0.0/33 is no network',
    '10.0.0.300 is no address, range or network',
    '1-2-3 is no address, range or network',
    '/8 is no network',
    'fe80::1%eth0 is no address, range or network',
  ])
})

test('each service gets the first free address and keeps what it has', () => {
  assert.deepEqual(outcome('10.0.0.1-10.0.0.4', [service('a'), service('b', {}, { has: ['10.0.0.1'] }), service('c')], ['10.0.0.3']), [
    'a: 10.0.0.2',
    'b: 10.0.0.1',
    'c: 10.0.0.4',
  ])
  assert.deepEqual(outcome('10.0.0.1', [service('a'), service('b')]), ['a: 10.0.0.1', 'b: no IPv4 address is left in the ranges'])
  // Out of the ranges, or no longer of a family of the service: given back.
  assert.deepEqual(outcome('10.0.0.1', [service('a', {}, { has: ['10.9.9.9', 'fd00::1'] })]), ['a: 10.0.0.1'])
  assert.deepEqual(outcome('', [service('a', {}, { has: ['10.0.0.1'] })]), ['a: no range has IPv4 addresses'])
})

test('an address may be asked for', () => {
  const ask = (ips: string) => ({ annotations: { 'coracle/load-balancer-ips': ips } })
  assert.deepEqual(
    outcome(
      '10.0.0.0/29 fd00::/120',
      [
        service('old', { loadBalancerIP: '10.0.0.5' }),
        service('dual', { ipFamilies: ['IPv6', 'IPv4'] }, ask('10.0.0.6, FD00:0::6')),
        service('moved', { loadBalancerIP: '10.0.0.7' }, { has: ['10.0.0.1'] }),
        service('first', {}, { annotations: { 'metallb.io/loadBalancerIPs': '10.0.0.1' } }),
        service('late', { loadBalancerIP: '10.0.0.5' }),
        service('outside', { loadBalancerIP: '10.0.1.1' }),
        service('node', { loadBalancerIP: '10.0.0.2' }),
        service('odd', {}, ask('10.0.0.4, anything')),
      ],
      ['10.0.0.2'],
    ),
    [
      'old: 10.0.0.5',
      'dual: fd00::6 10.0.0.6',
      'moved: 10.0.0.7',
      'first: 10.0.0.1',
      'late: 10.0.0.5 was asked for and belongs to service default/old',
      'outside: 10.0.1.1 was asked for and is in no range',
      'node: 10.0.0.2 was asked for and is the address of a node',
      'odd: anything was asked for and is no address',
    ],
  )
  // Who has it keeps it, though another that is older asks for it now.
  assert.deepEqual(
    outcome('10.0.0.1-10.0.0.2', [service('old', { loadBalancerIP: '10.0.0.1' }), service('new', {}, { has: ['10.0.0.1'] })]),
    ['old: 10.0.0.1 was asked for and belongs to service default/new', 'new: 10.0.0.1'],
  )
})

test('families: one that has no range fails a service only if it cannot do without', () => {
  const families: ServiceSpec['ipFamilies'] = ['IPv4', 'IPv6']
  assert.deepEqual(
    outcome('10.0.0.0/30', [
      service('prefers', { ipFamilies: families, ipFamilyPolicy: 'PreferDualStack' }),
      service('requires', { ipFamilies: families, ipFamilyPolicy: 'RequireDualStack' }),
      service('six', { ipFamilies: ['IPv6'], ipFamilyPolicy: 'PreferDualStack' }),
    ]),
    ['prefers: 10.0.0.0', 'requires: no range has IPv6 addresses', 'six: no range has IPv6 addresses'],
  )
})

test('services that say so share an address, each with ports of its own', () => {
  const shared = (name: string, port: number, spec: Partial<ServiceSpec> = {}, key = 'k') =>
    service(name, { ports: [{ port }], ...spec }, { annotations: { 'coracle/share-address': key } })
  const local: Partial<ServiceSpec> = { externalTrafficPolicy: 'Local', selector: { app: 'a' } }
  assert.deepEqual(
    outcome('10.0.0.1-10.0.0.9', [
      shared('a', 80),
      shared('b', 443),
      shared('udp', 80, { ports: [{ port: 80, protocol: 'UDP' }] }),
      shared('same-port', 80),
      shared('other-key', 81, {}, 'other'),
      service('alone'),
      shared('local', 82, local),
      shared('local-too', 83, local),
      shared('local-others', 84, { ...local, selector: { app: 'b' } }),
      shared('asks', 85, { loadBalancerIP: '10.0.0.1' }),
      shared('asks-too-much', 80, { loadBalancerIP: '10.0.0.1' }),
    ]),
    [
      'a: 10.0.0.1',
      'b: 10.0.0.1',
      'udp: 10.0.0.1',
      'same-port: 10.0.0.2',
      'other-key: 10.0.0.3',
      'alone: 10.0.0.4',
      'local: 10.0.0.5',
      'local-too: 10.0.0.5',
      'local-others: 10.0.0.6',
      'asks: 10.0.0.1',
      'asks-too-much: 10.0.0.1 was asked for and belongs to service default/a',
    ],
  )
})
