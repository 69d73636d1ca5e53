import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { openNft } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { silent } from '#api/log.ts'
import type { NetworkPolicy } from '#api/types/networking-v1.gen.ts'
import { clientAddress, nodeNetwork, type Peer, podAddresses } from '../proxy/network.fixture.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { app, namespace, pod, policy, wholePolicy } from './fixtures.ts'
import { openPolicy } from './policy.ts'

const [webAddress, clientPodAddress] = podAddresses
const exec = promisify(execFile)

/** As the service proxy translates: a service of the web pod, where a pod that reaches itself is masqueraded. */
const service = `table ip service {
  chain pre { type nat hook prerouting priority dstnat; ip daddr 10.43.0.1 tcp dport 80 dnat to ${webAddress}:8080; }
  chain post { type nat hook postrouting priority srcnat; ip saddr ${webAddress} ip daddr ${webAddress} masquerade; }
}`

test('real packets', { skip: needsRoot }, async (t) => {
  const { node, peers } = await nodeNetwork(t)
  // What is denied is dropped: there is no other sign of it.
  const hasty = (peer: Peer): Peer => ({
    ...peer,
    ask: (protocol, host, port, more) => peer.ask(protocol, host, port, { patience: 400, ...more }),
  })
  const [web, clientPod] = [hasty(peers.pods[0]), hasty(peers.pods[1])]
  const outside = hasty(peers.client)
  const nft = await openNft({ netns: node })
  t.after(() => nft.close())
  await exec('nsenter', [`--net=${node}`, 'nft', service])
  await Promise.all([
    web.listen('tcp', 8080, 'web'),
    web.listen('tcp', 9090, 'metrics'),
    web.listen('udp', 5353, 'dns'),
    clientPod.listen('tcp', 8080, 'client-pod'),
    peers.client.listen('tcp', 9000, 'client'),
  ])

  const open = () => wholePolicy(openPolicy({ ruleset: openRuleset(nft), log: silent, nodeName: 'here', families: ['ip'] }))
  let enforced = open()
  const pods = [
    pod('web', webAddress, { ports: [{ name: 'http', containerPort: 8080 }] }),
    pod('client', clientPodAddress, { namespace: 'other', labels: { role: 'client' } }),
  ]
  const namespaces = [namespace('default'), namespace('other', { team: 'a' })]
  const apply = async (...policies: NetworkPolicy[]) => {
    const { errors } = await enforced.apply({ policies, pods, namespaces, placed: [] })
    assert.deepEqual(errors, [])
  }
  const fromPod = (port: number, host: string = webAddress) => clientPod.ask('tcp', host, port)
  const fromOutside = (port: number) => outside.ask('tcp', webAddress, port)

  const denied = 'TIMEOUT'
  const answer = (from: string) => `web ${from}`
  const deny = policy('deny', { policyTypes: ['Ingress', 'Egress'] })

  await t.test('without a policy everyone is answered', async () => {
    await apply()
    assert.equal(await fromPod(8080), answer(clientPodAddress))
    assert.equal(await fromOutside(8080), answer(clientAddress))
    assert.equal(await fromPod(80, '10.43.0.1'), answer(clientPodAddress))
  })

  await t.test('default deny: nobody but the node and the pod itself, and nowhere but to the node', async () => {
    await apply(deny)
    assert.deepEqual(
      await Promise.all([
        fromPod(8080),
        fromOutside(8080),
        fromPod(80, '10.43.0.1'),
        web.ask('tcp', clientAddress, 9000),
        web.ask('tcp', clientPodAddress, 8080),
        peers.node.ask('tcp', webAddress, 8080),
        web.ask('tcp', '10.43.0.1', 80),
      ]),
      [denied, denied, denied, denied, denied, answer('10.42.1.1'), answer('10.42.1.1')],
    )
  })

  await t.test('a policy adds to the others, by pod and namespace, and sees through the service', async () => {
    const from = [{ podSelector: { matchLabels: { role: 'client' } }, namespaceSelector: { matchLabels: { team: 'a' } } }]
    await apply(deny, policy('allow', { podSelector: app('web'), ingress: [{ from, ports: [{ port: 'http' }] }] }))
    assert.deepEqual(await Promise.all([fromPod(8080), fromPod(80, '10.43.0.1'), fromPod(9090), fromOutside(8080)]), [
      answer(clientPodAddress),
      answer(clientPodAddress),
      denied,
      denied,
    ])
  })

  await t.test('blocks, with exceptions', async () => {
    const block = (cidr: string, except?: string[]) => policy('block', { ingress: [{ from: [{ ipBlock: { cidr, except } }] }] })
    await apply(block('192.0.2.0/24'))
    assert.deepEqual(await Promise.all([fromOutside(9090), fromPod(9090)]), [`metrics ${clientAddress}`, denied])
    await apply(block('0.0.0.0/0', [`${clientAddress}/31`]))
    assert.deepEqual(await Promise.all([fromOutside(9090), fromPod(9090)]), [denied, `metrics ${clientPodAddress}`])
  })

  await t.test('port ranges, for everyone', async () => {
    await apply(policy('range', { ingress: [{ ports: [{ port: 9000, endPort: 9100 }] }] }))
    assert.deepEqual(await Promise.all([fromOutside(9090), fromOutside(8080)]), [`metrics ${clientAddress}`, denied])
  })

  await t.test('egress', async () => {
    await apply(policy('egress', { egress: [{ to: [{ ipBlock: { cidr: `${clientAddress}/32` } }], ports: [{ port: 9000 }] }] }))
    assert.deepEqual(await Promise.all([web.ask('tcp', clientAddress, 9000), web.ask('tcp', clientPodAddress, 8080), fromOutside(8080)]), [
      `client ${webAddress}`,
      denied,
      answer(clientAddress),
    ])
  })

  await t.test('a connection that is established ends with what allowed it, and goes on with it', async () => {
    const allow = policy('allow', { podSelector: app('web'), ingress: [{ from: [{ namespaceSelector: {} }] }] })
    await apply(deny, allow)
    const kept = (name: string) => clientPod.ask('tcp', '10.43.0.1', 80, { keep: name })
    const datagram = () => clientPod.ask('udp', webAddress, 5353, { localPort: 7000 })
    assert.deepEqual(await Promise.all([kept('a'), kept('b'), datagram()]), [
      answer(clientPodAddress),
      answer(clientPodAddress),
      `dns ${clientPodAddress}`,
    ])
    await apply(deny)
    assert.deepEqual(await Promise.all([kept('a'), datagram()]), [denied, denied])
    await apply(deny, allow)
    assert.deepEqual(await Promise.all([kept('b'), datagram()]), [answer(clientPodAddress), `dns ${clientPodAddress}`])
  })

  await t.test('a restarted agent changes nothing, and a connection goes on', async () => {
    const kept = () => clientPod.ask('tcp', webAddress, 8080, { keep: 'restart' })
    assert.equal(await kept(), answer(clientPodAddress))
    await enforced.close()
    enforced = open()
    const generation = await nft.generation()
    await apply(deny, policy('allow', { podSelector: app('web'), ingress: [{ from: [{ namespaceSelector: {} }] }] }))
    assert.equal(await nft.generation(), generation)
    assert.equal(await kept(), answer(clientPodAddress))
  })

  await t.test('removed, nothing is left', async () => {
    await enforced.remove()
    assert.equal(await nft.dump('ip', 'coracle-policy'), '')
    assert.equal(await fromOutside(8080), answer(clientAddress))
  })
})
