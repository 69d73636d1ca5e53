// How full the volumes of claims are, in the kubelet's names, read when somebody asks.

import { join } from 'node:path'
import { Gauge, type Registry } from 'prom-client'
import { claimOf } from '#api/claims.ts'
import { localDriver } from '#api/local-volumes.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { VolumeStats } from './driver.ts'
import { exists } from './mount-table.ts'
import { statsOf } from './stats.ts'

const series: Record<string, { help: string; of: keyof VolumeStats }> = {
  capacity_bytes: { help: 'Capacity in bytes of the volume', of: 'capacityBytes' },
  available_bytes: { help: 'Number of available bytes in the volume', of: 'availableBytes' },
  used_bytes: { help: 'Number of used bytes in the volume', of: 'usedBytes' },
  inodes: { help: 'Maximum number of inodes in the volume', of: 'inodes' },
  inodes_free: { help: 'Number of free inodes in the volume', of: 'inodesFree' },
  inodes_used: { help: 'Number of used inodes in the volume', of: 'inodesUsed' },
}

export type VolumeMetricsDeps = { registry: Registry; podsDir: string; pods: () => Iterable<Pod> }

/** Only of volumes that have a file system of their own: to sum up a folder for every scrape would cost too much. */
export function countVolumes({ registry, podsDir, pods }: VolumeMetricsDeps): void {
  async function measure() {
    const found = []
    for (const pod of pods()) {
      const { namespace = '', uid } = pod.metadata
      for (const volume of pod.spec.volumes ?? []) {
        const claim = claimOf(pod, volume)
        const path = join(podsDir, uid, 'volumes', localDriver, volume.name)
        if (claim === undefined || !(await exists(path))) continue
        const stats = await statsOf(path).catch(() => undefined)
        if (stats) found.push({ labels: { namespace, persistentvolumeclaim: claim }, stats })
      }
    }
    return found
  }

  let measuring: ReturnType<typeof measure> | undefined
  /** All series of one scrape are of one look. */
  async function fill(gauge: Gauge<'namespace' | 'persistentvolumeclaim'>, of: keyof VolumeStats): Promise<void> {
    measuring ??= measure().finally(() => {
      measuring = undefined
    })
    const found = await measuring
    gauge.reset()
    for (const { labels, stats } of found) gauge.set(labels, stats[of])
  }
  for (const [name, { help, of }] of Object.entries(series)) {
    const made: Gauge<'namespace' | 'persistentvolumeclaim'> = new Gauge({
      name: `kubelet_volume_stats_${name}`,
      help,
      labelNames: ['namespace', 'persistentvolumeclaim'],
      registers: [],
      collect: () => fill(made, of),
    })
    registry.removeSingleMetric(`kubelet_volume_stats_${name}`)
    registry.registerMetric(made)
  }
}
