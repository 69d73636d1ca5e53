// Claims of a pod and the nodes on which they can be met. A bound volume may be of some nodes only. A claim that waits
// for its first pod is met on the node that is chosen now: by a volume that nobody has, or by one that is made there.
// What is chosen is written once the node is reserved, and the pod waits, without holding up others, until all of its
// claims are bound.

import { claimKeysOf, claimOf, claimsOf } from '#api/claims.ts'
import { sleep } from '#api/clock.ts'
import { PersistentVolume, PersistentVolumeClaim, StorageClass } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import type { Node, Pod } from '#api/types/core-v1.gen.ts'
import { bestOf } from '../../controllers/volumes/match.ts'
import { bindCompleted, boundByController, classOfClaim, isMarked, selectedNode } from '../../controllers/volumes/words.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Handle, Plugin, Refusal } from '../framework/plugin.ts'
import { matchesNodeAffinity } from '../node-affinity.ts'

const name = 'VolumeBinding'
/** Milliseconds that a pod waits for its volumes: kube-scheduler's bindTimeoutSeconds. */
const patience = 600_000
/** Milliseconds after which one is tried again whose choice could not be written. */
const again = 1_000

const conflict: Refusal = { reasons: ["node(s) didn't match PersistentVolume's node affinity"], unresolvable: true }
const noVolume: Refusal = { reasons: ["node(s) didn't find available persistent volumes to bind"], unresolvable: true }
const gone: Refusal = { reasons: ['node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)'], unresolvable: true }
const nowhere = (reason: string) => ({ refusal: { reasons: [reason], unresolvable: true } })

/** For one claim on one node: a volume that is there, or a new one. */
type Choice = { claim: PersistentVolumeClaim; volume: PersistentVolume | undefined }
type Pending = { choices: Choice[]; nodeName: string }

export function volumeBinding({ client, cluster, informers, waiting, happened, clock, signal, log }: Handle): Plugin {
  const claims = informers.of(PersistentVolumeClaim)
  const volumes = informers.of(PersistentVolume)
  const classes = informers.of(StorageClass)
  /** Pods that have their node, by uid. */
  const pending = new Map<string, Pending>()

  const classOf = (claim: PersistentVolumeClaim) => classes.get(classOfClaim(claim) ?? '')
  /** Volumes that no pod is about to get. */
  function untaken(): PersistentVolume[] {
    const taken = new Set([...pending.values()].flatMap(({ choices }) => choices.map(({ volume }) => volume?.metadata.uid)))
    return volumes
      .list()
      .filter(({ metadata }) => !taken.has(metadata.uid))
      .toArray()
  }

  /** How the claims that wait are met on the node; undefined: they are not. */
  function choose(delayed: readonly PersistentVolumeClaim[], open: readonly PersistentVolume[], node: Node): Choice[] | undefined {
    const choices: Choice[] = []
    for (const claim of delayed) {
      const selected = claim.metadata.annotations?.[selectedNode]
      if (selected !== undefined && selected !== node.metadata.name) return undefined
      const free = open.filter(
        (volume) => !choices.some((choice) => choice.volume === volume) && matchesNodeAffinity(volume.spec.nodeAffinity?.required, node),
      )
      const volume = selected === undefined ? bestOf(claim, free) : undefined
      if (!volume && !canBeMade(classOf(claim), node)) return undefined
      choices.push({ claim, volume })
    }
    return choices
  }

  function look(pod: Pod): { refusal: Refusal } | { bound: PersistentVolumeClaim[]; delayed: PersistentVolumeClaim[] } {
    const bound: PersistentVolumeClaim[] = []
    const delayed: PersistentVolumeClaim[] = []
    const { namespace = '' } = pod.metadata
    for (const volume of pod.spec.volumes ?? []) {
      const wanted = claimOf(pod, volume)
      if (wanted === undefined) continue
      const quoted = JSON.stringify(wanted)
      const claim = claims.get(`${namespace}/${wanted}`)
      if (!claim) {
        const waits = `waiting for ephemeral volume controller to create the persistentvolumeclaim ${quoted}`
        return nowhere(volume.ephemeral ? waits : `persistentvolumeclaim ${quoted} not found`)
      }
      if (volume.ephemeral && !claim.metadata.ownerReferences?.some(({ uid }) => uid === pod.metadata.uid))
        return nowhere(`PVC ${namespace}/${wanted} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`)
      if (claim.status?.phase === 'Lost')
        return nowhere(
          `persistentvolumeclaim ${quoted} bound to non-existent persistentvolume ${JSON.stringify(claim.spec.volumeName ?? '')}`,
        )
      if (claim.metadata.deletionTimestamp) return nowhere(`persistentvolumeclaim ${quoted} is being deleted`)
      if (isBound(claim)) bound.push(claim)
      else if (!claim.spec.volumeName && classOf(claim)?.volumeBindingMode === 'WaitForFirstConsumer') delayed.push(claim)
      else return nowhere('pod has unbound immediate PersistentVolumeClaims')
    }
    return { bound, delayed }
  }

  async function write({ choices, nodeName }: Pending): Promise<void> {
    for (const { claim, volume } of choices) {
      const { namespace = '', name: claimName, uid, resourceVersion } = claim.metadata
      if (volume) {
        const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name: claimName, uid, resourceVersion }
        const metadata = {
          uid: volume.metadata.uid,
          resourceVersion: volume.metadata.resourceVersion,
          annotations: { [boundByController]: 'yes' },
        }
        await client.patch(PersistentVolume, { name: volume.metadata.name }, 'merge', { metadata, spec: { claimRef } }, { signal })
      } else if (claim.metadata.annotations?.[selectedNode] !== nodeName) {
        const metadata = { uid, resourceVersion, annotations: { [selectedNode]: nodeName } }
        await client.patch(PersistentVolumeClaim, { namespace, name: claimName }, 'merge', { metadata }, { signal })
      }
    }
  }

  /** Lets those go whose claims are all bound, and those be placed anew whose claim cannot be met on their node. */
  function advance(claim: PersistentVolumeClaim, before?: PersistentVolumeClaim): void {
    for (const [uid, { choices }] of pending) {
      if (!choices.some((choice) => choice.claim.metadata.uid === claim.metadata.uid)) continue
      const refused = before?.metadata.annotations?.[selectedNode] !== undefined && claim.metadata.annotations?.[selectedNode] === undefined
      if (refused && !isBound(claim))
        waiting.reject(uid, name, `provisioning of persistentvolumeclaim ${JSON.stringify(claim.metadata.name)} failed`)
      else if (choices.every((choice) => isBound(claims.get(keyOf(choice.claim.metadata))))) waiting.allow(uid, name)
    }
  }

  claims.on({
    add(claim) {
      happened({ name: 'volumes/change', claim: keyOf(claim.metadata) })
    },
    update(claim, before) {
      advance(claim, before)
      happened({ name: 'volumes/change', claim: keyOf(claim.metadata) })
    },
    delete(claim) {
      for (const [uid, { choices }] of pending)
        if (choices.some((choice) => choice.claim.metadata.uid === claim.metadata.uid))
          waiting.reject(uid, name, `persistentvolumeclaim ${JSON.stringify(claim.metadata.name)} not found`)
    },
  })
  const any = () => happened({ name: 'volumes/change' })
  volumes.on({ add: any, update: any, delete: any })
  classes.on({ add: any, update: any })

  const uses = ({ pod }: PodInfo) => claimsOf(pod).length > 0
  return {
    name,
    hints: {
      'node/add': () => true,
      'node/labels': () => true,
      'volumes/change': ({ pod }, { claim }) => (claim === undefined ? claimsOf(pod).length > 0 : claimKeysOf(pod).includes(claim)),
    },
    preFilter(info) {
      if (!uses(info)) return undefined
      const found = look(info.pod)
      if ('refusal' in found) return found
      const theirs = found.bound.map(({ spec }) => volumes.get(spec.volumeName ?? ''))
      const open = found.delayed.length > 0 ? untaken() : []
      return {
        filter({ node }: NodeInfo) {
          for (const volume of theirs) {
            if (!volume) return gone
            if (!matchesNodeAffinity(volume.spec.nodeAffinity?.required, node)) return conflict
          }
          return choose(found.delayed, open, node) ? undefined : noVolume
        },
      }
    },
    reserve(info, nodeName) {
      if (!uses(info)) return undefined
      const found = look(info.pod)
      if ('refusal' in found) return found.refusal
      if (found.delayed.length === 0) return undefined
      const node = cluster.node(nodeName)?.node
      const choices = node && choose(found.delayed, untaken(), node)
      if (!choices) return noVolume
      pending.set(info.uid, { choices, nodeName })
      return undefined
    },
    unreserve({ uid }) {
      pending.delete(uid)
    },
    permit({ uid, pod }) {
      const chosen = pending.get(uid)
      if (!chosen) return undefined
      write(chosen).catch((err: unknown) => {
        log.debug({ pod: pod.metadata.name, namespace: pod.metadata.namespace, err }, 'volumes could not be bound')
        waiting.reject(uid, name, `binding volumes: ${err instanceof Error ? err.message : String(err)}`)
        // What it met may be over by now, with nothing more to be heard of it.
        void sleep(clock, again, signal).then(() => signal.aborted || happened({ name: 'volumes/change' }))
      })
      return { wait: patience }
    },
    postBind({ uid }) {
      pending.delete(uid)
    },
  }
}

const isBound = (claim: PersistentVolumeClaim | undefined): boolean =>
  claim !== undefined && Boolean(claim.spec.volumeName) && isMarked(claim, bindCompleted)

/** Whether a volume of the class can come to be there. Of the class for which nobody makes any it cannot. */
function canBeMade(storageClass: StorageClass | undefined, node: Node): boolean {
  if (!storageClass || storageClass.provisioner === 'kubernetes.io/no-provisioner') return false
  const { allowedTopologies = [] } = storageClass
  const labels = node.metadata.labels ?? {}
  return (
    allowedTopologies.length === 0 ||
    allowedTopologies.some(({ matchLabelExpressions = [] }) =>
      matchLabelExpressions.every(({ key, values }) => values.includes(labels[key] ?? '')),
    )
  )
}
