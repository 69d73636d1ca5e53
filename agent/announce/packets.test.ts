// From a host of the network that knows nothing but the address to a pod, in both families: the answer to
// its question draws its packets to the node, whose proxy translates them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openConntrack, openNft, openRtnetlink } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import { bothNetworks, service, slice, wholeProxy } from '../proxy/fixtures.ts'
import { addresses, nodeNetwork } from '../proxy/network.fixture.ts'
import { openProxy } from '../proxy/proxy.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { openResponder } from './responder.ts'

test('an announced address leads to the pods of its service', { skip: needsRoot }, async (t) => {
  const { node: netns, peers } = await nodeNetwork(t)
  const nft = await openNft({ netns })
  const conntrack = await openConntrack({ netns })
  const responder = openResponder({ netns, clock: systemClock, log: silent, onRival: () => {} })
  t.after(() => {
    responder.close()
    conntrack.close()
    nft.close()
  })
  const proxy = wholeProxy(openProxy({ ruleset: openRuleset(nft), conntrack, log: silent, nodeName: 'here', networks: bothNetworks }))
  await using rt = await openRtnetlink({ netns })
  const { index, address: mac = '' } = (await rt.link('outside'))!
  const outer = { ip: '192.0.2.240', ip6: '2001:db8::240' }
  const balanced = (['ip', 'ip6'] as const).map((family, i) => ({
    ...service(`web-${family}`, ['10.43.0.1', 'fd00:43::1'][i] as string, { type: 'LoadBalancer', externalTrafficPolicy: 'Local' }),
    status: { loadBalancer: { ingress: [{ ip: outer[family], ipMode: 'VIP' as const }] } },
  }))
  const endpoints = (['ip', 'ip6'] as const).map((family) =>
    slice(`web-${family}`, [{ addresses: [addresses[family].pods[0]], nodeName: 'here' }]),
  )
  await proxy.apply(balanced, endpoints)
  await peers.pods[0].listen('tcp', 8080, 'pod')

  for (const family of ['ip', 'ip6'] as const) {
    await responder.start(outer[family], { index, mac })
    // Traffic policy Local: the pod sees who asks.
    assert.equal(await peers.client.ask('tcp', outer[family], 80, { patience: 3_000 }), `pod ${addresses[family].client}`)
    assert.equal(await peers.client.ask('tcp', outer[family], 80), `pod ${addresses[family].client}`)
  }
})
