// The ports of a host that pods take there, and which of them clash.

import type { Pod } from '#api/types/core-v1.gen.ts'

export type HostPort = { ip: string; protocol: string; port: number }

export function hostPortsOf(pod: Pod): HostPort[] {
  const { containers, initContainers = [], hostNetwork } = pod.spec
  // What has ended before the others start holds no port while they run.
  const staying = initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...containers, ...staying].flatMap(({ ports = [] }) =>
    ports
      .map((port) => ({
        ip: port.hostIP || anywhere,
        protocol: port.protocol ?? 'TCP',
        port: port.hostPort ?? (hostNetwork ? port.containerPort : 0),
      }))
      .filter(({ port }) => port > 0),
  )
}

const anywhere = '0.0.0.0'
const isAnywhere = (ip: string) => ip === anywhere || ip === '::'

/** What is taken on one node. */
export class HostPorts {
  /** Pods by address, by protocol and port. */
  readonly #taken = new Map<string, Map<string, number>>()

  add({ ip, protocol, port }: HostPort, amount: 1 | -1): void {
    const key = `${protocol}/${port}`
    const addresses = this.#taken.get(key) ?? new Map<string, number>()
    this.#taken.set(key, addresses)
    const left = (addresses.get(ip) ?? 0) + amount
    if (left > 0) addresses.set(ip, left)
    else addresses.delete(ip)
    if (addresses.size === 0) this.#taken.delete(key)
  }

  isFree({ ip, protocol, port }: HostPort): boolean {
    const addresses = this.#taken.get(`${protocol}/${port}`)
    if (!addresses) return true
    if (isAnywhere(ip)) return false
    for (const taken of addresses.keys()) if (taken === ip || isAnywhere(taken)) return false
    return true
  }
}
