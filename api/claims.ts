// Which claims a pod uses.

import type { Pod, Volume } from './types/core-v1.gen.ts'

/** Of a volume that names a claim, or has one made for it. */
export const claimOf = (pod: Pod, { name, persistentVolumeClaim, ephemeral }: Volume): string | undefined =>
  persistentVolumeClaim?.claimName ?? (ephemeral && `${pod.metadata.name}-${name}`)

export const claimsOf = (pod: Pod): string[] => (pod.spec.volumes ?? []).flatMap((volume) => claimOf(pod, volume) ?? [])

/** As claims are known by: `namespace/name`. */
export const claimKeysOf = (pod: Pod): string[] => claimsOf(pod).map((name) => `${pod.metadata.namespace}/${name}`)
