// What a pod asks of its network, for the plugins that say they are capable of it (CNI's conventions for
// `runtimeConfig`).

import type { Pod } from '#api/types/core-v1.gen.ts'
import { bandwidthOf } from '../network/bandwidth.ts'

export type Capabilities = Readonly<Record<string, unknown>>

/** Bits: what Kubernetes allows at once beyond the rate. */
const burst = 2 ** 31 - 1

/** Throws where the pod asks for what cannot be meant. */
export function capabilitiesOf({ spec, metadata }: Pod): Capabilities {
  const { annotations = {} } = metadata
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  const portMappings = [...sidecars, ...spec.containers]
    .flatMap(({ ports }) => ports ?? [])
    .filter(({ hostPort }) => hostPort)
    .map(({ hostPort, containerPort, protocol = 'TCP', hostIP = '' }) => ({
      hostPort,
      containerPort,
      protocol: protocol.toLowerCase(),
      hostIP,
    }))
  const { ingress: ingressRate, egress: egressRate } = bandwidthOf(annotations)
  return {
    ...(portMappings.length > 0 && { portMappings }),
    ...((ingressRate || egressRate) && {
      bandwidth: { ...(ingressRate && { ingressRate, ingressBurst: burst }), ...(egressRate && { egressRate, egressBurst: burst }) },
    }),
    'io.kubernetes.cri.pod-annotations': annotations,
  }
}
