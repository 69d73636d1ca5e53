import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Json, type Trial, trial } from './trial.fake.ts'

const services = '/api/v1/namespaces/test/services'
const service = (name: string, spec: Json = {}) => ({
  metadata: { name },
  spec: { ports: [{ port: 80 }], selector: { app: name }, ...spec },
})
const merge = { headers: { 'content-type': 'application/merge-patch+json' } }

describe('service addresses', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())
  const make = (name: string, spec?: Json) => server.ask('POST', services, service(name, spec))

  it('are unique, however many ask at once', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => make(`many-${i}`, { type: 'NodePort' })))
    const addresses = answers.map((a) => a.body.spec.clusterIP)
    assert.equal(new Set(addresses).size, 200)
    assert.ok(addresses.every((a) => /^10\.43\.\d+\.\d+$/.test(a)))
    const ports = answers.map((a) => a.body.spec.ports[0].nodePort)
    assert.equal(new Set(ports).size, 200)
    assert.ok(ports.every((p) => p >= 30_000 && p <= 32_767))
    assert.deepEqual(answers[0]?.body.spec.ipFamilies, ['IPv4'])
    await server.ask('DELETE', services)
  })

  it('and a health check port where load balancers have to ask', async () => {
    const balanced = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' }
    const { body } = await make('checked', balanced)
    const port = body.spec.healthCheckNodePort
    assert.ok(port >= 30_000 && port <= 32_767 && port !== body.spec.ports[0].nodePort)
    assert.equal((await make('same', { ...balanced, healthCheckNodePort: port })).code, 422)
    assert.equal((await make('same-2', { type: 'NodePort', ports: [{ port: 80, nodePort: port }] })).code, 422)
    const replaced = await server.ask('PUT', `${services}/checked`, { ...service('checked', balanced), metadata: { name: 'checked' } })
    assert.equal(replaced.body.spec.healthCheckNodePort, port)
    const patch = { spec: { externalTrafficPolicy: 'Cluster' } }
    const without = await server.ask('PATCH', `${services}/checked`, patch, merge)
    assert.equal(without.body.spec.healthCheckNodePort, undefined)
    assert.equal((await make('same', { type: 'NodePort', ports: [{ port: 80, nodePort: port }] })).code, 201)
    await server.ask('DELETE', services)
  })

  it('are given when asked for, once', async () => {
    const first = await make('asked', { clusterIP: '10.43.7.7' })
    assert.deepEqual([first.body.spec.clusterIP, first.body.spec.clusterIPs], ['10.43.7.7', ['10.43.7.7']])
    const taken = await make('taken', { clusterIP: '10.43.7.7' })
    assert.equal(taken.code, 422)
    assert.match(taken.body.message, /failed to allocate IP 10.43.7.7: provided IP is already allocated/)
    const outside = await make('outside', { clusterIP: '192.0.2.7' })
    assert.match(outside.body.message, /the range of valid IPs is 10.43.0.0\/16/)
    assert.equal((await make('odd', { clusterIP: 'x' })).code, 422)
    await server.ask('DELETE', `${services}/asked`)
    assert.equal((await make('taken', { clusterIP: '10.43.7.7' })).code, 201, 'free again')
    await server.ask('DELETE', services)
  })

  it('are given back when nothing comes of it', async () => {
    const spec = { clusterIP: '10.43.8.8', type: 'NodePort', ports: [{ port: 80, nodePort: 31_000 }] }
    assert.equal((await make('Invalid_Name', spec)).code, 422)
    assert.equal((await server.ask('POST', `${services}?dryRun=All`, service('dry', spec))).code, 201)
    assert.equal((await make('real', spec)).code, 201)
    const other = { ...spec, clusterIP: undefined }
    const { code, body } = await make('second', other)
    assert.equal(code, 422)
    assert.match(body.message, /spec.ports\[0\].nodePort: Invalid value: 31000: provided port is already allocated/)
    await server.ask('DELETE', services)
  })

  it('stay through updates and go with the type', async () => {
    const { body: made } = await make('kept', { type: 'NodePort' })
    const replaced = await server.ask('PUT', `${services}/kept`, service('kept', { type: 'NodePort' }))
    assert.equal(replaced.body.spec.clusterIP, made.spec.clusterIP)
    assert.equal(replaced.body.spec.ports[0].nodePort, made.spec.ports[0].nodePort)
    const changed = await server.ask('PATCH', `${services}/kept`, { spec: { clusterIP: '10.43.9.9', clusterIPs: ['10.43.9.9'] } }, merge)
    assert.match(changed.body.message, /spec.clusterIPs\[0\]: Invalid value: \["10.43.9.9"\]: may not change once set/)
    const plain = await server.ask('PATCH', `${services}/kept`, { spec: { type: 'ClusterIP' } }, merge)
    assert.deepEqual([plain.code, plain.body.spec.ports[0].nodePort, plain.body.spec.externalTrafficPolicy], [200, undefined, undefined])
    const name = await server.ask('PATCH', `${services}/kept`, { spec: { type: 'ExternalName', externalName: 'example.com' } }, merge)
    assert.deepEqual([name.code, name.body.spec.clusterIP], [200, undefined])
    assert.equal((await make('heir', { clusterIP: made.spec.clusterIP })).code, 201, 'its address is free')
    await server.ask('DELETE', services)
  })

  it('are none for headless services', async () => {
    const { body } = await make('headless', { clusterIP: 'None' })
    assert.deepEqual([body.spec.clusterIP, body.spec.clusterIPs], ['None', ['None']])
  })

  it('are known again after a restart', async () => {
    await make('before', { clusterIP: '10.43.5.5' })
    const restarted = await trial({ store: server.store })
    const taken = await restarted.ask('POST', services, service('after', { clusterIP: '10.43.5.5' }))
    assert.equal(taken.code, 422)
    const dns = await restarted.ask('POST', services, service('dns', { clusterIP: '10.43.0.10' }))
    assert.equal(dns.code, 422)
    await restarted.close()
  })
})
