// Host ports as the node's own loopback addresses see them. What is sent to these cannot leave for a pod: the
// kernel would have to take packets for 127.0.0.0/8 from every link (route_localnet), and never does for ::1.
// So the agent listens there itself, and passes connections on. TCP alone: other host ports, and all that
// comes from elsewhere, are the rules' (agent/proxy).

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Log } from '#api/log.ts'
import { isTerminal } from '#api/pods.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { canonicalAddress } from '../proxy/address.ts'

type Target = { host: string; port: number }
type Listener = { server: Server; target: Target; connections: Set<Socket> }

const loopbacks = ['127.0.0.1', '::1']
const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.')

/** Where the loopback addresses lead, by `address port`. Of two pods that claim the same port, the first has it. */
function targetsOf(pods: readonly Pod[]): Map<string, Target> {
  const targets = new Map<string, Target>()
  for (const { spec, status } of pods) {
    const ips = (status?.podIPs ?? []).flatMap(({ ip }) => ip ?? [])
    if (spec.hostNetwork || ips.length === 0 || isTerminal({ status })) continue
    const sidecars = spec.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always') ?? []
    for (const { hostPort, hostIP = '', containerPort, protocol = 'TCP' } of [...sidecars, ...spec.containers].flatMap(
      ({ ports }) => ports ?? [],
    )) {
      if (!hostPort || protocol !== 'TCP') continue
      const bound = canonicalAddress(hostIP)?.text
      const wanted =
        bound && isLoopback(bound) ? [bound] : loopbacks.filter((each) => !bound || bound === (each === '::1' ? '::' : '0.0.0.0'))
      for (const address of wanted) {
        const host = ips.find((ip) => ip.includes(':') === address.includes(':')) ?? ips[0]!
        const key = `${address} ${hostPort}`
        if (!targets.has(key)) targets.set(key, { host, port: containerPort })
      }
    }
  }
  return targets
}

export type LoopbackPorts = {
  /** Whole and idempotent. */
  apply(pods: readonly Pod[]): Promise<void>
  close(): Promise<void>
}

export function openLoopbackPorts({ log }: { log: Log }): LoopbackPorts {
  const listeners = new Map<string, Listener>()
  /** Told of once. */
  const taken = new Set<string>()

  async function open(key: string, target: Target): Promise<void> {
    const [host, port] = key.split(' ') as [string, string]
    const connections = new Set<Socket>()
    const server = createServer({ allowHalfOpen: true }, (client) => {
      connections.add(client)
      client.once('close', () => connections.delete(client))
      relay(client, listeners.get(key)?.target ?? target)
    })
    try {
      server.listen({ host, port: Number(port) })
      await once(server, 'listening')
      listeners.set(key, { server, target, connections })
      taken.delete(key)
    } catch (err) {
      if (!taken.has(key)) log.warn({ err, address: host, port }, 'a host port does not answer on this address of the node')
      taken.add(key)
    }
  }

  async function shut(key: string, { server, connections }: Listener): Promise<void> {
    listeners.delete(key)
    const closed = once(server, 'close')
    server.close()
    for (const connection of connections) connection.destroy()
    await closed
  }

  return {
    async apply(pods) {
      const targets = targetsOf(pods)
      for (const key of taken) if (!targets.has(key)) taken.delete(key)
      for (const [key, listener] of listeners) {
        const target = targets.get(key)
        if (target) listener.target = target
        else await shut(key, listener)
      }
      for (const [key, target] of targets) if (!listeners.has(key)) await open(key, target)
    },
    async close() {
      await Promise.all([...listeners].map(([key, listener]) => shut(key, listener)))
    },
  }
}

/** Both ways until both sides have ended; what fails on one side ends the other. */
function relay(client: Socket, target: Target): void {
  const pod = connect({ ...target, allowHalfOpen: true })
  for (const [from, to] of [
    [client, pod],
    [pod, client],
  ] as const) {
    from.pipe(to)
    from.on('error', () => to.destroy())
    from.on('close', () => from.readableEnded || to.destroy())
  }
}
