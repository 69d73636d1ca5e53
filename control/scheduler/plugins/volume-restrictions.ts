// A claim that is ReadWriteOncePod is one pod's at a time, wherever that pod is.

import { claimKeysOf } from '#api/claims.ts'
import { PersistentVolumeClaim } from '#api/kinds/index.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { Handle, Plugin, Refusal } from '../framework/plugin.ts'

const reasons = ['node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode']
const here: Refusal = { reasons }
const elsewhere: Refusal = { reasons, unresolvable: true }

export function volumeRestrictions({ informers, cluster }: Pick<Handle, 'informers' | 'cluster'>): Plugin {
  const claims = informers.of(PersistentVolumeClaim)
  const usesOne = ({ pods }: NodeInfo, uid: string, exclusive: ReadonlySet<string>): boolean => {
    for (const [other, { pod }] of pods) if (other !== uid && claimKeysOf(pod).some((key) => exclusive.has(key))) return true
    return false
  }
  return {
    name: 'VolumeRestrictions',
    hints: {
      'node/add': () => true,
      'pod/delete'({ pod }, { pod: other }) {
        const theirs = claimKeysOf(other.pod)
        return claimKeysOf(pod).some((key) => theirs.includes(key))
      },
      'volumes/change': ({ pod }, { claim }) => claim !== undefined && claimKeysOf(pod).includes(claim),
    },
    preFilter({ uid, pod }) {
      const exclusive = new Set(claimKeysOf(pod).filter((key) => claims.get(key)?.spec.accessModes?.includes('ReadWriteOncePod')))
      if (exclusive.size === 0) return undefined
      const users = new Set(cluster.nodes.filter((node) => usesOne(node, uid, exclusive)).map(({ name }) => name))
      return {
        filter(node) {
          if (users.size > (users.has(node.name) ? 1 : 0)) return elsewhere
          // Preemption asks with pods taken away.
          return users.has(node.name) && usesOne(node, uid, exclusive) ? here : undefined
        },
      }
    },
  }
}
