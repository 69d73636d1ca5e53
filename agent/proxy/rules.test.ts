import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeNft } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { silent } from '#api/log.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { goldenIn, nftPrintsAlike } from '../ruleset/golden.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { bothNetworks, networks, service, slice, wholeProxy } from './fixtures.ts'
import { openProxy, type ProxyOptions } from './proxy.ts'

const golden = goldenIn(import.meta.dirname)

const dump = async (services: Service[], slices: EndpointSlice[], more: Partial<ProxyOptions> = {}): Promise<string> => {
  const nft = fakeNft()
  const proxy = wholeProxy(
    openProxy({
      ruleset: openRuleset(nft),
      conntrack: { remove: async () => 0 },
      log: silent,
      nodeName: 'here',
      networks,
      ...more,
    }),
  )
  assert.deepEqual((await proxy.apply(services, slices)).errors, [])
  return (await nft.dump('ip', 'coracle')) + (await nft.dump('ip6', 'coracle'))
}
const here = (address: string) => ({ addresses: [address], nodeName: 'here' })

test('a service without endpoints is rejected', async () => {
  const text = await dump([service('db', '10.43.0.6', { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] })], [])
  assert.equal(text, golden('no-endpoints', text))
})

test('services with endpoints, TCP and UDP, named ports', async () => {
  const text = await dump(
    [
      service('web', '10.43.0.5', {
        ports: [
          { name: 'http', port: 80 },
          { name: 'https', port: 443 },
        ],
      }),
      service('dns', '10.43.0.10', { ports: [{ port: 53, protocol: 'UDP' }] }),
    ],
    [
      slice(
        'web',
        ['10.42.2.5', here('10.42.1.6')],
        [
          { name: 'http', protocol: 'TCP', port: 8080 },
          { name: 'https', protocol: 'TCP', port: 8443 },
        ],
      ),
      slice('dns', ['10.42.2.9'], [{ name: '', protocol: 'UDP', port: 5353 }]),
    ],
  )
  assert.equal(text, golden('services', text))
})

test('from outside: node port, external and load balancer addresses, traffic policy Local, session affinity', async () => {
  const web = service('web', '10.43.0.5', {
    type: 'LoadBalancer',
    ports: [{ port: 80, nodePort: 30080 }],
    externalIPs: ['192.0.2.1'],
    loadBalancerSourceRanges: ['198.51.100.0/24', '203.0.113.7/32'],
    externalTrafficPolicy: 'Local',
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
  })
  const text = await dump(
    [{ ...web, status: { loadBalancer: { ingress: [{ ip: '192.0.2.2' }] } } }],
    [slice('web', ['10.42.2.5', here('10.42.1.6')])],
    { nodePortAddresses: ['192.0.2.0/24', 'fd00::/8', '198.51.100.1/32'] },
  )
  assert.equal(text, golden('outside', text))
})

test('two families', async () => {
  const text = await dump(
    [
      service('web', '10.43.0.5', {
        clusterIPs: ['10.43.0.5', 'FD00:43::0:5'],
        type: 'NodePort',
        ports: [{ port: 80, nodePort: 30080 }],
        sessionAffinity: 'ClientIP',
      }),
    ],
    [slice('web', ['10.42.2.5']), slice('web', [here('fd00:42:1::6'), 'fd00:42:2::5'])],
    { networks: bothNetworks },
  )
  assert.equal(text, golden('two-families', text))
})

test('nft loads the golden files and prints them alike', { skip: needsRoot }, (t) => nftPrintsAlike(t, import.meta.dirname, 'coracle'))
