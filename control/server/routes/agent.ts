// Where the agent of a node is, and how the server calls it.

import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { StatusError } from '#api/errors.ts'
import { Node, Pod } from '#api/kinds/index.ts'
import type { Core } from '../objects/core.ts'

export type AgentTls = { ca: string; cert: string; key: string }
export type AgentAddress = {
  host: string
  port: number /** Whom the certificate there must name: the node, wherever it is by now. */
  servername: string
}

const standardPort = 10_250
const answerWithinMs = 30_000

/** Of the node with this name. Throws NotFound, ServiceUnavailable for a node that gave no address, BadRequest for one where nobody is sent. */
export async function agentOf(core: Core, name: string): Promise<AgentAddress> {
  const node = (await core.get({ resource: core.resources.of(Node), namespace: undefined, name })).object as Node
  const host = node.status?.addresses?.find((a) => a.type === 'InternalIP')?.address
  if (!host) throw new StatusError('ServiceUnavailable', `node ${JSON.stringify(name)} has no address`)
  return { host: core.dial(host), port: node.status.daemonEndpoints?.kubeletEndpoint?.Port || standardPort, servername: name }
}

/** As the server behind a request that is passed on. */
export const backendOf = ({ host, port, servername }: AgentAddress, tls: AgentTls) => ({ host, port, tls: { ...tls, servername } })

export type PodPlace = { pod: Pod; agent: AgentAddress }

export async function placeOf(core: Core, namespace: string, name: string): Promise<PodPlace> {
  const pod = (await core.get({ resource: core.resources.of(Pod), namespace, name })).object as Pod
  if (!pod.spec.nodeName) throw new StatusError('BadRequest', `pod ${name} does not have a host assigned`)
  return { pod, agent: await agentOf(core, pod.spec.nodeName) }
}

/** The container that is asked for, or the only one; throws BadRequest where there is a choice. */
export function containerOf({ metadata, spec }: Pod, asked: string | null): string {
  const all = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])].map((c) => c.name)
  if (asked) {
    if (all.includes(asked)) return asked
    throw new StatusError('BadRequest', `container ${asked} is not valid for pod ${metadata.name}`)
  }
  const [first] = spec.containers
  if (spec.containers.length === 1 && first) return first.name
  const standard = metadata.annotations?.['kubectl.kubernetes.io/default-container']
  if (standard && all.includes(standard)) return standard
  const names = (list: { name: string }[]) => list.map((c) => c.name).join(' ')
  const inits = spec.initContainers?.length ? ` or one of the init containers: [${names(spec.initContainers)}]` : ''
  throw new StatusError(
    'BadRequest',
    `a container name must be specified for pod ${metadata.name}, choose one of: [${names(spec.containers)}]${inits}`,
  )
}

/** A request to an agent; resolves with the head of its answer. Throws InternalError where it cannot be reached. */
export function callAgent(
  agent: AgentAddress,
  path: string,
  options: { tls: AgentTls; signal: AbortSignal; method?: string; headers?: Record<string, string>; body?: Uint8Array },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        ...agent,
        path,
        method: options.method ?? 'GET',
        headers: options.headers,
        ...options.tls,
        agent: false,
        timeout: answerWithinMs,
        signal: options.signal,
      },
      (response) => {
        outgoing.setTimeout(0)
        resolve(response)
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${answerWithinMs / 1000} seconds`)))
    outgoing.on('error', (cause) => {
      const url = `https://${agent.host}:${agent.port}${path}`
      reject(new StatusError('InternalError', `Get ${JSON.stringify(url)}: ${cause.message}`, undefined, { cause }))
    })
    outgoing.end(options.body)
  })
}
