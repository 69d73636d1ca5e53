// What a claim needs next, told from the claim, its class, the volumes that could be its own, and the pods that
// wait for it. As Kubernetes' binder decides (pkg/controller/volume/persistentvolume).

import { isLocalVolume, localDriver, problemAnnotation, sizeOf } from '#api/local-volumes.ts'
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '#api/types/core-v1.gen.ts'
import type { StorageClass } from '#api/types/storage-v1.gen.ts'
import { bestOf, mismatch, reservedFor } from './match.ts'
import { bindCompleted, boundByController, classOfClaim, isMarked, refersTo, selectedNode } from './words.ts'

export type ClaimSight = {
  claim: PersistentVolumeClaim
  classOf: (name: string) => StorageClass | undefined
  /** Of claims that name none. */
  defaultClass: StorageClass | undefined
  volumeOf: (name: string) => PersistentVolume | undefined
  /** Those whose claimRef names this claim. */
  reserved: readonly PersistentVolume[]
  /** Those that may be looked through for one that nobody has. */
  all: Iterable<PersistentVolume>
  /** Pods that use the claim and have not ended. */
  consumers: readonly Pod[]
}

export type Told = { type: 'Normal' | 'Warning'; reason: string; message: string }

export type ClaimMove =
  | { do: 'class'; name: string }
  /** Writes into each of the two that the other is its own. */
  | { do: 'bind'; volume: PersistentVolume }
  | { do: 'phase'; phase: 'Pending' | 'Lost' }
  | ({ do: 'tell' } & Told)
  /** Where its first pod will be; undefined: that is open again. */
  | { do: 'select'; node: string | undefined }
  | { do: 'provision'; class: StorageClass; node: string }
  /** Another's provisioner is to make the volume. */
  | { do: 'ask'; provisioner: string }
  /** A volume that was made for it, and did not come to be. */
  | { do: 'discard'; volume: PersistentVolume }

const tell = (type: Told['type'], reason: string, message: string): ClaimMove => ({ do: 'tell', type, reason, message })
const pending: ClaimMove = { do: 'phase', phase: 'Pending' }
const lost: ClaimMove = { do: 'phase', phase: 'Lost' }

export function planClaim(sight: ClaimSight): ClaimMove[] {
  const { claim } = sight
  if (isMarked(claim, bindCompleted)) return keep(sight)
  return claim.spec.volumeName ? ofItsChoice(claim, claim.spec.volumeName, sight) : unbound(sight)
}

function keep({ claim, volumeOf }: ClaimSight): ClaimMove[] {
  const { volumeName } = claim.spec
  if (!volumeName)
    return [lost, tell('Warning', 'ClaimLost', 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!')]
  const volume = volumeOf(volumeName)
  if (!volume) return [lost, tell('Warning', 'ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!')]
  if (!volume.spec.claimRef || refersTo(volume, claim)) return [{ do: 'bind', volume }]
  return [lost, tell('Warning', 'ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly')]
}

function ofItsChoice(claim: PersistentVolumeClaim, name: string, { volumeOf }: ClaimSight): ClaimMove[] {
  const volume = volumeOf(name)
  // It may come yet.
  if (!volume) return [pending]
  if (volume.spec.claimRef && !refersTo(volume, claim))
    return [pending, tell('Warning', 'FailedBinding', `volume ${JSON.stringify(name)} already bound to a different claim.`)]
  if (volume.metadata.deletionTimestamp) return [pending]
  const why = volume.spec.claimRef && isMarked(claim, boundByController) ? undefined : mismatch(volume, claim)
  if (why) return [pending, tell('Warning', 'VolumeMismatch', `Cannot bind to requested volume ${JSON.stringify(name)}: ${why}`)]
  return [{ do: 'bind', volume }]
}

function unbound(sight: ClaimSight): ClaimMove[] {
  const { claim, defaultClass, classOf, reserved, all } = sight
  const named = classOfClaim(claim)
  if (named === undefined && defaultClass) return [{ do: 'class', name: defaultClass.metadata.name }]
  const begun = reserved.find((volume) => isLocalVolume(volume) && refersTo(volume, claim) && sizeOf(volume) === undefined)
  if (begun) return underWay(claim, begun)
  const kept = reservedFor(
    claim,
    reserved.filter((volume) => refersTo(volume, claim)),
  )
  if (kept) return [{ do: 'bind', volume: kept }]
  const storageClass = named ? classOf(named) : undefined
  const waits = storageClass?.volumeBindingMode === 'WaitForFirstConsumer'
  const node = claim.metadata.annotations?.[selectedNode]
  if (waits && node === undefined) return [pending, ...awaited(sight)]
  // For one that waits the scheduler has looked for a volume on that node, and found none.
  const found = waits ? undefined : bestOf(claim, all)
  if (found) return [{ do: 'bind', volume: found }]
  if (!named)
    return [pending, tell('Normal', 'FailedBinding', 'no persistent volumes available for this claim and no storage class is set')]
  if (!storageClass)
    return [pending, tell('Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io ${JSON.stringify(named)} not found`)]
  return [pending, ...provision(claim, storageClass, node)]
}

/** Its first pod decides where it is; one that names its node itself is no business of the scheduler's. */
function awaited({ consumers }: ClaimSight): ClaimMove[] {
  const placed = consumers.find(({ spec }) => spec.nodeName)
  if (placed) return [{ do: 'select', node: placed.spec.nodeName }]
  const [first] = consumers
  if (!first) return [tell('Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding')]
  return [tell('Normal', 'WaitForPodScheduled', `waiting for pod ${first.metadata.name} to be scheduled`)]
}

function underWay(claim: PersistentVolumeClaim, volume: PersistentVolume): ClaimMove[] {
  const problem = volume.metadata.annotations?.[problemAnnotation]
  if (volume.metadata.deletionTimestamp || problem === undefined) return [pending]
  const node = claim.metadata.annotations?.[selectedNode] ?? ''
  return [
    tell(
      'Warning',
      'ProvisioningFailed',
      `failed to provision volume with StorageClass ${JSON.stringify(classOfClaim(claim) ?? '')}: node ${node}: ${problem}`,
    ),
    { do: 'select', node: undefined },
    { do: 'discard', volume },
  ]
}

function provision(claim: PersistentVolumeClaim, storageClass: StorageClass, node: string | undefined): ClaimMove[] {
  const { provisioner, metadata } = storageClass
  const failed = (why: string) =>
    tell('Warning', 'ProvisioningFailed', `failed to provision volume with StorageClass ${JSON.stringify(metadata.name)}: ${why}`)
  if (provisioner === localDriver) {
    if (node === undefined) return [failed('a volume of a node needs a class with volumeBindingMode WaitForFirstConsumer')]
    const unable = cannotMake(claim)
    if (unable) return [failed(unable)]
    return [{ do: 'provision', class: storageClass, node }]
  }
  if (provisioner.startsWith('kubernetes.io/'))
    return [tell('Warning', 'ProvisioningFailed', `no volume plugin matched name: ${provisioner}`)]
  return [
    { do: 'ask', provisioner },
    tell(
      'Normal',
      'ExternalProvisioning',
      `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
    ),
  ]
}

/** What the nodes' own volumes are not. */
function cannotMake({ spec }: PersistentVolumeClaim): string | undefined {
  if (spec.selector) return 'claim Selector is not supported'
  if (spec.volumeMode === 'Block') return 'volumeMode Block is not supported'
  if (spec.dataSource || spec.dataSourceRef) return 'a data source is not supported'
  const shared = spec.accessModes?.find((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany')
  return shared && `access mode ${shared} is not supported: the volume is on one node's disk`
}
