// What the node authorizer asks about pods, answered from the cache.

import type { Pod as PodType } from '#api/types/core-v1.gen.ts'
import type { NodeFacts } from '#control/auth/node-authorizer.ts'
import type { Change } from './change.ts'
import type { Item } from './item.ts'
import { keyFor, type Resource } from './resource.ts'
import type { WatchCache } from './watch-cache.ts'

/** Which pods a node has is kept by node: asking must not cost a look at every pod. */
export class PodsByNode implements NodeFacts {
  readonly #cache: WatchCache
  readonly #pods: Resource
  readonly #byNode = new Map<string, Map<string, Item>>()

  constructor({ cache, pods }: { cache: WatchCache; pods: Resource }) {
    this.#cache = cache
    this.#pods = pods
    for (const item of cache.of(pods).under(pods.prefix)) this.#put(item)
    cache.onChange((resource, change) => {
      if (resource.prefix === pods.prefix) this.#apply(change)
    })
  }

  nodeOfPod(namespace: string, name: string): string | undefined {
    const item = this.#cache.of(this.#pods).get(keyFor(this.#pods, namespace, name))
    return item && nodeNameOf(item)
  }

  nodeUses(node: string, resource: string, namespace: string, name: string): boolean {
    for (const item of this.#byNode.get(node)?.values() ?? []) {
      const pod = item.object as PodType
      if (pod.metadata.namespace === namespace && namesUsedBy(pod, resource).has(name)) return true
    }
    return false
  }

  #apply(change: Change): void {
    const before = change.previous && nodeNameOf(change.previous)
    if (before !== undefined) this.#byNode.get(before)?.delete(change.item.key)
    if (change.type !== 'DELETED') this.#put(change.item)
  }

  #put(item: Item): void {
    const node = nodeNameOf(item)
    if (node === undefined) return
    const pods = this.#byNode.get(node) ?? new Map<string, Item>()
    pods.set(item.key, item)
    this.#byNode.set(node, pods)
  }
}

const nodeNameOf = (item: Item): string | undefined => (item.object as PodType).spec.nodeName || undefined

function namesUsedBy({ spec }: PodType, resource: string): Set<string> {
  const names = new Set<string>()
  const add = (name: string | undefined) => {
    if (name) names.add(name)
  }
  if (resource === 'serviceaccounts') {
    add(spec.serviceAccountName)
    return names
  }
  const secrets = resource === 'secrets'
  for (const volume of spec.volumes ?? []) {
    add(secrets ? volume.secret?.secretName : volume.configMap?.name)
    for (const source of volume.projected?.sources ?? []) add(secrets ? source.secret?.name : source.configMap?.name)
  }
  for (const container of [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])]) {
    for (const from of container.envFrom ?? []) add(secrets ? from.secretRef?.name : from.configMapRef?.name)
    for (const { valueFrom } of container.env ?? []) add(secrets ? valueFrom?.secretKeyRef?.name : valueFrom?.configMapKeyRef?.name)
  }
  if (secrets) for (const pull of spec.imagePullSecrets ?? []) add(pull.name)
  return names
}
