// The service proxy against `nft -f` of the same rules: 10,000 services of 3 endpoints each from
// nothing, in a fresh network namespace; then one endpoint changed among them.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Nft, namespaces, openNft } from 'nft-js'
import { networks, service, slice } from '#agent/proxy/fixtures.ts'
import { openProxy, type Proxy } from '#agent/proxy/proxy.ts'
import { openRuleset } from '#agent/ruleset/ruleset.ts'
import { silent } from '#api/log.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { run } from '../cluster/shell.ts'
import { type Figure, figure, quantile } from './figure.ts'

const services = 10_000
const rounds = 5

const address = (prefix: string, i: number): string => `${prefix}.${i >> 8}.${i & 255}`

const cluster = (): { services: Service[]; slices: EndpointSlice[] } => ({
  services: Array.from({ length: services }, (_, i) => service(`service-${i}`, address('10.43', i + 1))),
  slices: Array.from({ length: services }, (_, i) =>
    slice(`service-${i}`, [address('10.42', i), address('10.44', i), address('10.45', i)]),
  ),
})

export async function* proxyBench(): AsyncGenerator<Figure> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-proxy-'))
  try {
    yield* measure(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function* measure(folder: string): AsyncGenerator<Figure> {
  const rules = join(folder, 'rules.nft')
  const ours: number[] = []
  const theirs: number[] = []
  const changes: number[] = []
  const adoptions: number[] = []
  // The first round warms up: the agent runs for months.
  for (let round = 0; round <= rounds; round++) {
    const { services, slices } = cluster()
    await inFreshNetns(folder, async (nft) => {
      const proxy = proxyOn(nft)
      ours.push(await timed(() => tellAll(proxy, services, slices)))
      await writeFile(rules, await nft.dump('ip', 'coracle'))
      for (let i = 0; i < 10; i++) {
        const name = `service-${round * 10 + i}`
        proxy.sliceChanged({ namespace: 'default', name }, slice(name, [address('10.42', i), address('10.46', i), address('10.45', i)]))
        changes.push(await timed(() => proxy.apply()))
      }
      adoptions.push(await timed(() => tellAll(proxyOn(nft), services, slices)))
    })
    await inFreshNetns(folder, async (_, netns) => {
      theirs.push(await timed(() => run('nsenter', `--net=${netns}`, 'nft', '-f', rules)))
    })
  }
  const median = (samples: number[], perRound = 1) => quantile(samples.slice(perRound), 0.5)
  yield figure('service proxy, 10,000 × 3 from nothing', median(ours), 'ms', { name: 'nft -f of the same rules', value: median(theirs) })
  yield figure('service proxy, one endpoint of 10,000 × 3 changed', median(changes, 10), 'ms')
  yield figure('service proxy, 10,000 × 3 adopted after a restart', median(adoptions), 'ms')
}

const proxyOn = (nft: Nft): Proxy =>
  openProxy({ ruleset: openRuleset(nft), conntrack: { remove: async () => 0 }, log: silent, nodeName: 'bench', networks })

const tellAll = (proxy: Proxy, services: readonly Service[], slices: readonly EndpointSlice[]) => {
  for (const service of services) proxy.serviceChanged({ namespace: 'default', name: service.metadata.name }, service)
  for (const [i, slice] of slices.entries()) proxy.sliceChanged({ namespace: 'default', name: `service-${i}` }, slice)
  return proxy.apply()
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
