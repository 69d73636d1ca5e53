// A node with two pods and a client outside the cluster, each in a network namespace, for tests with
// real packets: pods have a /32 address and reach everything through their gateway, as in the cluster.

import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { writeSysctl } from 'nft-js'
import { freshNetns } from 'nft-js/testing/fresh-netns.ts'
import type { PeerReply, PeerRequest } from './peer.ts'

export const clientAddress = '192.0.2.2'
export const nodeAddress = '192.0.2.1'
export const podAddresses = ['10.42.1.2', '10.42.1.3'] as const
const gateway = '10.42.1.1'

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
}

export const nodeNetwork = async (t: TestContext): Promise<{ node: string; peers: { node: Peer; client: Peer; pods: [Peer, Peer] } }> => {
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
  await ip(
    node,
    `link add outside type veth peer name eth0 netns ${client}
    address add ${nodeAddress}/24 dev outside
    link set outside up
    address add ${gateway}/32 dev lo`,
  )
  await ip(
    client,
    `address add ${clientAddress}/24 dev eth0
    link set eth0 up
    route add default via ${nodeAddress}`,
  )
  for (const [i, pod] of pods.entries()) {
    await ip(
      node,
      `link add pod${i} type veth peer name eth0 netns ${pod}
      link set pod${i} up
      route add ${podAddresses[i]}/32 dev pod${i}`,
    )
    await ip(
      pod,
      `address add ${podAddresses[i]}/32 dev eth0
      link set eth0 up
      route add ${gateway} dev eth0 scope link
      route add default via ${gateway}`,
    )
  }
  await ip(node, `route add 10.43.0.0/16 via ${clientAddress} src ${nodeAddress}`)
  const [nodePeer, clientPeer, onePeer, twoPeer] = await Promise.all([node, client, one, two].map((netns) => startPeer(t, netns)))
  return { node, peers: { node: nodePeer as Peer, client: clientPeer as Peer, pods: [onePeer as Peer, twoPeer as Peer] } }
}

const startPeer = async (t: TestContext, netns: string): Promise<Peer> => {
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
  }
}
