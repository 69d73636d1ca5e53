import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { type Nft, openConntrack, openNft } from 'nft-js'
import { freshNetns } from 'nft-js/testing/fresh-netns.ts'
import { silent } from '#api/log.ts'
import type { Pod, ServiceSpec } from '#api/types/core-v1.gen.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { bothNetworks, service, slice, wholeProxy } from './fixtures.ts'
import { openIptablesProxy } from './iptables/iptables.ts'
import { addresses, nodeNetwork, type Peer } from './network.fixture.ts'
import { openProxy } from './proxy.ts'

type Mode = 'nftables' | 'iptables'

const setup = async (t: TestContext, mode: Mode) => {
  const { node, peers } = await nodeNetwork(t)
  const nft = await openNft({ netns: node })
  const conntrack = await openConntrack({ netns: node })
  t.after(() => {
    nft.close()
    conntrack.close()
  })
  const common = { conntrack, log: silent, nodeName: 'here', networks: bothNetworks }
  const open = async () =>
    mode === 'nftables' ? openProxy({ ...common, ruleset: openRuleset(nft) }) : await openIptablesProxy({ ...common, netns: node })
  /** Tells whether rules were written meanwhile: nf_tables counts transactions, in iptables a chain that is written counts from nothing. */
  const written = async () => {
    if (mode === 'nftables') return nft.generation()
    const saved = await Promise.all(['iptables', 'ip6tables'].map((program) => counted(node, program)))
    // Others pass the rest on their own, neighbour discovery for one.
    return saved.join('').match(/^.*-A CORACLE-SVC-.*$/gm)
  }
  return { nft, open, written, netns: node, ...peers }
}

/** The names that answer, asked often enough that each of two is almost sure to be among them. */
const answers = async (peer: Peer, protocol: 'tcp' | 'udp', host: string, port: number): Promise<string[]> => {
  const all = await Promise.all(Array.from({ length: 24 }, () => peer.ask(protocol, host, port, { patience: 500 })))
  return [...new Set(all)].sort()
}

const cases = [
  {
    family: 'ip',
    ...addresses.ip,
    name: { web: '10.43.0.1', dns: '10.43.0.2', none: '10.43.0.99' },
    outer: '198.51.100.9',
    net: '192.0.2.0/24',
  },
  {
    family: 'ip6',
    ...addresses.ip6,
    name: { web: 'fd00:43::1', dns: 'fd00:43::2', none: 'fd00:43::99' },
    outer: '2001:db8:9::9',
    net: '2001:db8::/64',
  },
] as const

/** What services mean to who uses them, shown with packets, whatever programs them. */
export const realPackets = async (t: TestContext, mode: Mode) => {
  const { nft, open, written, netns, node, client, pods } = await setup(t, mode)
  await Promise.all(pods.flatMap((pod, i) => [pod.listen('tcp', 8080, `pod${i}`), pod.listen('udp', 5353, `pod${i}`)]))
  await client.listen('tcp', 9000, 'client')
  const dnsPort = [{ name: '', protocol: 'UDP' as const, port: 5353 }]
  for (const { family, name, client: clientAddress, node: nodeAddress, gateway, pods: podAddresses, outer, net } of cases) {
    const [first, second] = podAddresses
    const here = (address: string) => ({ addresses: [address], nodeName: 'here' })
    const away = (address: string) => ({ addresses: [address], nodeName: 'away' })
    const spec: Partial<ServiceSpec> = { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] }
    const web = service('web', name.web, spec)
    const dns = service('dns', name.dns, { ports: [{ port: 53, protocol: 'UDP' }] })
    const both = [here(first), here(second)]
    const rawProxy = await open()
    const proxy = wholeProxy(rawProxy)
    // A pod is seen by its own address, everyone else by the node's, so that answers come back through it.
    const fromNode = [`pod0 ${gateway}`, `pod1 ${gateway}`]
    const check = (what: string, body: () => Promise<void>) => t.test(`${family}: ${what}`, body)

    await check('TCP and UDP are spread over the endpoints', async () => {
      await proxy.apply([web, dns], [slice('web', both), slice('dns', both, dnsPort)])
      assert.deepEqual(await answers(client, 'tcp', name.web, 80), fromNode)
      assert.deepEqual(await answers(node, 'tcp', name.web, 80), fromNode)
      assert((await answers(pods[0], 'tcp', name.web, 80)).includes(`pod1 ${first}`))
      assert.deepEqual(await answers(client, 'udp', name.dns, 53), fromNode)
    })

    await check('a node port leads to the same endpoints', async () => {
      assert.deepEqual(await answers(client, 'tcp', nodeAddress, 30080), fromNode)
      assert.equal(await client.ask('tcp', nodeAddress, 30081), 'ECONNREFUSED')
    })

    await check('a pod reaches itself through its service', async () => {
      await proxy.apply([web, dns], [slice('web', [here(first)]), slice('dns', [here(first)], dnsPort)])
      assert.deepEqual(await answers(pods[0], 'tcp', name.web, 80), [`pod0 ${gateway}`])
      assert.deepEqual(await answers(pods[0], 'udp', name.dns, 53), [`pod0 ${gateway}`])
    })

    await check('a UDP flow leaves an endpoint that is gone', async () => {
      assert.equal(await client.ask('udp', name.dns, 53, { localPort: 7000 }), `pod0 ${gateway}`)
      await proxy.apply([web, dns], [slice('web', [here(second)]), slice('dns', [here(second)], dnsPort)])
      assert.equal(await client.ask('udp', name.dns, 53, { localPort: 7000 }), `pod1 ${gateway}`)
      assert.deepEqual(await answers(client, 'tcp', name.web, 80), [`pod1 ${gateway}`])
    })

    await check('a restarted agent changes nothing, and a connection goes on', async () => {
      const services = [web, dns]
      const slices = [slice('web', both), slice('dns', both, dnsPort)]
      await proxy.apply(services, slices)
      const keep = { keep: family }
      const answer = await client.ask('tcp', name.web, 80, keep)
      const before = await written()
      await wholeProxy(await open()).apply(services, slices)
      assert.deepEqual(await written(), before)
      assert.equal(await client.ask('tcp', name.web, 80, keep), answer)
      if (mode === 'iptables') return
      // Nor does one that finds a ruleset of another making there and replaces it.
      await nft.run([{ table: { family, name: 'coracle' }, does: 'add set', set: { name: 'foreign', key: ['ipv4_addr'] } }])
      await wholeProxy(await open()).apply(services, slices)
      assert.doesNotMatch(await nft.dump(family, 'coracle'), /foreign/)
      assert.equal(await client.ask('tcp', name.web, 80, keep), answer)
    })

    await check('a connection goes on while other endpoints come and go', async () => {
      await proxy.apply([web, dns], [slice('web', [here(first)])])
      const keep = { keep: `${family} other` }
      await client.ask('tcp', name.web, 80, keep)
      await proxy.apply([web], [slice('web', both)])
      await proxy.apply([web], [slice('web', [here(second)])])
      assert.equal(await client.ask('tcp', name.web, 80, keep), `pod0 ${gateway}`)
    })

    await check('without endpoints everyone is refused at once', async () => {
      await proxy.apply([web, dns], [])
      for (const [who, peer] of Object.entries({ client, node, pod: pods[0] })) {
        assert.equal(await peer.ask('tcp', name.web, 80), 'ECONNREFUSED', who)
        assert.equal(await peer.ask('udp', name.dns, 53), 'ECONNREFUSED', who)
      }
      assert.equal(await client.ask('tcp', nodeAddress, 30080), 'ECONNREFUSED')
    })

    await check('an address that no service has is refused', async () => {
      for (const peer of [client, node, pods[0]]) assert.equal(await peer.ask('tcp', name.none, 80), 'ECONNREFUSED')
    })

    await check('traffic policy Local: who is outside is seen and kept to this node, pods and the node reach all', async () => {
      const local = service('web', name.web, { ...spec, externalTrafficPolicy: 'Local' })
      await proxy.apply([local], [slice('web', [here(first), away(second)])])
      assert.deepEqual(await answers(client, 'tcp', nodeAddress, 30080), [`pod0 ${clientAddress}`])
      assert.deepEqual(await answers(node, 'tcp', nodeAddress, 30080), fromNode)
      assert((await answers(pods[0], 'tcp', nodeAddress, 30080)).includes(`pod1 ${first}`))
      await proxy.apply([local], [slice('web', [away(second)])])
      assert.equal(await client.ask('tcp', nodeAddress, 30080, { patience: 300 }), 'TIMEOUT')
      assert.deepEqual(await answers(pods[0], 'tcp', nodeAddress, 30080), [`pod1 ${first}`])
      assert.deepEqual(await answers(node, 'tcp', nodeAddress, 30080), [`pod1 ${gateway}`])
    })

    await check('session affinity: a client keeps its endpoint until it was away for long enough', async () => {
      const sessionAffinityConfig = { clientIP: { timeoutSeconds: 1 } }
      const sticky = service('web', name.web, { ...spec, sessionAffinity: 'ClientIP', sessionAffinityConfig })
      await proxy.apply([sticky], [slice('web', both)])
      const [answer = '', ...others] = await answers(client, 'tcp', name.web, 80)
      assert.deepEqual(others, [])
      assert.equal((await answers(client, 'tcp', nodeAddress, 30080)).length, 1)
      assert.equal((await answers(node, 'tcp', name.web, 80)).length, 1)
      if (mode === 'nftables') await loadedElsewhere(t, netns)
      const gone = answer.startsWith('pod0') ? first : second
      await proxy.apply([sticky], [slice('web', [here(gone === first ? second : first)])])
      assert.deepEqual(
        await answers(client, 'tcp', name.web, 80),
        fromNode.filter((name) => name !== answer),
      )
      if (mode === 'nftables') await forgotten(nft, family)
      const long = { ...sticky, spec: { ...sticky.spec, sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_400 } } } }
      await proxy.apply([long], [slice('web', both)])
      assert.equal((await answers(client, 'tcp', name.web, 80)).length, 1)
      if (mode === 'iptables') return
      await node.ask('tcp', name.web, 80)
      await pods[0].ask('tcp', name.web, 80)
      // Another service with affinity loses an endpoint: nobody is forgotten but its own clients.
      const remembered = await clientsOf(nft, family)
      assert(remembered.length >= 3)
      const dnsSticky = { ...dns, spec: { ...dns.spec, sessionAffinity: 'ClientIP' as const } }
      await proxy.apply([long, dnsSticky], [slice('web', both), slice('dns', both, dnsPort)])
      await client.ask('udp', name.dns, 53)
      await proxy.apply([long, dnsSticky], [slice('web', both)])
      assert.deepEqual(await clientsOf(nft, family), remembered)
    })

    await check('a load balancer address lets in whom the service allows', async () => {
      const balanced = (loadBalancerSourceRanges: string[]) => ({
        ...service('web', name.web, { ...spec, type: 'LoadBalancer', loadBalancerSourceRanges }),
        status: { loadBalancer: { ingress: [{ ip: outer }] } },
      })
      await proxy.apply([balanced([])], [slice('web', both)])
      assert.deepEqual(await answers(client, 'tcp', outer, 80), fromNode)
      await proxy.apply([balanced([net])], [slice('web', both)])
      assert.deepEqual(await answers(client, 'tcp', outer, 80), fromNode)
      assert.equal(await pods[0].ask('tcp', outer, 80, { patience: 300 }), 'TIMEOUT')
      await proxy.apply([balanced([`${first}/${addresses[family].host}`])], [slice('web', both)])
      assert.equal(await client.ask('tcp', outer, 80, { patience: 300 }), 'TIMEOUT')
      assert((await answers(pods[0], 'tcp', outer, 80)).includes(`pod1 ${first}`))
      assert.deepEqual(await answers(client, 'tcp', name.web, 80), fromNode)
    })

    await check('a host port leads to its pod, which sees who asks', async () => {
      const pod = {
        kind: 'Pod',
        metadata: { name: 'host', namespace: 'default' },
        spec: { containers: [{ name: 'main', ports: [{ containerPort: 8080, hostPort: 8088 }] }] },
        status: { phase: 'Running', podIPs: [{ ip: first }] },
      } as unknown as Pod
      rawProxy.podChanged({ namespace: 'default', name: 'host' }, pod)
      await rawProxy.apply()
      assert.equal(await client.ask('tcp', nodeAddress, 8088), `pod0 ${clientAddress}`)
      assert.equal(await pods[1].ask('tcp', nodeAddress, 8088), `pod0 ${second}`)
      assert.equal(await pods[0].ask('tcp', nodeAddress, 8088), `pod0 ${gateway}`)
      assert.equal(await node.ask('tcp', nodeAddress, 8088), `pod0 ${gateway}`)
      rawProxy.podChanged({ namespace: 'default', name: 'host' }, undefined)
      await rawProxy.apply()
      assert.equal(await client.ask('tcp', nodeAddress, 8088), 'ECONNREFUSED')
    })

    await check("a pod leaves the cluster under its node's address", async () => {
      assert.equal(await pods[0].ask('tcp', clientAddress, 9000), `client ${nodeAddress}`)
    })

    await proxy.apply([], [])
  }

  await t.test('removed, nothing is left', async () => {
    const proxy = await open()
    await proxy.remove()
    assert.equal((await nft.dump('ip', 'coracle')) + (await nft.dump('ip6', 'coracle')), '')
    for (const program of ['iptables', 'ip6tables']) assert.doesNotMatch(await counted(netns, program), /CORACLE/)
    await proxy.remove()
  })
}

const run = promisify(execFile)

/** What nft prints of it nft takes. */
const loadedElsewhere = async (t: TestContext, netns: string): Promise<void> => {
  const { stdout } = await run('nsenter', [`--net=${netns}`, 'nft', 'list', 'ruleset'])
  const other = await freshNetns(t)
  const loading = run('nsenter', [`--net=${other}`, 'nft', '-f', '-'])
  loading.child.stdin?.end(stdout)
  await loading
}

/** The rules of ours with their counts. */
const counted = async (netns: string, program: string): Promise<string> => {
  const { stdout } = await run('nsenter', [`--net=${netns}`, `${program}-legacy-save`, '-c'])
  return stdout.replaceAll(/^(#|:).*\n/gm, '')
}

/** Who has which backend; when it ends is left out. */
const clientsOf = async (nft: Nft, family: 'ip' | 'ip6'): Promise<string[]> => {
  const clients = (await nft.list(family, 'coracle'))?.sets.find(({ spec }) => spec.name === 'clients')
  assert(clients)
  return Array.from({ length: clients.elements.count }, (_, row) => JSON.stringify(clients.elements.values(row))).sort()
}

/** Until no client is remembered any more: the kernel has no event for that. */
const forgotten = async (nft: Nft, family: 'ip' | 'ip6'): Promise<void> => {
  const until = performance.now() + 5000
  for (;;) {
    if ((await clientsOf(nft, family)).length === 0) return
    assert(performance.now() < until, 'clients are remembered for too long')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
