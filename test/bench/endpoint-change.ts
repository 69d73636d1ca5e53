// From the write of an endpoint slice to the API to the first connection that reaches the new endpoint,
// on a node that proxies many services. The reference is the same write and its event, without a proxy.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpsClient } from '#api/client/https.ts'
import { isStatus } from '#api/errors.ts'
import { EndpointSlice, Service } from '#api/kinds/index.ts'
import { benchCluster } from './cluster.ts'
import { type Figure, figure, quantile } from './figure.ts'

const rounds = 60
const pauseMs = 30
/** Requests under way at once while the services are made. */
const width = 32
const namespace = 'default'

export async function* endpointChangeBench(): AsyncGenerator<Figure> {
  await using cluster = await benchCluster()
  const { client, plan } = cluster
  const address = plan.nodes[0]?.addresses[0] ?? ''
  const servers = [await listen(address, 'a'), await listen(address, 'b')]
  try {
    await client.create(Service, { metadata: { name: 'bench', namespace }, spec: { ports: [{ port: 80 }] } })
    const { spec } = await client.get(Service, { name: 'bench', namespace })
    await client.create(EndpointSlice, sliceTo('bench', address, portOf(servers[0]!)))
    let made = 0
    for (const count of [10, 10_000]) {
      await fill(client, made, count)
      made = count
      const [change, event] = await measure(client, spec.clusterIP as string, servers)
      const reference = { name: 'the write and its event alone, p50', value: quantile(event, 0.5) }
      const name = `slice written → first connection, ${count.toLocaleString('en')} services`
      yield figure(`${name}, p50`, quantile(change, 0.5), 'ms', reference)
      yield figure(`${name}, p95`, quantile(change, 0.95), 'ms', reference)
    }
  } finally {
    for (const server of servers) server.close()
  }
}

async function measure(client: HttpsClient, clusterIP: string, servers: Server[]): Promise<[number[], number[]]> {
  const changes: number[] = []
  const events: number[] = []
  await reached(clusterIP, 'a')
  for (let i = 1; i <= rounds; i++) {
    const [name, server] = i % 2 ? (['b', servers[1]] as const) : (['a', servers[0]] as const)
    await sleep(pauseMs) // a change, not a burst of them
    const started = performance.now()
    await client.patch(EndpointSlice, { name: 'bench', namespace }, 'merge', {
      ports: [{ name: '', protocol: 'TCP', port: portOf(server!) }],
    })
    await reached(clusterIP, name)
    changes.push(performance.now() - started)
  }
  await reached(clusterIP, 'a')
  const stop = new AbortController()
  const { metadata } = await client.get(EndpointSlice, { name: 'bench', namespace })
  const watch = client.watch(EndpointSlice, { namespace, resourceVersion: metadata.resourceVersion ?? '', signal: stop.signal })
  const heard = watch[Symbol.asyncIterator]()
  for (let i = 0; i < rounds; i++) {
    const started = performance.now()
    await Promise.all([
      client.patch(EndpointSlice, { name: 'bench', namespace }, 'merge', { metadata: { labels: { round: String(i) } } }),
      heard.next(),
    ])
    events.push(performance.now() - started)
  }
  stop.abort()
  return [changes, events]
}

async function fill(client: HttpsClient, from: number, to: number): Promise<void> {
  const names = Array.from({ length: to - from }, (_, i) => `filler-${from + i}`).values()
  const worker = async () => {
    for (const name of names) {
      await persistently(() => client.create(Service, { metadata: { name, namespace }, spec: { ports: [{ port: 80 }] } }))
      await persistently(() => client.create(EndpointSlice, sliceTo(name, '192.0.2.1', 80)))
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/** A create whose answer was lost may have been done. */
async function persistently(create: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await create()
      return
    } catch (error) {
      if (isStatus(error, 'AlreadyExists')) return
      if (attempt === 5 || !isStatus(error, 'ServiceUnavailable')) throw error
    }
  }
}

const sliceTo = (service: string, address: string, port: number): EndpointSlice =>
  ({
    metadata: { name: service, namespace, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: '', protocol: 'TCP', port }],
  }) as unknown as EndpointSlice

/** Connects again and again until this server answers. */
async function reached(clusterIP: string, name: string): Promise<void> {
  const until = performance.now() + 30_000
  while ((await ask(clusterIP)) !== name) if (performance.now() > until) throw new Error(`${name} is never reached through ${clusterIP}`)
}

const ask = (host: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect(80, host)
    socket.once('error', () => resolve(undefined))
    socket.once('data', (data) => {
      resolve(String(data))
      socket.destroy()
    })
  })

async function listen(address: string, name: string): Promise<Server> {
  const server = createServer((socket) => void socket.on('error', () => {}).end(name)).listen(0, address)
  await once(server, 'listening')
  return server
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port
