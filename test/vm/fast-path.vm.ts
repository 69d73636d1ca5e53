// In a virtual machine whose kernel has flowtables: a connection of pods through a node and a service takes the
// fast path, and leaves it for a policy.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { addAddress, addRoute, addVeth, connectInNetns, inTable, openConntrack, openNft, openRtnetlink, setLink, writeSysctl } from 'nft-js'
import { object, rule } from 'nft-js/nftables/statement.ts'
import { freshNetns } from 'nft-js/testing/fresh-netns.ts'
import { openFastPath } from '#agent/fast-path/fast-path.ts'
import { namespace, pod, policy, wholePolicy } from '#agent/policy/fixtures.ts'
import { openPolicy } from '#agent/policy/policy.ts'
import { networks, service, slice, wholeProxy } from '#agent/proxy/fixtures.ts'
import { openProxy } from '#agent/proxy/proxy.ts'
import { openRuleset } from '#agent/ruleset/ruleset.ts'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'

const exec = promisify(execFile)
const [far, address] = ['10.42.1.2', '10.43.0.1']

test('a connection goes past the rules until a policy is to judge it', async (t) => {
  const [router, client, server] = await Promise.all([freshNetns(t), freshNetns(t), freshNetns(t)])
  await join(router, client, 'c0', '10.42.0')
  await join(router, server, 's0', '10.42.1')
  await writeSysctl('net.ipv4.ip_forward', '1', router)
  const nft = await openNft({ netns: router })
  t.after(() => nft.close())
  const ruleset = openRuleset(nft)
  const fast = openFastPath({
    ruleset,
    nft,
    pods: { ip: '10.42.0.0/16' },
    devices: async () => ['c0', 's0'],
    clock: systemClock,
    log: silent,
  })
  t.after(() => fast.close())
  const enforced = wholePolicy(openPolicy({ ruleset, log: silent, nodeName: 'here', families: ['ip'], judging: fast.judge.bind(fast) }))
  const apply = async (...policies: ReturnType<typeof policy>[]) => {
    const { errors } = await enforced.apply({ policies, pods: [pod('server', far)], namespaces: [namespace('default')], placed: [] })
    assert.deepEqual(errors, [])
    await fast.apply()
  }
  await apply()
  const conntrack = await openConntrack({ netns: router })
  t.after(() => conntrack.close())
  const proxy = openProxy({ ruleset, conntrack, log: silent, nodeName: 'here', networks })
  await wholeProxy(proxy).apply([service('web', address)], [slice('web', [far], [{ name: '', protocol: 'TCP', port: 9000 }])])
  assert.match(await nft.dump('ip', 'coracle-fast'), /devices = \{ c0, s0 \}/)

  // Counts packets that pass the host's path; it is no filter of what is forwarded.
  const probe = inTable({ family: 'ip', name: 'probe' })
  await nft.run([
    probe.add(),
    probe.addObject({ kind: 'counter', name: 'seen' }),
    probe.addChain({ name: 'p', base: { type: 'filter', hook: 'prerouting', priority: 0, policy: 'accept' } }),
    probe.addRule('p', rule(object('counter', 'seen'))),
  ])
  const seen = async () => {
    const [counter] = await nft.reset('ip', 'probe')
    return Number((counter as { packets?: bigint }).packets)
  }

  const listening = spawn('nsenter', [`--net=${server}`, 'nc', '-l', '-p', '9000', '-e', 'cat'], { stdio: 'ignore' })
  t.after(() => void listening.kill())
  const socket = await connected(client)
  t.after(() => socket.destroy())
  const echo = async (within = 5000): Promise<string> => {
    socket.write('hello\n')
    const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(within) })) as [Buffer]
    return answer.toString()
  }
  for (let i = 0; i < 5; i += 1) assert.match(await echo(), /hello/)
  assert.match(await connections(router), /OFFLOAD/)
  await seen()
  for (let i = 0; i < 20; i += 1) await echo()
  assert.ok((await seen()) < 5, 'its packets pass no chain')

  await apply(policy('closed', { podSelector: {}, policyTypes: ['Ingress'] }))
  assert.deepEqual(await nft.dump('ip', 'coracle-fast'), '')
  await assert.rejects(echo(1000), { name: 'AbortError' })
  assert.doesNotMatch(await connections(router), /OFFLOAD/)

  await apply()
  const [late] = (await once(socket, 'data', { signal: AbortSignal.timeout(20_000) })) as [Buffer]
  assert.match(late.toString(), /hello/)
  for (let i = 0; i < 5; i += 1) await echo()
  assert.match(await connections(router), /OFFLOAD/)
})

/** A link from the router to one who has `.2` there and goes by `.1`. */
async function join(router: string, other: string, name: string, net: string): Promise<void> {
  const fd = openSync(other, 'r')
  await using near = await openRtnetlink({ netns: router })
  await near.run([addVeth({ name, peer: { name: 'eth0', netnsFd: fd } }), setLink(name, { up: true })])
  closeSync(fd)
  await near.run([addAddress({ link: (await near.link(name))!.index, address: `${net}.1`, prefix: 24 })])
  await using there = await openRtnetlink({ netns: other })
  const link = (await there.link('eth0'))!.index
  await there.run([
    setLink('eth0', { up: true }),
    addAddress({ link, address: `${net}.2`, prefix: 24 }),
    addRoute({ to: 'default', via: `${net}.1`, link }),
  ])
}

async function connected(netns: string) {
  for (let left = 50; ; left -= 1) {
    try {
      return new Socket({ fd: await connectInNetns({ netns, host: address, port: 80 }) })
    } catch (error) {
      if (left === 0) throw error
      await new Promise((done) => setTimeout(done, 200))
    }
  }
}

const connections = async (netns: string): Promise<string> =>
  (await exec('nsenter', [`--net=${netns}`, 'cat', '/proc/net/nf_conntrack'])).stdout
