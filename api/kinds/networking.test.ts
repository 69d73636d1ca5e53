import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { created, row, updated } from './check.fake.ts'
import { ingress } from './ingress.ts'
import { ingressClass } from './ingress-class.ts'
import { ipAddress } from './ip-address.ts'
import { networkPolicy } from './network-policy.ts'
import { isCidr, isStrictSubset } from './rules/forms.ts'
import { serviceCidr } from './service-cidr.ts'

const backend = { service: { name: 'web', port: { number: 80 } } }
const path = { path: '/', pathType: 'Prefix', backend }
const rules = (host: string, ...paths: object[]) => [{ host, http: { paths } }]

describe('ingresses', () => {
  it('rules', () => {
    const wrong = (spec: object, metadata = {}) => created(ingress, { metadata, spec }).wrong
    assert.deepEqual(wrong({ defaultBackend: backend }), [])
    assert.deepEqual(wrong({ rules: rules('*.example.com', path) }), [])
    assert.deepEqual(wrong({}), ['spec: Invalid value: []: either `defaultBackend` or `rules` must be specified'])
    assert.deepEqual(wrong({ rules: rules('example.com', { path: '/', backend }) }), [
      'spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified',
    ])
    assert.deepEqual(wrong({ rules: rules('example.com', { ...path, path: 'a//b' }) }), [
      'spec.rules[0].http.paths[0].path: Invalid value: "a//b": must be an absolute path',
      'spec.rules[0].http.paths[0].path: Invalid value: "a//b": must not contain \'//\'',
    ])
    assert.deepEqual(wrong({ rules: rules('10.0.0.1', path) }), [
      'spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
    ])
    assert.deepEqual(wrong({ defaultBackend: { service: { name: 'web', port: { name: 'http', number: 80 } } } }), [
      'spec.defaultBackend: Invalid value: "": cannot set both port name & port number',
    ])
    assert.deepEqual(wrong({ defaultBackend: {} }), ['spec.defaultBackend: Invalid value: "": resource or service backend is required'])
    assert.deepEqual(wrong({ defaultBackend: backend, ingressClassName: 'a' }, { annotations: { 'kubernetes.io/ingress.class': 'b' } }), [
      'annotations.kubernetes.io/ingress.class: Invalid value: "b": must match `ingressClassName` when both are specified',
    ])
    assert.match(
      wrong({ rules: rules('a.*.example.com', path) }).join(),
      /a wildcard DNS-1123 subdomain must start with '\*\.', followed by/,
    )
  })

  it('columns', () => {
    const hosts = ['a.io', 'b.io', 'c.io', 'd.io'].flatMap((host) => rules(host, path))
    const { object } = created(ingress, { spec: { ingressClassName: 'proxy', tls: [{ hosts: ['a.io'] }], rules: hosts } })
    const status = { loadBalancer: { ingress: [{ hostname: 'balancer.example.com' }] } }
    assert.equal(
      row(ingress, { ...object, status }),
      'NAME=one | CLASS=proxy | HOSTS=a.io,b.io,c.io + 1 more... | ADDRESS=balancer.exam... | PORTS=80, 443 | AGE=60s',
    )
    const { object: plain } = created(ingress, { spec: { defaultBackend: backend } })
    assert.equal(row(ingress, plain), 'NAME=one | CLASS=<none> | HOSTS=* | ADDRESS= | PORTS=80 | AGE=60s')
  })

  it('classes', () => {
    const parameters = { apiGroup: 'example.com', kind: 'Settings', name: 'main' }
    const { object, wrong } = created(ingressClass, { spec: { controller: 'example.com/proxy', parameters } })
    assert.deepEqual([object.spec.parameters?.scope, wrong], ['Cluster', []])
    assert.equal(row(ingressClass, object), 'NAME=one | CONTROLLER=example.com/proxy | PARAMETERS=Settings.example.com/main | AGE=60s')
    assert.deepEqual(created(ingressClass, { spec: { controller: 'proxy' } }).wrong, [
      'spec.controller: Invalid value: "proxy": must be a domain-prefixed path (such as "acme.io/foo")',
    ])
    assert.deepEqual(
      updated(ingressClass, object, (c) => void (c.spec.controller = 'example.com/other')),
      ['spec.controller: Invalid value: "example.com/other": field is immutable'],
    )
  })
})

describe('network policies', () => {
  const from = (...peers: object[]) => ({ spec: { podSelector: {}, ingress: [{ from: peers }] } })

  it('defaults', () => {
    const { object } = created(networkPolicy, { spec: { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] } })
    assert.deepEqual([object.spec.policyTypes, object.spec.ingress?.[0]?.ports], [['Ingress'], [{ protocol: 'TCP', port: 80 }]])
    assert.deepEqual(created(networkPolicy, { spec: { podSelector: {}, egress: [{}] } }).object.spec.policyTypes, ['Ingress', 'Egress'])
    assert.equal(row(networkPolicy, object), 'NAME=one | POD-SELECTOR=<none> | AGE=60s')
  })

  it('rules', () => {
    assert.deepEqual(created(networkPolicy, from({})).wrong, ['spec.ingress[0].from[0]: Required value: must specify a peer'])
    assert.deepEqual(created(networkPolicy, from({ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } })).wrong, [
      'spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer',
    ])
    assert.deepEqual(created(networkPolicy, from({ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16', '10.0.0.0/8'] } })).wrong, [
      'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
      'spec.ingress[0].from[0].ipBlock.except[1]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
    ])
    const ports = (port: object) => created(networkPolicy, { spec: { podSelector: {}, ingress: [{ ports: [port] }] } }).wrong
    assert.deepEqual(ports({ port: 'web', endPort: 90 }), [
      'spec.ingress[0].ports[0].endPort: Invalid value: 90: may not be specified when `port` is non-numeric',
    ])
    assert.deepEqual(ports({ port: 80, endPort: 70 }), [
      'spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`',
    ])
  })
})

describe('addresses', () => {
  it('of one family or the other', () => {
    for (const good of ['10.0.0.0/8', '2001:db8::/64', '0.0.0.0/0', '::/0', '::ffff:1.2.3.4/128']) assert.deepEqual(isCidr(good), [], good)
    for (const bad of ['10.0.0.0', '10.0.0/8', '10.0.0.0/33', '10.0.0.0/08', '::/129', 'x/8', '10.0.0.0/8/8'])
      assert.equal(isCidr(bad).length, 1, bad)
    assert.ok(isStrictSubset('2001:db8:1::/48', '2001:db8::/32'))
    assert.equal(isStrictSubset('2001:db9::/48', '2001:db8::/32'), false)
    assert.equal(isStrictSubset('10.0.0.0/16', '2001:db8::/8'), false)
  })

  it('kinds', () => {
    const parentRef = { resource: 'services', namespace: 'default', name: 'web' }
    const { object, wrong } = created(ipAddress, { metadata: { name: '10.43.0.7' }, spec: { parentRef } })
    assert.deepEqual(wrong, [])
    assert.equal(row(ipAddress, object), 'NAME=10.43.0.7 | PARENTREF=services/default/web')
    assert.match(
      created(ipAddress, { spec: {} }).wrong.join(),
      /metadata.name: Invalid value: "one": must be a valid IP.*spec.parentRef: Required value/,
    )
    const { object: range } = created(serviceCidr, { spec: { cidrs: ['10.44.0.0/24'] } })
    assert.equal(row(serviceCidr, range), 'NAME=one | CIDRS=10.44.0.0/24 | AGE=60s')
    assert.deepEqual(created(serviceCidr, { spec: { cidrs: ['10.44.0.0/24', '10.45.0.0/24'] } }).wrong, [
      'spec.cidrs: Invalid value: ["10.44.0.0/24","10.45.0.0/24"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
    ])
    assert.deepEqual(
      updated(serviceCidr, range, (c) => void (c.spec.cidrs = ['10.45.0.0/24'])),
      ['spec.cidrs[0]: Invalid value: "10.45.0.0/24": field is immutable once set'],
    )
  })
})
