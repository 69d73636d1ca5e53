// The downward API: what a pod may learn about itself, for environment variables and volume files
// (kubernetes pkg/fieldpath).

import { dividedBy } from '#api/quantity.ts'
import type { Container, Pod, ResourceFieldSelector } from '#api/types/core-v1.gen.ts'

/** What the agent knows of a pod before its status says so. */
export type Standing = { nodeName: string; hostIPs: string[]; podIPs: string[]; allocatable: Record<string, string> }

const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/

/** The field's value, `''` where it is unset; undefined where there is no such field. */
export function fieldValue(pod: Pod, path: string, standing: Standing): string | undefined {
  const keyed = subscript.exec(path)
  if (keyed) return pod.metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2]!] ?? ''
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name
    case 'metadata.namespace':
      return pod.metadata.namespace ?? ''
    case 'metadata.uid':
      return pod.metadata.uid
    case 'metadata.labels':
      return lines(pod.metadata.labels)
    case 'metadata.annotations':
      return lines(pod.metadata.annotations)
    case 'spec.nodeName':
      return standing.nodeName
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? ''
    case 'status.hostIP':
      return standing.hostIPs[0] ?? ''
    case 'status.hostIPs':
      return standing.hostIPs.join(',')
    case 'status.podIP':
      return standing.podIPs[0] ?? ''
    case 'status.podIPs':
      return standing.podIPs.join(',')
    default:
      return undefined
  }
}

/** A container's request or limit, in the selector's divisor; an unset limit is what the node offers. Undefined: no such resource. */
export function resourceValue(container: Container, selector: ResourceFieldSelector, standing: Standing): string | undefined {
  const dot = selector.resource.indexOf('.')
  const list = selector.resource.slice(0, dot)
  const name = selector.resource.slice(dot + 1)
  if (list !== 'limits' && list !== 'requests') return undefined
  const own = container.resources?.[list]?.[name]
  return dividedBy(own ?? (list === 'limits' ? standing.allocatable[name] : undefined) ?? '0', selector.divisor).toString()
}

/** The container that a volume's resource selector names. */
export const containerNamed = (pod: Pod, name: string | undefined): Container | undefined =>
  [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((container) => container.name === name)

/** One `key="value"` a line, sorted, values quoted as in Go. */
const lines = (map: Record<string, string> = {}): string =>
  Object.keys(map)
    .sort()
    .map((key) => `${key}=${JSON.stringify(map[key])}`)
    .join('\n')
