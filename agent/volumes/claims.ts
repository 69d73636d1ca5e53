// The persistent volume that a pod's claim is bound to. Once found it is kept beside the pod's volumes: nothing changes
// about it while the pod lives, and a node that starts without the server mounts what it had.

import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { claimOf } from '#api/claims.ts'
import type { Client } from '#api/client/client.ts'
import { PersistentVolume, PersistentVolumeClaim } from '#api/kinds/index.ts'
import type { Pod, Volume } from '#api/types/core-v1.gen.ts'
import { writeDurably } from '../durable.ts'
import { VolumeError } from './volume-error.ts'

export const claimsOf =
  ({ client, podsDir }: { client: Client; podsDir: string }) =>
  async (pod: Pod, volume: Volume, signal?: AbortSignal): Promise<PersistentVolume> => {
    const file = join(podsDir, pod.metadata.uid, 'claims', `${volume.name}.json`)
    const known = await readFile(file, 'utf8').catch(() => undefined)
    const kept = known && readKept(known)
    if (kept) return kept
    const { namespace = '' } = pod.metadata
    const name = claimOf(pod, volume) ?? ''
    const claim = await client.find(PersistentVolumeClaim, { namespace, name }, { ...(signal && { signal }) })
    if (!claim) throw new VolumeError(`persistentvolumeclaim ${JSON.stringify(name)} not found`)
    if (volume.ephemeral && !claim.metadata.ownerReferences?.some(({ uid }) => uid === pod.metadata.uid))
      throw new VolumeError(`PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`)
    if (claim.metadata.deletionTimestamp) throw new VolumeError(`PVC ${namespace}/${name} is being deleted`)
    if (claim.status?.phase !== 'Bound' || !claim.spec.volumeName) throw new VolumeError('PVC is not bound')
    const found = await client.get(PersistentVolume, { name: claim.spec.volumeName }, { ...(signal && { signal }) })
    if (found.spec.claimRef?.uid !== claim.metadata.uid)
      throw new VolumeError(`PV ${found.metadata.name} is not bound to PVC ${namespace}/${name}`)
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeDurably(file, JSON.stringify(found), `${file}.new`)
    return found
  }

/** undefined: a power cut left half of it. */
function readKept(text: string): PersistentVolume | undefined {
  try {
    return JSON.parse(text) as PersistentVolume
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
