// Makes, enlarges and takes away the volumes of this node's disk, as the PersistentVolumes say that are the node's own.
// The object was there before the volume and goes after it, so what is done here may be cut off at any point: the
// object is still there to do it again from.

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import type { Informer } from '#api/informer/informer.ts'
import { PersistentVolume } from '#api/kinds/index.ts'
import { localFinalizer, problemAnnotation, sizeAnnotation, sizeOf } from '#api/local-volumes.ts'
import type { Log } from '#api/log.ts'
import { units } from '#api/quantity.ts'
import { WorkQueue } from '#api/queue/queue.ts'
import type { Disk } from './disk.ts'

export type KeeperDeps = {
  client: Client
  clock: Clock
  log: Log
  disk: Disk
  /** This node's own. */
  volumes: Informer<PersistentVolume>
  /** Where the volume is mounted for pods of this node. */
  stagedAt: (handle: string) => Promise<string | undefined>
  /** The file system of a volume that is mounted there becomes as large as its image. */
  grow: (staged: string, handle: string) => Promise<void>
}

export type Keeper = { close(): Promise<void> }

export function keepVolumes({ client, clock, log, disk, volumes, stagedAt, grow }: KeeperDeps): Keeper {
  const queue = new WorkQueue({ clock, backoff: { first: 50, longest: 10_000 } })
  const closing = new AbortController()
  const { signal } = closing
  const wake = ({ metadata }: PersistentVolume) => queue.addAfter(metadata.name, 0)
  const unfollow = volumes.on({ add: wake, update: wake })

  async function tell({ metadata }: PersistentVolume, annotations: Record<string, string | null>): Promise<void> {
    await client.patch(PersistentVolume, { name: metadata.name }, 'merge', { metadata: { uid: metadata.uid, annotations } }, { signal })
  }

  async function make(volume: PersistentVolume): Promise<void> {
    const handle = volume.spec.csi?.volumeHandle ?? ''
    const wanted = units(volume.spec.capacity?.['storage'])
    const known = sizeOf(volume)
    const problem = volume.metadata.annotations?.[problemAnnotation]
    if (known !== undefined && known >= wanted) return
    // What it could not make is the server's to take back. What it could not enlarge may go one day.
    if (known === undefined && problem !== undefined) return
    try {
      let bytes = known === undefined ? await disk.make(handle, wanted) : 0
      if (bytes < wanted) bytes = await disk.enlarge(handle, wanted)
      // One that nobody has mounted follows when it is mounted next.
      const staged = await stagedAt(handle)
      if (staged !== undefined && (await disk.isToGrow(handle))) await grow(staged, handle)
      await tell(volume, { [sizeAnnotation]: String(bytes), ...(problem !== undefined && { [problemAnnotation]: null }) })
    } catch (error) {
      if (signal.aborted || isStatus(error, 'NotFound', 'Conflict', 'ServiceUnavailable')) throw error
      const text = error instanceof Error ? error.message : String(error)
      if (text !== problem) await tell(volume, { [problemAnnotation]: text })
      throw error
    }
  }

  async function remove({ metadata, spec }: PersistentVolume): Promise<void> {
    const finalizers = metadata.finalizers ?? []
    if (!finalizers.includes(localFinalizer)) return
    const handle = spec.csi?.volumeHandle ?? ''
    // As the server has it now: what bears the name may be another by now, or to be kept.
    const live = await client.find(PersistentVolume, { name: metadata.name }, { signal })
    if (!live || live.metadata.uid !== metadata.uid || !live.metadata.deletionTimestamp) return
    // A claim that is still bound to it holds it (kubernetes.io/pv-protection).
    if (live.status?.phase === 'Bound') return
    if ((await stagedAt(handle)) !== undefined) throw new Error(`volume ${handle} is still in use`)
    if (live.spec.persistentVolumeReclaimPolicy === 'Delete') await disk.remove(handle)
    const left = (live.metadata.finalizers ?? []).filter((name) => name !== localFinalizer)
    const patch = { metadata: { uid: metadata.uid, resourceVersion: live.metadata.resourceVersion, finalizers: left } }
    await client.patch(PersistentVolume, { name: metadata.name }, 'merge', patch, { signal })
  }

  async function work(): Promise<void> {
    for (let name = await queue.take(); name !== undefined; name = await queue.take()) {
      const volume = volumes.get(name)
      try {
        if (volume?.metadata.deletionTimestamp) await remove(volume)
        else if (volume) await make(volume)
        queue.forget(name)
      } catch (err) {
        if (!signal.aborted && !isStatus(err, 'NotFound')) {
          const retryInMs = queue.retry(name)
          log.warn({ volume: name, err, retryInMs }, 'a volume of this node is not as it should be')
        }
      }
      queue.done(name)
    }
  }

  const working = Promise.all([work(), work()])
  return {
    async close() {
      closing.abort()
      unfollow()
      queue.close()
      await working
    },
  }
}
