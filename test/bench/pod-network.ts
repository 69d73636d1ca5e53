// Between two pods of a node, and of two nodes through VXLAN, with all of the agent's links and rules, against
// veth, bridge and VXLAN of the same kernel and nothing else, and against the same without rules: iperf3 for throughput, sockperf for round trips.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Figure } from './figure.ts'
import { inside, Nodes, type Place, serve } from './nodes.ts'
import { compared } from './pairs.ts'

const rounds = 9
const port = '11111'

export async function* podNetworkBench(): AsyncGenerator<Figure> {
  await using stack = new AsyncDisposableStack()
  const nodes = new Nodes(stack)
  const [[a, b], [c]] = (await nodes.ofAgent()).map(({ pods }) => pods) as [readonly [Place, Place], readonly [Place, Place]]
  const [[plainA, plainB], [plainC]] = await nodes.plain()
  const [[bareA, bareB], [bareC]] = (await nodes.ofAgent({ rules: false })).map(({ pods }) => pods) as [
    readonly [Place, Place],
    readonly [Place, Place],
  ]
  for (const { netns, address } of [b, c, plainB, plainC, bareB, bareC]) {
    serve(stack, netns, 'iperf3', '-s', '-B', address)
    serve(stack, netns, 'sockperf', 'server', '--tcp', '-i', address, '-p', port)
  }
  await sleep(500) // neither says when it listens
  for (const { where, to, plain, bare } of [
    { where: 'of one node', to: b, plain: { name: 'veth and bridge alone', to: plainB }, bare: bareB },
    { where: 'across VXLAN', to: c, plain: { name: 'veth, bridge and VXLAN alone', to: plainC }, bare: bareC },
  ]) {
    for (const { referenceName, from, target } of [
      { referenceName: plain.name, from: plainA, target: plain.to },
      { referenceName: 'the same links and routes, no rules', from: bareA, target: bare },
    ]) {
      const ways = (measure: (from: Place, to: Place) => Promise<number>) => ({
        way: () => measure(a, to),
        reference: () => measure(from, target),
        referenceName,
        rounds,
      })
      yield await compared(`pods ${where}, throughput`, 'Gbit/s', ways(throughput))
      yield await compared(`pods ${where}, round trips`, '1/s', ways(roundTrips))
    }
  }
}

const throughput = async (from: Place, to: Place): Promise<number> => {
  const text = await inside(from.netns, 'iperf3', '-c', to.address, '-n', '256M', '-J')
  const { end } = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } }
  return end.sum_received.bits_per_second / 1e9
}

const roundTrips = async (from: Place, to: Place): Promise<number> => {
  const text = await inside(from.netns, 'sockperf', 'ping-pong', '--tcp', '-i', to.address, '-p', port, '-t', '1')
  // Half a round trip, in microseconds.
  const [, latency] = /Latency is ([\d.]+) usec/.exec(text) ?? []
  if (latency === undefined) throw new Error(`sockperf: ${text}`)
  return 1e6 / (2 * Number(latency))
}
