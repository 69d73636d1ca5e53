// The volumes of this node's pods, each a folder (or file) that containers get bind-mounted, made by the driver
// of its type. All of a pod's are under `<pods>/<uid>/volumes/<type>/<name>`. Everything is idempotent, and
// nothing is remembered but what the file system and the mount table show, so a restarted agent finds it all again.

import { mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Mounts } from 'nft-js'
import type { PersistentVolume, Pod, Volume } from '#api/types/core-v1.gen.ts'
import type { Standing } from './downward.ts'
import type { VolumeDriver, VolumeSpec, VolumeStats } from './driver.ts'
import { exists, mountsUnder } from './mount-table.ts'
import { Staging } from './staging.ts'
import { bindSubPath } from './subpath.ts'
import { VolumeError } from './volume-error.ts'

/** Every volume of a pod, by name, and when (ms) to call `mount` again because a token runs out. */
export type Mounted = { paths: ReadonlyMap<string, string>; refreshAt?: number }

export interface Volumes {
  /** Once, before any other call: brings order into what an earlier process was killed over. */
  recover(): Promise<void>
  /**
   * Makes every volume ready, or brings one that is up to date with its objects. Throws VolumeError
   * (its `cause` a StatusError where the server could not be asked), with what was made left for the next call.
   */
  mount(pod: Pod, standing: Standing, signal?: AbortSignal): Promise<Mounted>
  /** One part of a volume for the `index`th mount of a container, safe against links that lead out. */
  subPath(pod: Pod, volume: { name: string; path: string }, container: string, index: number, subPath: string): Promise<string>
  /** Makes a mounted volume larger. Throws VolumeError where its kind cannot grow. */
  expand(pod: Pod, volume: { name: string; path: string }, bytes: number): Promise<void>
  /** Of each mounted volume that is counted, by name. */
  stats(pod: Pod, mounted: Mounted): Promise<ReadonlyMap<string, VolumeStats>>
  /** Unmounts everything of the pod and deletes its folder. Idempotent. */
  unmount(uid: string): Promise<void>
  /** Uids of the pods that have a folder here. */
  list(): Promise<string[]>
}

export type VolumesDeps = {
  mounts: Mounts
  drivers: readonly VolumeDriver[]
  /** The persistent volume that a pod's claim is bound to. Absent: there are no claims. */
  claims?: (pod: Pod, volume: Volume, signal?: AbortSignal) => Promise<PersistentVolume>
  /** Absolute; a folder per pod uid. */
  podsDir: string
  /** Absolute; what pods share. */
  stagingDir: string
}

export function openVolumes({ mounts, drivers, claims, podsDir, stagingDir }: VolumesDeps): Volumes {
  const byType = new Map(drivers.flatMap((driver) => driver.types.map((type) => [type, driver] as const)))
  const staging = new Staging(stagingDir, (type) => byType.get(type))
  const folderOf = (uid: string, type: string, name: string) => join(podsDir, uid, 'volumes', type, name)

  async function find(pod: Pod, volume: Volume, signal?: AbortSignal): Promise<{ driver: VolumeDriver; spec: VolumeSpec }> {
    const isClaimed = volume.persistentVolumeClaim ?? volume.ephemeral
    const persistentVolume = isClaimed && claims ? await claims(pod, volume, signal) : undefined
    // A driver of ours may be one of CSI's by its name.
    const own = persistentVolume?.spec.csi?.driver
    const type = own !== undefined && byType.has(own) ? own : persistentVolume ? typeOfPersistent(persistentVolume) : typeOf(volume)
    const driver = byType.get(type)
    if (!driver) throw new VolumeError(`volumes of type ${type} are not supported`)
    return { driver, spec: { name: volume.name, type, volume, ...(persistentVolume && { persistentVolume }) } }
  }

  async function ready(pod: Pod, volume: Volume, standing: Standing, signal?: AbortSignal) {
    const { driver, spec } = await find(pod, volume, signal)
    const { uid } = pod.metadata
    const staged = await staging.stage(driver, spec, uid, signal)
    const target = folderOf(uid, spec.type, spec.name)
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    return await driver.publish({ pod, spec, standing, target, staged, signal })
  }

  async function unmountUnder(folder: string): Promise<void> {
    for (const target of await mountsUnder(folder)) await mounts.unmount(target, { detach: true })
  }

  return {
    async recover() {
      for (const driver of drivers) await driver.recover?.()
      await staging.recover((uid) => exists(join(podsDir, uid)))
    },
    async mount(pod, standing, signal) {
      const paths = new Map<string, string>()
      let refreshAt: number | undefined
      await Promise.all(
        (pod.spec.volumes ?? []).map(async (volume) => {
          try {
            const one = await ready(pod, volume, standing, signal)
            paths.set(volume.name, one.path)
            if (one.refreshAt !== undefined) refreshAt = Math.min(refreshAt ?? Number.POSITIVE_INFINITY, one.refreshAt)
          } catch (error) {
            signal?.throwIfAborted()
            const why = error instanceof Error ? error.message : String(error)
            throw new VolumeError(`MountVolume.SetUp failed for volume ${JSON.stringify(volume.name)} : ${why}`, { cause: error })
          }
        }),
      )
      return { paths, refreshAt }
    },
    subPath(pod, volume, container, index, subPath) {
      const target = join(podsDir, pod.metadata.uid, 'subpaths', volume.name, container, String(index))
      return bindSubPath(mounts, volume.path, subPath, target)
    },
    async expand(pod, { name, path }, bytes) {
      const { driver, spec } = await find(pod, volumeNamed(pod, name))
      if (!driver.expand) throw new VolumeError(`volumes of type ${spec.type} cannot be expanded`)
      await driver.expand(spec, path, bytes)
    },
    async stats(pod, { paths }) {
      const found = new Map<string, VolumeStats>()
      for (const [name, path] of paths) {
        const { driver } = await find(pod, volumeNamed(pod, name))
        const stats = await driver.stats(path)
        if (stats) found.set(name, stats)
      }
      return found
    },
    async unmount(uid) {
      const folder = join(podsDir, uid)
      await unmountUnder(join(folder, 'subpaths'))
      for (const type of await readdir(join(folder, 'volumes')).catch(() => [])) {
        for (const name of await readdir(join(folder, 'volumes', type))) await byType.get(type)?.unpublish(folderOf(uid, type, name), uid)
      }
      // What no driver of this agent knows, an earlier version may have mounted.
      await unmountUnder(folder)
      // Deleting must never reach through a mount into what is not the pod's own.
      const left = await mountsUnder(folder)
      if (left.length > 0) throw new VolumeError(`still mounted: ${left.join(', ')}`)
      await staging.release(uid)
      await rm(folder, { recursive: true, force: true })
    },
    async list() {
      return readdir(podsDir).catch(() => [])
    },
  }
}

const volumeNamed = (pod: Pod, name: string): Volume => pod.spec.volumes?.find((volume) => volume.name === name) ?? { name }

/** The volume's own field, e.g. `configMap`. */
const typeOf = (volume: Volume): string => Object.keys(volume).find((key) => key !== 'name' && volume[key as keyof Volume]) ?? 'emptyDir'

/** What a persistent volume has beside its source. */
const aside = new Set([
  'capacity',
  'accessModes',
  'claimRef',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'mountOptions',
  'volumeMode',
  'nodeAffinity',
  'volumeAttributesClassName',
])

const typeOfPersistent = ({ spec }: PersistentVolume): string =>
  Object.keys(spec).find((key) => !aside.has(key) && spec[key as keyof typeof spec]) ?? 'none'
