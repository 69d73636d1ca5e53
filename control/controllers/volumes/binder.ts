// Brings claims and volumes together (one reconciler for each), and lets go of what nobody wants any more. Of a pair
// the volume is written first, and only as it was when it was chosen: two claims never get the same one, and after a
// crash the claim finds what was kept for it.

import { claimKeysOf } from '#api/claims.ts'
import type { Client } from '#api/client/client.ts'
import { isStatus } from '#api/errors.ts'
import { byLabel, type Index } from '#api/informer/indexes.ts'
import { Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { defaultClassOf } from '#api/kinds/rules/default-class.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { isLocalVolume, localFinalizer, nodeLabel, nodeLabelOf } from '#api/local-volumes.ts'
import { isTerminal } from '#api/pods.ts'
import { done, mapped, of, type Reconciler, type Result } from '#api/queue/reconciler.ts'
import type { Deps } from '../deps.ts'
import { refOf } from '../ownership.ts'
import { type ClaimMove, planClaim } from './claim.ts'
import { localVolume } from './local.ts'
import { Teller } from './teller.ts'
import { planVolume } from './volume.ts'
import {
  bindCompleted,
  boundByController,
  classOfClaim,
  classOfVolume,
  isMarked,
  selectedNode,
  storageProvisioner,
  storageProvisionerBeta,
} from './words.ts'

const byClaimRef: Index<PersistentVolume> = ({ spec: { claimRef } }) => (claimRef ? [`${claimRef.namespace}/${claimRef.name}`] : [])
/** Claims that have no volume, by class. */
const waitingByClass: Index<PersistentVolumeClaim> = (claim) => (isMarked(claim, bindCompleted) ? [] : [classOfClaim(claim) ?? ''])
const byVolume: Index<PersistentVolumeClaim> = ({ spec }) => (spec.volumeName ? [spec.volumeName] : [])
const byUsedClaim: Index<Pod> = (pod) => (isTerminal(pod) ? [] : claimKeysOf(pod))

export function claimBinding({ client, informers, recorderFor }: Deps): Reconciler {
  const claims = informers.of(PersistentVolumeClaim)
  const volumes = informers.of(PersistentVolume)
  const classes = informers.of(StorageClass)
  const pods = informers.of(Pod)
  const nodes = informers.of(Node)
  const teller = new Teller(recorderFor('persistentvolume-controller'))

  const keysOf = (list: readonly PersistentVolumeClaim[]) => list.map(({ metadata }) => keyOf(metadata))
  /** Those that the volume is kept for or that name it, and where anybody may have it, all that wait for one like it. */
  const concerned = (volume: PersistentVolume): string[] => {
    const { claimRef } = volume.spec
    const named = keysOf(claims.by(byVolume, volume.metadata.name))
    if (claimRef) return [...named, `${claimRef.namespace}/${claimRef.name}`]
    return volume.status?.phase === 'Available' ? [...named, ...keysOf(claims.by(waitingByClass, classOfVolume(volume)))] : named
  }

  async function act(claim: PersistentVolumeClaim, move: ClaimMove, signal: AbortSignal): Promise<void> {
    const { uid, resourceVersion } = claim.metadata
    const change = (patch: object) => client.patch(PersistentVolumeClaim, refOf(claim), 'merge', patch, { signal })
    switch (move.do) {
      case 'class':
        return void (await change({ metadata: { uid, resourceVersion }, spec: { storageClassName: move.name } }))
      case 'bind':
        return bind(client, claim, move.volume, signal)
      case 'phase':
        if (claim.status?.phase === move.phase) return
        return void (await client.patch(
          PersistentVolumeClaim,
          refOf(claim),
          'merge',
          { metadata: { uid }, status: { phase: move.phase } },
          { subresource: 'status', signal },
        ))
      case 'tell':
        return teller.tell(claim, move)
      case 'select':
        return void (await change({ metadata: { uid, annotations: { [selectedNode]: move.node ?? null } } }))
      case 'ask':
        if (claim.metadata.annotations?.[storageProvisioner] === move.provisioner) return
        return void (await change({
          metadata: { uid, annotations: { [storageProvisioner]: move.provisioner, [storageProvisionerBeta]: move.provisioner } },
        }))
      case 'provision':
        return provision(claim, move, signal)
      default:
        return remove(client, move.volume, signal)
    }
  }

  async function provision(claim: PersistentVolumeClaim, move: ClaimMove & { do: 'provision' }, signal: AbortSignal): Promise<void> {
    const node = nodes.get(move.node) ?? (await client.find(Node, { name: move.node }, { signal }))
    // It went away meanwhile: the pod is to be placed anew.
    if (!node) return act(claim, { do: 'select', node: undefined }, signal)
    const hostname = node.metadata.labels?.['kubernetes.io/hostname'] ?? node.metadata.name
    try {
      await client.create(PersistentVolume, localVolume(claim, move.class, move.node, hostname), { signal })
      const message = 'External provisioner is provisioning volume for claim ' + JSON.stringify(keyOf(claim.metadata))
      teller.tell(claim, { type: 'Normal', reason: 'Provisioning', message })
    } catch (error) {
      if (!isStatus(error, 'AlreadyExists')) throw error
    }
  }

  return {
    name: 'persistentvolumeclaim-binder',
    watches: [
      of(PersistentVolumeClaim),
      mapped(PersistentVolume, (volume, old) => new Set([...concerned(volume), ...(old?.spec.claimRef ? concerned(old) : [])])),
      mapped(StorageClass, ({ metadata }) => [
        ...keysOf(claims.by(waitingByClass, metadata.name)),
        ...keysOf(claims.by(waitingByClass, '').filter((claim) => classOfClaim(claim) === undefined)),
      ]),
      mapped(Pod, (pod, old) => (old && old.spec.nodeName === pod.spec.nodeName ? [] : claimKeysOf(pod))),
    ],
    async reconcile(key, signal): Promise<Result> {
      const claim = claims.get(key)
      if (!claim) {
        teller.forget(key)
        return done
      }
      if (claim.metadata.deletionTimestamp && !isMarked(claim, bindCompleted)) return done
      const named = claim.spec.volumeName
      // A cache that has not heard yet of a volume is no reason to call it lost.
      const missing = named && !volumes.get(named) ? await client.find(PersistentVolume, { name: named }, { signal }) : undefined
      const moves = planClaim({
        claim,
        classOf: (name) => classes.get(name),
        defaultClass: defaultClassOf(classes.list()),
        volumeOf: (name) => volumes.get(name) ?? (name === named ? missing : undefined),
        reserved: volumes.by(byClaimRef, key),
        all: volumes.list(),
        consumers: pods.by(byUsedClaim, key),
      })
      for (const move of moves) await act(claims.get(key) ?? claim, move, signal)
      const succeeded = moves.find((move) => move.do === 'bind')?.volume
      if (succeeded && isLocalVolume(succeeded) && !isMarked(claim, bindCompleted))
        teller.tell(claim, {
          type: 'Normal',
          reason: 'ProvisioningSucceeded',
          message: `Successfully provisioned volume ${succeeded.metadata.name}`,
        })
      return done
    },
  }
}

/** Idempotent: what is said already is not written again. */
async function bind(client: Client, claim: PersistentVolumeClaim, volume: PersistentVolume, signal: AbortSignal): Promise<void> {
  const { name, namespace = '', uid, resourceVersion } = claim.metadata
  const { claimRef } = volume.spec
  if (claimRef?.uid !== uid) {
    const ref = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion }
    const annotations = claimRef ? {} : { annotations: { [boundByController]: 'yes' } }
    const metadata = { uid: volume.metadata.uid, resourceVersion: volume.metadata.resourceVersion, ...annotations }
    await client.patch(PersistentVolume, refOf(volume), 'merge', { metadata, spec: { claimRef: ref } }, { signal })
  }
  if (volume.status?.phase !== 'Bound') {
    const patch = { metadata: { uid: volume.metadata.uid }, status: { phase: 'Bound', message: null, reason: null } }
    await client.patch(PersistentVolume, refOf(volume), 'merge', patch, { subresource: 'status', signal })
  }
  const chosen = claim.spec.volumeName ? {} : { [boundByController]: 'yes' }
  if (claim.spec.volumeName !== volume.metadata.name || !isMarked(claim, bindCompleted)) {
    const annotations = { [bindCompleted]: 'yes', ...chosen }
    const patch = { metadata: { uid, resourceVersion, annotations }, spec: { volumeName: volume.metadata.name } }
    await client.patch(PersistentVolumeClaim, refOf(claim), 'merge', patch, { signal })
  }
  const { phase, capacity, accessModes } = claim.status ?? {}
  // How large a bound one is changes as it grows, and only then (expansion.ts).
  const isNew = phase !== 'Bound' || !capacity
  if (!isNew && same(accessModes, volume.spec.accessModes)) return
  const status = { phase: 'Bound', accessModes: volume.spec.accessModes, ...(isNew && { capacity: capacityOf(volume) }) }
  await client.patch(PersistentVolumeClaim, refOf(claim), 'merge', { metadata: { uid }, status }, { subresource: 'status', signal })
}

const capacityOf = ({ spec }: PersistentVolume) => ({ ...spec.capacity })

async function remove(client: Client, volume: PersistentVolume, signal: AbortSignal): Promise<void> {
  const { uid, resourceVersion, deletionTimestamp } = volume.metadata
  if (deletionTimestamp) return
  try {
    await client.delete(PersistentVolume, refOf(volume), { preconditions: { uid, ...(resourceVersion && { resourceVersion }) }, signal })
  } catch (error) {
    if (!isStatus(error, 'NotFound')) throw error
  }
}

export function volumeBinding({ client, informers, recorderFor }: Deps): Reconciler {
  const volumes = informers.of(PersistentVolume)
  const claims = informers.of(PersistentVolumeClaim)
  const nodes = informers.of(Node)
  const teller = new Teller(recorderFor('persistentvolume-controller'))
  return {
    name: 'persistentvolume-binder',
    watches: [
      of(PersistentVolume),
      mapped(PersistentVolumeClaim, (claim) => [
        ...volumes.by(byClaimRef, keyOf(claim.metadata)).map(({ metadata }) => metadata.name),
        ...(claim.spec.volumeName ? [claim.spec.volumeName] : []),
      ]),
      // A node that is gone takes nothing away any more.
      mapped(Node, (node, old) =>
        old ? [] : volumes.by(byLabel(nodeLabel), nodeLabelOf(node.metadata.name)).map(({ metadata }) => metadata.name),
      ),
    ],
    async reconcile(name, signal) {
      const volume = volumes.get(name)
      if (!volume) {
        teller.forget(name)
        return done
      }
      if (await abandoned(volume, signal)) return done
      const { claimRef } = volume.spec
      const key = claimRef && `${claimRef.namespace}/${claimRef.name}`
      const known = key === undefined ? undefined : claims.get(key)
      const isSure = !claimRef?.uid || known?.metadata.uid === claimRef.uid
      // Before anything is given up: as the server has it now.
      const claim = isSure
        ? known
        : await client.find(PersistentVolumeClaim, { namespace: claimRef.namespace ?? '', name: claimRef.name ?? '' }, { signal })
      for (const move of planVolume(volume, claim)) {
        const now = volumes.get(name) ?? volume
        const { uid, resourceVersion } = now.metadata
        if (move.do === 'tell') teller.tell(now, move)
        else if (move.do === 'delete') await remove(client, now, signal)
        else if (move.do === 'free') {
          // Who wrote the reference by hand keeps it, without the uid of what it meant.
          const freed = isMarked(now, boundByController) ? null : { uid: null, resourceVersion: null }
          const patch = { metadata: { uid, resourceVersion, annotations: { [boundByController]: null } }, spec: { claimRef: freed } }
          await client.patch(PersistentVolume, { name }, 'merge', patch, { signal })
        } else {
          const status = { phase: move.phase, message: move.message ?? null }
          await client.patch(
            PersistentVolume,
            { name },
            'merge',
            { metadata: { uid, resourceVersion }, status },
            { subresource: 'status', signal },
          )
        }
      }
      return done
    },
  }

  /** On its way out, and its node with its disk is gone from the cluster: there is nobody who could take it away. */
  async function abandoned(volume: PersistentVolume, signal: AbortSignal): Promise<boolean> {
    const { metadata } = volume
    if (!metadata.deletionTimestamp || !isLocalVolume(volume) || !metadata.finalizers?.includes(localFinalizer)) return false
    if ([...nodes.list()].some((node) => isOfNode(volume, node.metadata.name))) return false
    const live = await client.list(Node, { signal })
    if (live.items.some((node) => isOfNode(volume, node.metadata.name))) return false
    const finalizers = metadata.finalizers.filter((each) => each !== localFinalizer)
    teller.tell(volume, {
      type: 'Warning',
      reason: 'VolumeLost',
      message: 'The node of this volume has left the cluster; what is on its disk stays there',
    })
    await client.patch(
      PersistentVolume,
      refOf(volume),
      'merge',
      { metadata: { uid: metadata.uid, resourceVersion: metadata.resourceVersion, finalizers } },
      { signal },
    )
    return true
  }
}

const isOfNode = ({ metadata }: PersistentVolume, node: string): boolean => metadata.labels?.[nodeLabel] === nodeLabelOf(node)
