// What a service costs those who use it: wrk from a pod to HAProxy in another of the node, through the
// service's address against the pod's own, among few and many services. New connections, one request each;
// and requests over one that is kept. Beside it one rule of nft that translates: what the kernel itself takes.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeSysctl } from 'nft-js'
import { service, slice } from '#agent/proxy/fixtures.ts'
import type { Proxy } from '#agent/proxy/proxy.ts'
import type { Figure } from './figure.ts'
import { type BenchNode, inside, Nodes, type Place, serve } from './nodes.ts'
import { compared } from './pairs.ts'

const rounds = 9
const clusterIP = '10.43.255.1'
const answer = `global
  nbthread 1
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend all
  bind :8080
  bind :8081
  http-request return status 200 content-type text/plain string ok
`

export async function* serviceTrafficBench(): AsyncGenerator<Figure> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'bench-service-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const nodes = await new Nodes(stack).ofAgent()
  const [{ proxy, pods }, other] = nodes
  const [client, backend] = pods
  const config = join(folder, 'haproxy.cfg')
  await writeFile(config, answer)
  for (const { netns, pods } of nodes) {
    // Connections that ended minutes ago would hold the ports that translation has to find free.
    for (const state of ['time_wait', 'close']) await writeSysctl(`net.netfilter.nf_conntrack_tcp_timeout_${state}`, '1', netns)
    serve(stack, pods[1].netns, 'haproxy', '-q', '-db', '-f', config)
  }
  await sleep(500) // it does not say when it listens
  yield await oneRule(other)
  tell(proxy, 'bench', clusterIP, [backend.address])
  let told = 0
  for (const count of [10, 10_000]) {
    for (; told < count; told++) tell(proxy, `s${told}`, `10.43.${told >> 8}.${told & 255}`, ['10.42.2.2', '10.42.2.3', '10.42.2.4'])
    await proxy.apply()
    const among = `, ${count.toLocaleString('en')} services`
    const ways = (measure: (from: Place, to: string) => Promise<number>) => ({
      way: () => measure(client, `http://${clusterIP}/`),
      reference: () => measure(client, `http://${backend.address}:8081/`),
      referenceName: 'the same pod directly',
      rounds,
    })
    yield await compared(`new connections through a service${among}`, '1/s', ways(newConnections))
    yield await compared(`requests over a kept connection${among}`, '1/s', ways(requests))
    yield await compared(`p99 of those requests${among}`, 'ms', ways(slowRequests))
  }
}

/** What the kernel takes to translate at all: one rule for one address, and no others. */
const oneRule = async ({ netns, pods: [client, backend] }: BenchNode): Promise<Figure> => {
  for (const table of ['coracle', 'coracle-policy']) await inside(netns, 'nft', 'delete', 'table', 'ip', table)
  const rule = `ip daddr ${clusterIP} tcp dport 80 dnat to ${backend.address}:8080`
  await inside(netns, 'nft', `table ip one { chain nat { type nat hook prerouting priority dstnat; ${rule}; }; }`)
  return compared('new connections through one rule of nft', '1/s', {
    way: () => newConnections(client, `http://${clusterIP}/`),
    reference: () => newConnections(client, `http://${backend.address}:8081/`),
    referenceName: 'the same pod directly',
    rounds,
  })
}

const tell = (proxy: Proxy, name: string, address: string, endpoints: string[]): void => {
  proxy.serviceChanged({ namespace: 'default', name }, service(name, address))
  proxy.sliceChanged({ namespace: 'default', name }, slice(name, endpoints))
}

const newConnections = ({ netns }: Place, url: string) =>
  wrk(netns, /Requests\/sec:\s+([\d.]+)/, '-c', '16', '-H', 'Connection: close', url)
const requests = ({ netns }: Place, url: string) => wrk(netns, /Requests\/sec:\s+([\d.]+)/, '-c', '1', url)

const slowRequests = async ({ netns }: Place, url: string): Promise<number> => {
  const text = await inside(netns, 'wrk', '-t', '1', '-d', '1', '--latency', '-c', '1', url)
  const [, number, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(text) ?? []
  if (number === undefined) throw new Error(`wrk: ${text}`)
  return Number(number) * { us: 0.001, ms: 1, s: 1000 }[unit as 'us' | 'ms' | 's']
}

const wrk = async (netns: string, pattern: RegExp, ...args: string[]): Promise<number> => {
  const text = await inside(netns, 'wrk', '-t', '1', '-d', '1', ...args)
  const [, value] = pattern.exec(text) ?? []
  if (value === undefined || /Non-2xx|Socket errors/.test(text)) throw new Error(`wrk: ${text}`)
  return Number(value)
}
