// What the node authorizer asks about pods, answered from the cache.

import { claimsOf } from '#api/claims.ts'
import { PersistentVolume, PersistentVolumeClaim, VolumeAttachment } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { isLocalVolume, nodeLabel, nodeLabelOf } from '#api/local-volumes.ts'
import type { Pod as PodType } from '#api/types/core-v1.gen.ts'
import type { NodeFacts } from '#control/auth/node-authorizer.ts'
import type { Change } from '../cache/change.ts'
import type { Item } from '../cache/item.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import { keyFor, type Resource } from '../objects/resource.ts'

/** Which pods a node has is kept by node: asking must not cost a look at every pod. */
type Peek = (kind: Kind, ref: { namespace?: string; name: string }) => KubeObject | undefined

export class PodsByNode implements NodeFacts {
  readonly #cache: WatchCache
  readonly #peek: Peek
  readonly #pods: Resource
  readonly #byNode = new Map<string, Map<string, Item>>()

  constructor({ cache, pods, peek }: { cache: WatchCache; pods: Resource; peek: Peek }) {
    this.#cache = cache
    this.#peek = peek
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
    if (resource === VolumeAttachment.plural)
      return (this.#peek(VolumeAttachment, { name }) as VolumeAttachment | undefined)?.spec.nodeName === node
    if (resource === PersistentVolume.plural) return this.#usesVolume(node, name)
    for (const item of this.#byNode.get(node)?.values() ?? []) {
      const pod = item.object as PodType
      if (pod.metadata.namespace === namespace && namesUsedBy(pod, resource).has(name)) return true
    }
    return false
  }

  nodeKeeps(node: string, name: string): boolean {
    const volume = this.#peek(PersistentVolume, { name }) as PersistentVolume | undefined
    return volume !== undefined && isLocalVolume(volume) && volume.metadata.labels?.[nodeLabel] === nodeLabelOf(node)
  }

  /** Both must name each other: whoever writes a claim may write any volume's name into it. */
  #usesVolume(node: string, name: string): boolean {
    const claim = (this.#peek(PersistentVolume, { name }) as PersistentVolume | undefined)?.spec.claimRef
    if (!claim?.namespace || !claim.name) return false
    const found = this.#peek(PersistentVolumeClaim, { namespace: claim.namespace, name: claim.name }) as PersistentVolumeClaim | undefined
    if (found?.spec.volumeName !== name || (claim.uid !== undefined && claim.uid !== found.metadata.uid)) return false
    return this.nodeUses(node, PersistentVolumeClaim.plural, claim.namespace, claim.name)
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

function namesUsedBy(pod: PodType, resource: string): Set<string> {
  const { spec } = pod
  const names = new Set<string>()
  const add = (name: string | undefined) => {
    if (name) names.add(name)
  }
  if (resource === 'serviceaccounts') {
    add(spec.serviceAccountName)
    return names
  }
  if (resource === 'persistentvolumeclaims') {
    for (const name of claimsOf(pod)) add(name)
    return names
  }
  const secrets = resource === 'secrets'
  for (const volume of spec.volumes ?? []) {
    add(secrets ? volume.secret?.secretName : volume.configMap?.name)
    if (secrets) add(volume.csi?.nodePublishSecretRef?.name)
    for (const source of volume.projected?.sources ?? []) add(secrets ? source.secret?.name : source.configMap?.name)
  }
  for (const container of [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])]) {
    for (const from of container.envFrom ?? []) add(secrets ? from.secretRef?.name : from.configMapRef?.name)
    for (const { valueFrom } of container.env ?? []) add(secrets ? valueFrom?.secretKeyRef?.name : valueFrom?.configMapKeyRef?.name)
  }
  if (secrets) for (const pull of spec.imagePullSecrets ?? []) add(pull.name)
  return names
}
