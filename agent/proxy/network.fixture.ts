// A node with two pods and a client outside the cluster, each in a network namespace, for tests with
// real packets: pods have a /32 address and reach everything through their gateway, as in the cluster.

import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { writeSysctl } from 'nft-js'
import { freshNetns } from 'nft-js/testing/fresh-netns.ts'
import type { PeerReply, PeerRequest } from './peer.ts'

/** A node with two addresses, one family each. */
export const addresses = {
  ip: {
    client: '192.0.2.2',
    node: '192.0.2.1',
    pods: ['10.42.1.2', '10.42.1.3'],
    gateway: '10.42.1.1',
    services: '10.43.0.0/16',
    host: 32,
    link: 24,
  },
  ip6: {
    client: '2001:db8::2',
    node: '2001:db8::1',
    pods: ['fd00:42:0:1::2', 'fd00:42:0:1::3'],
    gateway: 'fd00:42:0:1::1',
    services: 'fd00:43::/112',
    host: 128,
    link: 64,
  },
} as const
export const { client: clientAddress, node: nodeAddress, pods: podAddresses } = addresses.ip

const exec = promisify(execFile)
/** Of util-linux: runs a program in a namespace. */
const enter = 'nsenter'

/** Something that answers and asks in a namespace. `ask` resolves with the answer's text, or with an errno's name. */
export type Peer = {
  listen: (protocol: 'tcp' | 'udp', port: number, name: string) => Promise<void>
  ask: (
    protocol: 'tcp' | 'udp',
    host: string,
    port: number,
    more?: { localPort?: number; keep?: string; patience?: number },
  ) => Promise<string>
  /** How often each answer came to so many connections. */
  count: (host: string, port: number, times: number) => Promise<Record<string, number>>
}

type NodeNetwork = {
  /** Paths of the node's and the pods' namespaces. */
  node: string
  pods: [string, string]
  peers: { node: Peer; client: Peer; pods: [Peer, Peer] }
}

export const nodeNetwork = async (t: TestContext): Promise<NodeNetwork> => {
  const [node, client, one, two] = await Promise.all([freshNetns(t), freshNetns(t), freshNetns(t), freshNetns(t)])
  const ip = (netns: string, batch: string) =>
    exec(enter, [
      `--net=${netns}`,
      'sh',
      '-ec',
      batch
        .trim()
        .split('\n')
        .map((line) => `ip ${line.trim()}`)
        .join('\n'),
    ])
  const pods = [one, two] as const
  await writeSysctl('net.ipv4.ip_forward', '1', node)
  // A hairpin leaves by the link that it came from: redirects, besides being wrong, would use up the budget of other ICMP errors.
  for (const links of ['all', 'default']) await writeSysctl(`net.ipv4.conf.${links}.send_redirects`, '0', node)
  await writeSysctl('net.ipv6.conf.all.forwarding', '1', node)
  await ip(
    node,
    `link add outside type veth peer name eth0 netns ${client}
    link set outside up`,
  )
  await ip(client, 'link set eth0 up')
  for (const [i, pod] of pods.entries()) {
    await ip(
      node,
      `link add pod${i} type veth peer name eth0 netns ${pod}
      link set pod${i} up`,
    )
    await ip(pod, 'link set eth0 up')
  }
  for (const { client: outside, node: own, pods: podsOf, gateway, services, host, link } of Object.values(addresses)) {
    await ip(node, `address add ${own}/${link} dev outside nodad`)
    await ip(
      client,
      `address add ${outside}/${link} dev eth0 nodad
      route add default via ${own} dev eth0`,
    )
    for (const [i, pod] of pods.entries()) {
      await ip(
        node,
        `address add ${gateway}/${host} dev pod${i} nodad
        route add ${podsOf[i]}/${host} dev pod${i}`,
      )
      await ip(
        pod,
        `address add ${podsOf[i]}/${host} dev eth0 nodad
        route add ${gateway} dev eth0
        route add default via ${gateway} dev eth0`,
      )
    }
    await ip(node, `route add ${services} via ${outside} dev outside src ${own}`)
  }
  const [nodePeer, clientPeer, onePeer, twoPeer] = await Promise.all([node, client, one, two].map((netns) => startPeer(t, netns)))
  return { node, pods: [one, two], peers: { node: nodePeer as Peer, client: clientPeer as Peer, pods: [onePeer as Peer, twoPeer as Peer] } }
}

export const startPeer = async (t: { after(cleanup: () => unknown): void }, netns: string): Promise<Peer> => {
  const child = spawn(enter, [`--net=${netns}`, process.execPath, join(import.meta.dirname, 'peer.ts')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, (reply: PeerReply) => void>()
  let last = 0
  child.on('message', (reply: PeerReply) => waiting.get(reply.id)?.(reply))
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  t.after(async () => {
    if (child.connected) child.disconnect()
    await ended
  })
  const tell = (request: PeerRequest): Promise<PeerReply> => {
    const id = ++last
    const { promise, resolve } = Promise.withResolvers<PeerReply>()
    waiting.set(id, resolve)
    child.send({ id, ...request })
    return Promise.race([promise, ended.then(() => ({ id, code: 'EXITED' }))])
  }
  return {
    async listen(protocol, port, name) {
      const { code } = await tell({ do: 'listen', protocol, port, name })
      if (code !== undefined) throw new Error(`listen on ${protocol} ${port}: ${code}`)
    },
    async ask(protocol, host, port, more = {}) {
      const { text, code } = await tell({ do: 'ask', protocol, host, port, ...more })
      return text ?? code ?? ''
    },
    async count(host, port, times) {
      const { text, code } = await tell({ do: 'count', host, port, times })
      if (text === undefined) throw new Error(`count on ${host} ${port}: ${code}`)
      return JSON.parse(text) as Record<string, number>
    },
  }
}
