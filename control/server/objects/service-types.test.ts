// A service that changes its type: every pair of types, by every way to write it.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Answer, type Json, trial } from '../testing/trial.fake.ts'

const path = '/api/v1/namespaces/test/services'
const types = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const
type Type = (typeof types)[number]

/** As a client writes it, with all that its type can have and the server does not allot. */
const manifest = (name: string, type: Type): Json => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: {
    type,
    selector: { app: name },
    ports: [
      { name: 'web', port: 80, protocol: 'TCP' },
      { name: 'tls', port: 443, protocol: 'TCP' },
    ],
    ...(type === 'ExternalName' && { externalName: 'example.com' }),
    ...(type === 'LoadBalancer' && { externalTrafficPolicy: 'Local', loadBalancerClass: 'example.com/lb' }),
  },
})

const typeAlone = (type: Type) => ({ spec: { type, ...(type === 'ExternalName' && { externalName: 'example.com' }) } })

/** What each type has, whichever it was before. */
function check(spec: Json, type: Type, was: Json): void {
  const outside = type === 'NodePort' || type === 'LoadBalancer'
  const has = {
    clusterIP: type !== 'ExternalName',
    clusterIPs: type !== 'ExternalName',
    ipFamilies: type !== 'ExternalName',
    ipFamilyPolicy: type !== 'ExternalName',
    externalTrafficPolicy: outside,
    allocateLoadBalancerNodePorts: type === 'LoadBalancer',
    healthCheckNodePort: type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local',
  }
  assert.equal(spec.type, type)
  for (const [field, expected] of Object.entries(has)) assert.equal(spec[field] !== undefined, expected, field)
  if (type !== 'LoadBalancer') assert.equal(spec.loadBalancerClass, undefined)
  const ports = (of: Json): unknown[] => of.ports.map((port: Json) => port.nodePort)
  assert.ok(ports(spec).every((port) => (port !== undefined) === outside))
  if (has.clusterIP && was.clusterIP) assert.deepEqual(spec.clusterIPs, was.clusterIPs)
  if (outside && was.ports[0].nodePort) assert.deepEqual(ports(spec), ports(was))
}

describe('a service that changes its type', () => {
  type Ask = (method: string, path: string, sent?: { body: Json; headers?: Record<string, string> }) => Promise<Answer>
  let server: { ask: Ask; close(): Promise<void> }
  before(async () => {
    const made = await trial()
    const ask: Ask = (method, at, { body, headers } = { body: undefined }) => made.ask(method, at, body, headers && { headers })
    server = { ask, close: () => made.close() }
  })
  after(() => server.close())

  const patch = (kind: string) => async (name: string, type: Type) =>
    await server.ask('PATCH', `${path}/${name}`, { body: typeAlone(type), headers: { 'content-type': `application/${kind}+json` } })
  const apply = async (name: string, type: Type) =>
    await server.ask('PATCH', `${path}/${name}?fieldManager=me`, {
      body: manifest(name, type),
      headers: { 'content-type': 'application/apply-patch+yaml' },
    })
  const writers: Record<string, (name: string, type: Type) => Promise<Answer>> = {
    merge: patch('merge-patch'),
    strategic: patch('strategic-merge-patch'),
    apply,
    replace: (name, type) => server.ask('PUT', `${path}/${name}`, { body: manifest(name, type) }),
    async 'read-and-replace'(name, type) {
      const { body } = await server.ask('GET', `${path}/${name}`)
      return await server.ask('PUT', `${path}/${name}`, { body: { ...body, spec: { ...body.spec, ...typeAlone(type).spec } } })
    },
  }

  for (const [way, write] of Object.entries(writers)) {
    it(`sheds what its new type cannot have and keeps what it can: ${way}`, async () => {
      for (const from of types) {
        for (const to of types) {
          // No class may be left out where it was given, unless the type changes.
          if (from === to && from === 'LoadBalancer' && way !== 'apply') continue
          const name = `${way}-${from}-${to}`.toLowerCase()
          const made = way === 'apply' ? await apply(name, from) : await server.ask('POST', path, { body: manifest(name, from) })
          assert.equal(made.code, 201, made.text)
          check(made.body.spec, from, made.body.spec)
          const { code, body, text } = await write(name, to)
          assert.equal(code, 200, `${name}: ${text}`)
          check(body.spec, to, made.body.spec)
          const again = await write(name, to)
          assert.deepEqual([again.code, again.body.spec], [200, body.spec], `${name}: again`)
          await server.ask('DELETE', `${path}/${name}`)
        }
      }
    })
  }

  it('gives back what it sheds', async () => {
    const made = await server.ask('POST', path, { body: manifest('giver', 'LoadBalancer') })
    const { clusterIP, healthCheckNodePort, ports } = made.body.spec
    await writers.merge!('giver', 'ExternalName')
    const heir = manifest('heir', 'NodePort')
    heir.spec = { ...heir.spec, clusterIP, ports: [{ port: 80, nodePort: healthCheckNodePort }] }
    assert.equal((await server.ask('POST', path, { body: heir })).code, 201)
    const other = manifest('other', 'NodePort')
    other.spec.ports = ports
    assert.equal((await server.ask('POST', path, { body: other })).code, 201)
    for (const name of ['giver', 'heir', 'other']) await server.ask('DELETE', `${path}/${name}`)
  })

  it('keeps a node port with the port of that name, unless it is asked for elsewhere', async () => {
    const { body: made } = await server.ask('POST', path, { body: manifest('kept', 'NodePort') })
    const [web, tls] = made.spec.ports.map((port: Json) => port.nodePort)
    const renumbered = manifest('kept', 'LoadBalancer')
    renumbered.spec.ports = [
      { name: 'web', port: 8080 },
      { name: 'other', port: 81, nodePort: tls },
      { name: 'tls', port: 443 },
    ]
    const { body } = await server.ask('PUT', `${path}/kept`, { body: renumbered })
    const [kept, asked, fresh] = body.spec.ports.map((port: Json) => port.nodePort)
    assert.deepEqual([kept, asked], [web, tls])
    assert.ok(fresh >= 30_000 && ![web, tls].includes(fresh))
    await server.ask('DELETE', `${path}/kept`)
  })

  it('is refused where it asks for what its new type cannot have', async () => {
    const refused: [Type, object, RegExp][] = [
      [
        'ClusterIP',
        { ports: [{ name: 'web', port: 80, nodePort: 30_111 }] },
        /spec\.ports\[0\]\.nodePort: Forbidden: may not be used when `type` is 'ClusterIP'/,
      ],
      ['NodePort', { healthCheckNodePort: 30_112 }, /spec\.healthCheckNodePort: Invalid value: 30112: may only be set when/],
      [
        'NodePort',
        { loadBalancerClass: 'example.com/x' },
        /spec\.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'/,
      ],
      ['ClusterIP', { allocateLoadBalancerNodePorts: false }, /spec\.allocateLoadBalancerNodePorts: Forbidden: may only be used/],
      [
        'ClusterIP',
        { externalTrafficPolicy: 'Cluster' },
        /spec\.externalTrafficPolicy: Invalid value: "Cluster": may only be set for externally-accessible/,
      ],
      ['ExternalName', { clusterIP: '10.43.77.77' }, /spec\.clusterIPs: Forbidden: may not be set for ExternalName services/],
      [
        'LoadBalancer',
        { loadBalancerClass: 'example.com/x' },
        /spec\.loadBalancerClass: Invalid value: "example\.com\/x": may not change once set/,
      ],
    ]
    await server.ask('POST', path, { body: manifest('strict', 'LoadBalancer') })
    for (const [type, more, why] of refused) {
      const body = { spec: { ...typeAlone(type).spec, ...more } }
      const answer = await server.ask('PATCH', `${path}/strict`, { body, headers: { 'content-type': 'application/merge-patch+json' } })
      assert.equal(answer.code, 422, JSON.stringify(body))
      assert.match(answer.body.message, why)
    }
    await server.ask('DELETE', `${path}/strict`)
  })

  it('may say how traffic from outside goes where only external addresses bring some', async () => {
    const spec = { ...manifest('external', 'ClusterIP').spec, externalIPs: ['192.0.2.9'], externalTrafficPolicy: 'Local' }
    const made = await server.ask('POST', path, { body: { metadata: { name: 'external' }, spec } })
    assert.deepEqual([made.code, made.body.spec.externalTrafficPolicy], [201, 'Local'])
    const body = { spec: { externalIPs: null } }
    const without = await server.ask('PATCH', `${path}/external`, { body, headers: { 'content-type': 'application/merge-patch+json' } })
    assert.deepEqual([without.code, without.body.spec.externalTrafficPolicy], [200, undefined])
  })
})
