// The cluster's name server, in the agent of every node: answers the cluster's names from memory, however
// long the control plane is away, and asks the host's servers for all others. It is told of services and
// endpoint slices as they change; before `synced` it does not claim to know that a name does not exist.

import type { Registry } from 'prom-client'
import type { Clock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { behindAlias } from './alias.ts'
import { type Counts, exportCounts, newCounts, type Source } from './counts.ts'
import type { Forwarded } from './forward.ts'
import { listen } from './listen.ts'
import { type Answer, encodeAnswer, failureAnswer, parseQuery, type Query, RCODE, TYPE, udpPayload } from './message.ts'
import { Outside } from './outside.ts'
import { readOverrides } from './overrides.ts'
import { hostServers, type Servers } from './resolv-conf.ts'
import type { Stamp } from './service-entry.ts'
import { type ObjectName, Zone } from './zone.ts'

export type DnsOptions = {
  /** One of each family; must be on an interface already. */
  addresses: readonly string[]
  /** 0 for any. */
  port: number
  /** E.g. `cluster.local`. */
  domain: string
  /** Service and pod ranges: their reverse names are never asked of others. */
  cidrs: readonly string[]
  /** A resolv.conf to follow, or servers as `address` or `address#port`. */
  upstream: { file: string } | readonly string[]
  clock: Clock
  random: () => number
  log: Log
  /** How long one upstream server may take. */
  timeoutMillis?: number
  /** Where its counts are shown. */
  metrics?: Registry
}

export interface Dns {
  readonly port: number
  /** A service as it is now; undefined once it is gone. */
  serviceChanged(object: ObjectName, service: Service | undefined): void
  sliceChanged(object: ObjectName, slice: EndpointSlice | undefined): void
  /** What people have set, as the data of a ConfigMap (overrides.ts); undefined: nothing. Returns what is wrong with it. */
  configure(data: Record<string, string> | undefined): string[]
  /** All services and slices have been told once: what is unknown from now on does not exist. */
  synced(): void
  close(): Promise<void>
}

const mostKept = 10_000
const classIn = 1

/** Throws when the address and port cannot be had. */
export async function openDns(options: DnsOptions): Promise<Dns> {
  const zone = new Zone(options)
  const { clock, random, log } = options
  const servers: Servers =
    'file' in options.upstream
      ? hostServers({ file: options.upstream.file, own: options.addresses, now: () => clock.monotonic(), log })
      : { list: async () => options.upstream as readonly string[] }
  const outside = new Outside({ servers, clock, random, log, timeoutMillis: options.timeoutMillis })
  const counts = newCounts()
  if (options.metrics) exportCounts(counts, options.metrics)
  const kept = new Map<string, { answer: Answer; stamp: Stamp }>()
  let complete = false

  const from = (source: Source, answer: Answer): Answer => {
    counts.answered[source]++
    return answer
  }

  const resolve = (query: Query): Answer | Promise<Answer> => {
    if (query.failure !== undefined) return from('refused', failureAnswer(query.failure))
    const known = kept.get(query.key)
    if (known?.stamp.valid) return from('memory', known.answer)
    if (query.class !== classIn || query.type === TYPE.AXFR || query.type === TYPE.IXFR || query.type === TYPE.OPT) {
      return from('refused', failureAnswer(RCODE.refused))
    }
    const set = outside.set(query)
    if (set) return from('hosts', set)
    if (!zone.owns(query.labels)) return counted(outside.resolve(query), counts)
    const found = zone.resolve(query.labels, query.type)
    if ('outside' in found) return counted(behindAlias(query, found, outside), counts)
    if (!complete && found.answer.counts.answer === 0) return from('cluster', failureAnswer(RCODE.serverFailure))
    if (found.stamp.valid && complete) {
      if (kept.size >= mostKept) kept.clear()
      kept.set(query.key, found)
    }
    return from('cluster', found.answer)
  }

  const encode = (query: Query, answer: Answer, limit: number | undefined): Buffer => {
    counts.rcodes.set(answer.rcode, (counts.rcodes.get(answer.rcode) ?? 0) + 1)
    return encodeAnswer(query, answer, { limit, random })
  }

  const stack = new AsyncDisposableStack()
  let { port } = options
  const answering: Omit<Parameters<typeof listen>[0], 'address' | 'port'> = {
    onError: (error) => log.error({ error }, 'the name server failed on a message'),
    answer(message, { datagram }) {
      const query = parseQuery(message)
      if (!query) return undefined
      const limit = datagram ? Math.min(query.edns?.payload ?? 512, udpPayload) : undefined
      const answer = resolve(query)
      if (!(answer instanceof Promise)) return encode(query, answer, limit)
      // Forwarding outlives the buffer that the message came in.
      return answer.then((answer) => encode(query, answer, limit))
    },
  }
  try {
    for (const address of options.addresses) {
      const listening = await listen({ address, port, ...answering })
      stack.defer(() => listening.close())
      port = listening.port
    }
  } catch (error) {
    outside.close()
    await stack.disposeAsync()
    throw error
  }

  return {
    port,
    serviceChanged: (object, service) => zone.serviceChanged(object, service),
    sliceChanged: (object, slice) => zone.sliceChanged(object, slice),
    configure(data) {
      const problems: string[] = []
      outside.override(readOverrides(data ?? {}, (problem) => problems.push(problem)))
      kept.clear()
      return problems
    },
    synced() {
      complete = true
    },
    async close() {
      outside.close()
      await stack.disposeAsync()
    },
  }
}

/** What comes from others, remembered here or not. */
const counted = (answer: Forwarded | Promise<Forwarded>, counts: Counts): Answer | Promise<Answer> => {
  const count = (answer: Forwarded): Answer => {
    counts.answered[answer.stale ? 'stale' : 'forwarded']++
    if (answer.stale || answer.rcode === RCODE.serverFailure) counts.failures++
    return answer
  }
  return answer instanceof Promise ? answer.then(count) : count(answer)
}
