// Beside the rules of other programs: pods are reached, those programs' own traffic goes on, what they
// forbid stays forbidden, and nothing of theirs has changed once we are gone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openConntrack, openNft } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { fakeClock } from '#api/clock.fake.ts'
import { silent } from '#api/log.ts'
import { openPolicy } from '../policy/policy.ts'
import { bothNetworks, service, slice, wholeProxy } from '../proxy/fixtures.ts'
import { addresses, nodeNetwork } from '../proxy/network.fixture.ts'
import { openProxy } from '../proxy/proxy.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { applyForward, keepForward, plan, removeForward } from './forward.ts'
import { docker, emptied, firewalld, firewalldTrusts, inside, legacy, ownTable, strangers, ufw, ufwAllows } from './neighbours.fixture.ts'

const pods = { ip: bothNetworks.ip.cluster, ip6: bothNetworks.ip6.cluster }
const { ip, ip6 } = addresses
const web = [service('web', '10.43.0.1', { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] })]
const web6 = [service('web6', 'fd00:43::1', { ipFamilies: ['IPv6'] })]

const answer = `pod ${ip.gateway}`
const soon = { patience: 150 }

test('beside the rules of others', { skip: needsRoot }, async (t) => {
  const { node: netns, pods: podNetns, peers } = await nodeNetwork(t)
  const { client, node, pods: podPeers } = peers
  const [pod, container] = podPeers
  const nft = await openNft({ netns })
  const conntrack = await openConntrack({ netns })
  t.after(() => {
    nft.close()
    conntrack.close()
  })
  await pod.listen('tcp', 8080, 'pod')
  await container.listen('tcp', 8080, 'container')
  for (const peer of [client, node]) await peer.listen('tcp', 9000, peer === node ? 'node' : 'client')

  /** A node that carries somebody's rules, and ours on top; then ours are taken away, and what is left must be theirs. */
  const beside = (what: string, theirs: string, body: (host: { before: string[]; apply(): Promise<void> }) => Promise<void>) =>
    t.test(what, async () => {
      await inside(netns, theirs)
      const [before, legacyBefore] = [await strangers(netns), await legacy(netns)]
      const ruleset = openRuleset(nft)
      const proxy = wholeProxy(openProxy({ ruleset, conntrack, log: silent, nodeName: 'here', networks: bothNetworks }))
      const policy = openPolicy({ ruleset, log: silent, nodeName: 'here', families: ['ip', 'ip6'] })
      await proxy.apply([...web, ...web6], [slice('web', [ip.pods[0]]), slice('web6', [ip6.pods[0]])])
      await policy.apply()
      const apply = () => applyForward({ pods, netns, log: silent })
      await apply()
      await body({ before, apply })
      await proxy.remove()
      await policy.remove()
      await removeForward({ netns, log: silent })
      assert.deepEqual([await strangers(netns), await legacy(netns)], [before, legacyBefore])
      await inside(netns, emptied)
    })

  for (const variant of ['nft', 'legacy'] as const)
    await beside(
      `Docker, iptables-${variant}: pods and its containers are reached although it drops what is forwarded`,
      docker(variant),
      async ({ before }) => {
        // Its container hangs on the link of the other pod.
        await inside(netns, 'ip link set pod1 master docker0 up; ip link set docker0 up')
        await inside(podNetns[1], 'ip address replace 172.17.0.2/16 dev eth0; ip route replace default via 172.17.0.1')
        assert.equal(await client.ask('tcp', '10.43.0.1', 80), answer)
        assert.equal(await client.ask('tcp', ip.node, 30080), answer)
        assert.equal(await pod.ask('tcp', ip.client, 9000), `client ${ip.node}`)
        assert.equal(await client.ask('tcp', ip.node, 8000), `container ${ip.client}`)
        assert.equal(await container.ask('tcp', ip.client, 9000), `client ${ip.node}`)

        const added = (await strangers(netns)).filter((line) => !before.includes(line))
        assert.equal(added.length, variant === 'nft' ? 2 : 0, added.join('\n'))
        const rules = await inside(netns, `iptables-${variant} -S FORWARD`)
        assert.deepEqual(rules.trimEnd().split('\n').slice(-2), [
          '-A FORWARD -s 10.42.0.0/16 -m comment --comment "coracle: pods" -j ACCEPT',
          '-A FORWARD -d 10.42.0.0/16 -m comment --comment "coracle: pods" -j ACCEPT',
        ])
        // Docker's own chain has the first word.
        const rule = `DOCKER-USER -s ${ip.client} -d ${ip.pods[0]} -j DROP`
        await inside(netns, `iptables-${variant} -I ${rule}`)
        assert.equal(await client.ask('tcp', '10.43.0.1', 80, soon), 'TIMEOUT')
        await inside(netns, `iptables-${variant} -D ${rule}`)
      },
    )

  await beside('nobody: nothing is made', 'true', async ({ before }) => {
    assert.equal(before.length, 1)
    assert.deepEqual(await strangers(netns), before)
    assert.equal(await client.ask('tcp', '10.43.0.1', 80), answer)
  })

  await beside('ufw: pods are reached, what it denies the host stays denied until it allows them', ufw, async ({ apply }) => {
    assert.equal(await client.ask('tcp', '10.43.0.1', 80), answer)
    assert.equal(await client.ask('tcp', 'fd00:43::1', 80), `pod ${ip6.gateway}`)
    assert.equal(await client.ask('tcp', ip.node, 9000, soon), 'TIMEOUT')
    assert.equal(await pod.ask('tcp', ip.gateway, 9000, soon), 'TIMEOUT')
    await inside(netns, ufwAllows('10.42.0.0/16'))
    assert.equal(await pod.ask('tcp', ip.gateway, 9000), `node ${ip.pods[0]}`)
    assert.equal(await client.ask('tcp', ip.node, 9000, soon), 'TIMEOUT')
    await inside(netns, ufwAllows('10.42.0.0/16').replace('-A', '-D'))
    await inside(netns, 'iptables-nft -P FORWARD ACCEPT')
    await apply()
    assert.doesNotMatch(await inside(netns, 'iptables-nft -S FORWARD'), /coracle/)
    await inside(netns, 'iptables-nft -P FORWARD DROP')
  })

  await beside('firewalld: services are reached, pods reach what it lets them', firewalld, async ({ before }) => {
    assert.equal(await client.ask('tcp', '10.43.0.1', 80), answer)
    assert.equal(await client.ask('tcp', ip.pods[0], 8080), 'EHOSTUNREACH')
    assert.equal(await pod.ask('tcp', ip.client, 9000), 'EHOSTUNREACH')
    assert.equal(await pod.ask('tcp', ip.gateway, 9000), 'EHOSTUNREACH')
    assert.deepEqual(await strangers(netns), before)
  })

  const trusting = firewalld + firewalldTrusts('10.42.0.0/16')
  await beside('firewalld that trusts the pods', trusting, async () => {
    assert.equal(await pod.ask('tcp', ip.client, 9000), `client ${ip.node}`)
    assert.equal(await pod.ask('tcp', ip.gateway, 9000), `node ${ip.pods[0]}`)
    assert.equal(await client.ask('tcp', ip.pods[0], 8080), 'EHOSTUNREACH')
  })

  await beside('a table of the host that forwards nothing: nothing is forwarded', ownTable, async ({ before }) => {
    assert.equal(await client.ask('tcp', '10.43.0.1', 80, soon), 'TIMEOUT')
    assert.equal(await pod.ask('tcp', ip.client, 9000, soon), 'TIMEOUT')
    assert.deepEqual(await strangers(netns), before)
  })
})

test('a FORWARD chain that drops from now on is noticed', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const nft = await openNft({ netns })
  const clock = fakeClock()
  const forward = keepForward({ pods, netns, nft, clock, log: silent })
  t.after(async () => {
    await forward.close()
    nft.close()
  })
  await inside(netns, 'iptables-nft -P FORWARD DROP')
  const until = performance.now() + 5_000
  while (!/coracle/.test(await inside(netns, 'iptables-nft -S FORWARD'))) {
    assert(performance.now() < until)
    await clock.advance(5_000)
  }
})

test('only a chain that drops by policy gets our rules, and only ours are taken out', () => {
  const rule = (end: string, range: string) => `-A FORWARD ${end} ${range} -m comment --comment "coracle: pods" -j ACCEPT`
  const theirs = '-A FORWARD -s 10.9.0.0/16 -m comment --comment "the house\'s own" -j DROP'
  const text = (listing: string[], range?: string) => plan(listing.join('\n'), range).map((words) => words.join(' '))
  assert.deepEqual(text(['-P FORWARD ACCEPT', theirs], '10.42.0.0/16'), [])
  assert.deepEqual(text(['-P FORWARD DROP', theirs], '10.42.0.0/16'), [
    '-A FORWARD -s 10.42.0.0/16 -m comment --comment coracle: pods -j ACCEPT',
    '-A FORWARD -d 10.42.0.0/16 -m comment --comment coracle: pods -j ACCEPT',
  ])
  const there = ['-P FORWARD DROP', theirs, rule('-s', '10.42.0.0/16'), rule('-d', '10.42.0.0/16')]
  assert.deepEqual(text(there, '10.42.0.0/16'), [])
  assert.deepEqual(text(there), [
    '-D FORWARD -s 10.42.0.0/16 -m comment --comment coracle: pods -j ACCEPT',
    '-D FORWARD -d 10.42.0.0/16 -m comment --comment coracle: pods -j ACCEPT',
  ])
  assert.equal(text(there, '10.50.0.0/16').length, 4)
})
