import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Json, type Trial, trial } from '../testing/trial.fake.ts'

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
    assert.match(outside.body.message, /the provided IP \(192.0.2.7\) is not in the valid range. The range of valid IPs is 10.43.0.0\/16/)
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

describe('services of two families', () => {
  let server: Trial
  before(async () => {
    server = await trial({ serviceCIDR: '10.43.0.0/16,fd43::/112' })
  })
  after(() => server.close())
  const make = (name: string, spec?: Json) => server.ask('POST', services, service(name, spec))
  const patch = (name: string, spec: Json) => server.ask('PATCH', `${services}/${name}`, { spec }, merge)
  const shape = ({ body }: { body: Json }) => {
    const { ipFamilyPolicy, ipFamilies, clusterIP, clusterIPs } = body.spec
    assert.equal(clusterIP, clusterIPs[0])
    for (const [i, ip] of clusterIPs.entries())
      if (ip !== 'None') assert.match(ip, ipFamilies[i] === 'IPv4' ? /^10\.43\./ : /^fd43::[\da-f]+$/)
    return `${ipFamilyPolicy} ${ipFamilies} ${clusterIP === 'None' ? 'None' : clusterIPs.length}`
  }
  const refused = async (answer: Promise<{ code: number; body: Json }>, message: RegExp) => {
    const { code, body } = await answer
    assert.equal(code, 422)
    assert.match(body.message, message)
  }

  it('have the families that their policy and their addresses say', async () => {
    for (const [name, spec, expected] of [
      ['plain', {}, 'SingleStack IPv4 1'],
      ['six', { ipFamilies: ['IPv6'] }, 'SingleStack IPv6 1'],
      ['prefer', { ipFamilyPolicy: 'PreferDualStack' }, 'PreferDualStack IPv4,IPv6 2'],
      ['require', { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6'] }, 'RequireDualStack IPv6,IPv4 2'],
      ['both', { ipFamilies: ['IPv6', 'IPv4'] }, 'RequireDualStack IPv6,IPv4 2'],
      ['asked', { clusterIP: 'fd43::77' }, 'SingleStack IPv6 1'],
      ['asked-2', { clusterIP: 'fd43::78', clusterIPs: ['fd43::78', '10.43.0.78'] }, 'RequireDualStack IPv6,IPv4 2'],
      ['asked-1', { clusterIP: '10.43.0.79', ipFamilyPolicy: 'PreferDualStack' }, 'PreferDualStack IPv4,IPv6 2'],
      ['headless', { clusterIP: 'None' }, 'SingleStack IPv4 None'],
      ['headless-2', { clusterIP: 'None', ipFamilyPolicy: 'PreferDualStack' }, 'PreferDualStack IPv4,IPv6 None'],
      ['headless-own', { clusterIP: 'None', selector: {} }, 'RequireDualStack IPv4,IPv6 None'],
    ] as const)
      assert.equal(shape(await make(name, spec)), expected, name)
    await server.ask('DELETE', services)
  })

  it('are refused where these do not fit', async () => {
    for (const [spec, message] of [
      [{ clusterIPs: ['10.43.0.7'] }, /spec.clusterIPs: .* must be empty when `clusterIP` is not specified/],
      [{ clusterIP: '10.43.0.7', clusterIPs: ['10.43.0.8'] }, /first value must match `clusterIP`/],
      [{ clusterIP: '10.43.0.7', clusterIPs: ['10.43.0.7', '10.43.0.8'] }, /may specify no more than one IP for each IP family/],
      [{ clusterIP: 'None', clusterIPs: ['None', 'fd43::7'] }, /'None' must be the first and only value/],
      [{ clusterIP: '10.43.0.7', clusterIPs: ['10.43.0.7', 'x'] }, /spec.clusterIPs\[1\]: Invalid value: "x"/],
      [{ clusterIP: '10.43.0.7', ipFamilies: ['IPv6'] }, /expected an IPv6 value as indicated by `ipFamilies\[0\]`/],
      [{ ipFamilies: ['IPv5'] }, /spec.ipFamilies\[0\]: Unsupported value: "IPv5"/],
      [{ ipFamilies: ['IPv4', 'IPv4'] }, /spec.ipFamilies\[1\]: Duplicate value/],
      [{ ipFamilyPolicy: 'Any' }, /spec.ipFamilyPolicy: Unsupported value: "Any"/],
      [
        { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4', 'IPv6'] },
        /must be RequireDualStack or PreferDualStack when multiple 'ipFamilies'/,
      ],
      [{ clusterIP: 'fd44::7' }, /The range of valid IPs is fd43::\/112/],
      [
        { type: 'ExternalName', externalName: 'example.com', ipFamilies: ['IPv4'] },
        /spec.ipFamilies: Forbidden: may not be set for ExternalName/,
      ],
    ] as const)
      await refused(make('wrong', spec), message)
    // What failed on its second address gave the first one back.
    await make('holder', { clusterIP: 'fd43::55' })
    await refused(
      make('wrong', { clusterIP: '10.43.0.55', clusterIPs: ['10.43.0.55', 'fd43::55'] }),
      /fd43::55: provided IP is already allocated/,
    )
    assert.equal((await make('right', { clusterIP: '10.43.0.55' })).code, 201)
    await server.ask('DELETE', services)
  })

  it('become dual-stack and single-stack again, keeping their first address', async () => {
    const { body: made } = await make('svc')
    const dual = await patch('svc', { ipFamilyPolicy: 'PreferDualStack' })
    assert.equal(shape(dual), 'PreferDualStack IPv4,IPv6 2')
    assert.equal(dual.body.spec.clusterIP, made.spec.clusterIP)
    const [first, second] = dual.body.spec.clusterIPs
    const again = await server.ask('PUT', `${services}/svc`, service('svc'))
    assert.deepEqual(again.body.spec.clusterIPs, [first, second], 'who does not mention them keeps them')
    await refused(
      patch('svc', { clusterIPs: [first] }),
      /spec.ipFamilyPolicy: .* must be set to 'SingleStack' when releasing the secondary clusterIP/,
    )
    await refused(patch('svc', { clusterIPs: [first, 'fd43::99'] }), /spec.clusterIPs\[1\]: .* may not change once set/)
    await refused(
      patch('svc', { ipFamilies: ['IPv6', 'IPv4'], clusterIPs: [first, second] }),
      /expected an IPv6 value|may not change once set/,
    )
    assert.equal(shape(await patch('svc', { ipFamilyPolicy: 'SingleStack' })), 'SingleStack IPv4 1')
    assert.equal((await make('heir', { clusterIP: second })).code, 201, 'its second address is free')
    const asked = { ipFamilyPolicy: 'RequireDualStack', clusterIPs: [first, 'fd43::99'] }
    assert.deepEqual((await patch('svc', asked)).body.spec.clusterIPs, [first, 'fd43::99'])
    const name = await patch('svc', { type: 'ExternalName', externalName: 'example.com' })
    assert.deepEqual(
      [name.body.spec.clusterIPs, name.body.spec.ipFamilies, name.body.spec.ipFamilyPolicy],
      [undefined, undefined, undefined],
    )
    await patch('svc', { type: 'ClusterIP', externalName: null })
    await server.ask('DELETE', services)
  })

  it('stay as they are when the cluster becomes dual-stack; those of the cluster follow', async () => {
    const single = await trial({ serviceCIDR: '10.43.0.0/16' })
    const prefers = await single.ask('POST', services, service('prefers', { ipFamilyPolicy: 'PreferDualStack' }))
    assert.equal(shape(prefers), 'PreferDualStack IPv4 1')
    const required = await single.ask('POST', services, service('requires', { ipFamilyPolicy: 'RequireDualStack' }))
    assert.match(required.body.message, /spec.ipFamilyPolicy: .* this cluster is not configured for dual-stack services/)
    const six = await single.ask('POST', services, service('six', { ipFamilies: ['IPv6'] }))
    assert.match(six.body.message, /spec.ipFamilies\[0\]: Invalid value: "IPv6": not configured on this cluster/)
    const own = await single.ask('POST', services, service('own', { clusterIP: 'fd43::7' }))
    assert.match(own.body.message, /IPv6 is not configured on this cluster/)
    const dnsOf = async (server: Trial) =>
      (await server.ask('GET', '/api/v1/namespaces/kube-system/services/kube-dns')).body.spec.clusterIPs

    const dual = await trial({ serviceCIDR: '10.43.0.0/16,fd43::/112', store: single.store })
    const touched = await dual.ask('PATCH', `${services}/prefers`, { metadata: { labels: { a: 'b' } } }, merge)
    assert.equal(shape(touched), 'PreferDualStack IPv4 1')
    assert.deepEqual(await dnsOf(dual), ['10.43.0.10', 'fd43::a'])
    await dual.close()
    const back = await trial({ serviceCIDR: '10.43.0.0/16', store: single.store })
    assert.deepEqual(await dnsOf(back), ['10.43.0.10'])
    await back.close()
    await single.close()
  })
})
