// Variables that name the services a pod can reach, as docker links did (kubernetes pkg/kubelet/envvars).

import type { Service } from '#api/types/core-v1.gen.ts'

const MASTER = 'kubernetes'

/** The master's service always; with `links`, every service of the pod's namespace too. */
export function serviceEnv(services: readonly Service[], namespace: string, links: boolean): Map<string, string> {
  const env = new Map<string, string>()
  for (const service of services) {
    const master = service.metadata.namespace === 'default' && service.metadata.name === MASTER
    if (!master && !(links && service.metadata.namespace === namespace)) continue
    const ip = service.spec.clusterIP
    const ports = service.spec.ports ?? []
    const first = ports[0]
    if (!ip || ip === 'None' || !first) continue
    const prefix = upper(service.metadata.name)
    env.set(`${prefix}_SERVICE_HOST`, ip)
    env.set(`${prefix}_SERVICE_PORT`, String(first.port))
    for (const { name, port } of ports) if (name) env.set(`${prefix}_SERVICE_PORT_${upper(name)}`, String(port))
    const host = ip.includes(':') ? `[${ip}]` : ip
    for (const [index, { port, protocol: proto }] of ports.entries()) {
      const protocol = (proto ?? 'TCP').toLowerCase()
      const url = `${protocol}://${host}:${port}`
      const one = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`
      if (index === 0) env.set(`${prefix}_PORT`, url)
      env.set(one, url)
      env.set(`${one}_PROTO`, protocol)
      env.set(`${one}_PORT`, String(port))
      env.set(`${one}_ADDR`, ip)
    }
  }
  return env
}

const upper = (name: string): string => name.toUpperCase().replaceAll('-', '_')
