import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openConntrack, openNft } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { silent } from '#api/log.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { networks, service, slice, wholeProxy } from './fixtures.ts'
import { clientAddress, nodeAddress, nodeNetwork, type Peer, podAddresses } from './network.fixture.ts'
import { openProxy } from './proxy.ts'

const [first, second] = podAddresses
const here = (address: string) => ({ addresses: [address], nodeName: 'here' })

const setup = async (t: TestContext) => {
  const { node, peers } = await nodeNetwork(t)
  const nft = await openNft({ netns: node })
  const conntrack = await openConntrack({ netns: node })
  t.after(() => {
    nft.close()
    conntrack.close()
  })
  const proxy = () => wholeProxy(openProxy({ ruleset: openRuleset(nft), conntrack, log: silent, nodeName: 'here', networks }))
  return { nft, proxy, ...peers }
}

/** The names that answer, asked often enough that each of two is almost sure to be among them. */
const answers = async (peer: Peer, protocol: 'tcp' | 'udp', host: string, port: number): Promise<string[]> => {
  const all = await Promise.all(Array.from({ length: 24 }, () => peer.ask(protocol, host, port)))
  return [...new Set(all)].sort()
}

test('real packets', { skip: needsRoot }, async (t) => {
  const { nft, proxy: open, node, client, pods } = await setup(t)
  await Promise.all(pods.flatMap((pod, i) => [pod.listen('tcp', 8080, `pod${i}`), pod.listen('udp', 5353, `pod${i}`)]))
  await client.listen('tcp', 9000, 'client')
  const proxy = open()
  const web = service('web', '10.43.0.1', { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] })
  const dns = service('dns', '10.43.0.2', { ports: [{ port: 53, protocol: 'UDP' }] })
  const both = [here(first), here(second)]
  const dnsPort = [{ name: '', protocol: 'UDP' as const, port: 5353 }]

  await t.test('TCP and UDP are spread over the endpoints', async () => {
    await proxy.apply([web, dns], [slice('web', both), slice('dns', both, dnsPort)])
    // A pod is seen by its own address, everyone else by the node's, so that answers come back through it.
    assert.deepEqual(await answers(client, 'tcp', '10.43.0.1', 80), ['pod0 10.42.1.1', 'pod1 10.42.1.1'])
    assert.deepEqual(await answers(node, 'tcp', '10.43.0.1', 80), ['pod0 10.42.1.1', 'pod1 10.42.1.1'])
    assert((await answers(pods[0], 'tcp', '10.43.0.1', 80)).includes(`pod1 ${first}`))
    assert.deepEqual(await answers(client, 'udp', '10.43.0.2', 53), ['pod0 10.42.1.1', 'pod1 10.42.1.1'])
  })

  await t.test('a node port leads to the same endpoints', async () => {
    assert.deepEqual(await answers(client, 'tcp', nodeAddress, 30080), ['pod0 10.42.1.1', 'pod1 10.42.1.1'])
    assert.equal(await client.ask('tcp', nodeAddress, 30081), 'ECONNREFUSED')
  })

  await t.test('a pod reaches itself through its service', async () => {
    await proxy.apply([web, dns], [slice('web', [here(first)]), slice('dns', [here(first)], dnsPort)])
    assert.deepEqual(await answers(pods[0], 'tcp', '10.43.0.1', 80), ['pod0 10.42.1.1'])
    assert.deepEqual(await answers(pods[0], 'udp', '10.43.0.2', 53), ['pod0 10.42.1.1'])
  })

  await t.test('a UDP flow leaves an endpoint that is gone', async () => {
    assert.equal(await client.ask('udp', '10.43.0.2', 53, { localPort: 7000 }), 'pod0 10.42.1.1')
    await proxy.apply([web, dns], [slice('web', [here(second)]), slice('dns', [here(second)], dnsPort)])
    assert.equal(await client.ask('udp', '10.43.0.2', 53, { localPort: 7000 }), 'pod1 10.42.1.1')
    assert.deepEqual(await answers(client, 'tcp', '10.43.0.1', 80), ['pod1 10.42.1.1'])
  })

  await t.test('a restarted agent changes nothing, and a connection goes on', async () => {
    const services = [web, dns]
    const slices = [slice('web', both), slice('dns', both, dnsPort)]
    await proxy.apply(services, slices)
    const answer = await client.ask('tcp', '10.43.0.1', 80, { keep: 'connection' })
    const generation = await nft.generation()
    await open().apply(services, slices)
    assert.equal(await nft.generation(), generation)
    assert.equal(await client.ask('tcp', '10.43.0.1', 80, { keep: 'connection' }), answer)
    // Nor does one that finds a ruleset of another making there and replaces it.
    await nft.run([{ table: { family: 'ip', name: 'coracle' }, does: 'add set', set: { name: 'foreign', key: ['ipv4_addr'] } }])
    await open().apply(services, slices)
    assert.doesNotMatch(await nft.dump('ip', 'coracle'), /foreign/)
    assert.equal(await client.ask('tcp', '10.43.0.1', 80, { keep: 'connection' }), answer)
  })

  await t.test('without endpoints everyone is refused at once', async () => {
    await proxy.apply([web, dns], [])
    for (const [name, peer] of Object.entries({ client, node, pod: pods[0] })) {
      assert.equal(await peer.ask('tcp', '10.43.0.1', 80), 'ECONNREFUSED', name)
      assert.equal(await peer.ask('udp', '10.43.0.2', 53), 'ECONNREFUSED', name)
    }
    assert.equal(await client.ask('tcp', nodeAddress, 30080), 'ECONNREFUSED')
  })

  await t.test('an address that no service has is refused', async () => {
    for (const peer of [client, node, pods[0]]) assert.equal(await peer.ask('tcp', '10.43.0.99', 80), 'ECONNREFUSED')
  })

  await t.test('traffic policy Local shows the client and keeps to this node', async () => {
    const local = service('web', '10.43.0.1', { ...web.spec, externalTrafficPolicy: 'Local' })
    await proxy.apply([local], [slice('web', [here(first), '10.42.7.7'])])
    assert.deepEqual(await answers(client, 'tcp', nodeAddress, 30080), [`pod0 ${clientAddress}`])
  })

  await t.test('session affinity: a client keeps its endpoint', async () => {
    const sticky = service('web', '10.43.0.1', { ...web.spec, sessionAffinity: 'ClientIP' })
    await proxy.apply([sticky], [slice('web', both)])
    assert.equal((await answers(client, 'tcp', '10.43.0.1', 80)).length, 1)
  })

  await t.test("a pod leaves the cluster under its node's address", async () => {
    assert.equal(await pods[0].ask('tcp', clientAddress, 9000), `client ${nodeAddress}`)
  })

  await t.test('removed, nothing is left', async () => {
    await proxy.remove()
    assert.equal(await nft.dump('ip', 'coracle'), '')
    await proxy.remove()
  })
})
