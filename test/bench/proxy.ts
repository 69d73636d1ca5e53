// The service proxy's programming: services of three endpoints each, from nothing, in a fresh network namespace;
// one endpoint changed among them; all of them found there after a restart. Beside it the kernel alone, which
// gets the very bytes that the proxy sent, ready made, and Kubernetes' own layout loaded by `nft -f`.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Nft, type NftCommand, namespaces, openNetlink, openNft } from 'nft-js'
import { encodeBatch } from 'nft-js/nftables/batch.ts'
import { networks, service, slice } from '#agent/proxy/fixtures.ts'
import { openProxy, type Proxy } from '#agent/proxy/proxy.ts'
import { openRuleset, type RulesetNft } from '#agent/ruleset/ruleset.ts'
import { silent } from '#api/log.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { run } from '../cluster/shell.ts'
import { chainsText } from './chains.ts'
import { type Figure, figure, quantile } from './figure.ts'
import { kernelKeeps } from './kernel-memory.ts'

const sizes = [1_000, 5_000, 10_000, 30_000]
/** The first warms up: the agent runs for months. */
const rounds = 5
const changesEach = 20
/** Above, the layout of chains takes minutes. */
const mostInChains = 10_000

const address = (prefix: string, i: number): string => `${prefix}.${i >> 8}.${i & 255}`
const endpointsOf = (i: number): string[] => [address('10.42', i), address('10.44', i), address('10.45', i)]

type Objects = { services: Service[]; slices: EndpointSlice[] }

const cluster = (size: number): Objects => ({
  services: Array.from({ length: size }, (_, i) => service(`service-${i}`, address('10.43', i + 1))),
  slices: Array.from({ length: size }, (_, i) => slice(`service-${i}`, endpointsOf(i))),
})

export async function* proxyBench(): AsyncGenerator<Figure> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-proxy-'))
  try {
    for (const size of sizes) yield* measure(folder, size)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function* measure(folder: string, size: number): AsyncGenerator<Figure> {
  const ours: number[] = []
  const kernels: number[] = []
  const changes: number[] = []
  const adoptions: number[] = []
  let kept = 0
  let datagram = new Uint8Array()
  for (let round = 0; round <= rounds; round++) {
    const objects = cluster(size)
    let sent: readonly NftCommand[] = []
    await inFreshNetns(folder, async (nft) => {
      const recording = recorded(nft, (commands) => (sent = commands))
      const heap = round === rounds ? heapBytes() : 0
      const proxy = proxyOn(recording)
      ours.push(await timed(() => tellAll(proxy, objects)))
      if (round === rounds) kept = heapBytes() - heap
      for (let i = 0; i < changesEach; i++) {
        const name = `service-${(round * changesEach + i) % size}`
        proxy.sliceChanged({ namespace: 'default', name }, slice(name, [address('10.42', i), address('10.46', i), address('10.45', i)]))
        changes.push(await timed(() => proxy.apply()))
        proxy.sliceChanged({ namespace: 'default', name }, objects.slices[(round * changesEach + i) % size])
        await proxy.apply()
      }
      const generation = await nft.generation()
      adoptions.push(await timed(() => tellAll(proxyOn(nft), objects)))
      if ((await nft.generation()) !== generation) throw new Error('the restart changed something')
    })
    if (round === 0) datagram = encodeBatch(sent, 1).datagram.slice()
    kernels.push(await kernelAlone(folder, datagram))
  }
  const median = (samples: number[], perRound = 1) => quantile(samples.slice(perRound), 0.5)
  const name = `service proxy, ${size.toLocaleString('en')} × 3`
  const reference = { name: 'the kernel alone, same bytes', value: median(kernels) }
  yield figure(`${name} from nothing`, median(ours), 'ms', reference)
  if (size <= mostInChains) yield figure(`${name} from nothing, beside chains`, median(ours), 'ms', await inChains(folder, size))
  yield figure(`${name}, one endpoint changed`, median(changes, changesEach), 'ms')
  yield figure(`${name}, adopted after a restart`, median(adoptions), 'ms')
  yield figure(`${name}, what the process keeps`, kept / 2 ** 20, 'MB')
  yield figure(`${name}, what the kernel keeps`, (await inKernel(folder, size)) / 2 ** 20, 'MB')
}

const kernelAlone = async (folder: string, datagram: Uint8Array): Promise<number> => {
  let took = 0
  await inFreshNetns(folder, async (_, netns) => {
    const socket = await openNetlink('netfilter', { netns })
    try {
      took = await timed(() => socket.sendAside(datagram))
    } finally {
      socket.close()
    }
  })
  return took
}

const inChains = async (folder: string, size: number): Promise<{ name: string; value: number }> => {
  const rules = join(folder, 'chains.nft')
  const services = Array.from({ length: size }, (_, i) => ({
    name: `service-${i}`,
    address: address('10.43', i + 1),
    endpoints: endpointsOf(i),
  }))
  await writeFile(rules, chainsText(services, networks.ip.cluster))
  let value = 0
  await inFreshNetns(folder, async (_, netns) => {
    value = await timed(() => run('nsenter', `--net=${netns}`, 'nft', '-f', rules))
  })
  return { name: 'nft -f, a chain per service', value }
}

const recorded = (nft: Nft, record: (commands: readonly NftCommand[]) => void): RulesetNft => ({
  run(commands, options) {
    if (commands.length > 10) record(commands)
    return nft.run(commands, options)
  },
  list: (family, table) => nft.list(family, table),
  elements: (family, table, set) => nft.elements(family, table, set),
  generation: () => nft.generation(),
})

const proxyOn = (nft: RulesetNft): Proxy =>
  openProxy({ ruleset: openRuleset(nft), conntrack: { remove: async () => 0 }, log: silent, nodeName: 'bench', networks })

const tellAll = (proxy: Proxy, { services, slices }: Objects) => {
  for (const service of services) proxy.serviceChanged({ namespace: 'default', name: service.metadata.name }, service)
  for (const [i, slice] of slices.entries()) proxy.sliceChanged({ namespace: 'default', name: `service-${i}` }, slice)
  return proxy.apply()
}

const inKernel = async (folder: string, size: number): Promise<number> => {
  let bytes = 0
  await inFreshNetns(folder, async (nft) => {
    const objects = cluster(size)
    bytes = await kernelKeeps(async () => void (await tellAll(proxyOn(nft), objects)))
  })
  return bytes
}

const heapBytes = (): number => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function inFreshNetns(folder: string, body: (nft: Nft, netns: string) => Promise<void>): Promise<void> {
  const netns = join(folder, 'netns')
  await namespaces.create({ net: netns })
  const nft = await openNft({ netns })
  try {
    await body(nft, netns)
  } finally {
    nft.close()
    await namespaces.unpin(netns)
  }
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await body()
  return performance.now() - started
}
