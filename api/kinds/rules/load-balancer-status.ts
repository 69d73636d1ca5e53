// Where a load balancer takes traffic for a service or an ingress, as it tells.

import type { Faults } from './faults.ts'

type Status = { loadBalancer?: { ingress?: readonly { ip?: string }[] } }

export function validateLoadBalancer(status: Status | undefined, faults: Faults): void {
  for (const [i, { ip }] of (status?.loadBalancer?.ingress ?? []).entries())
    if (ip) faults.address(`status.loadBalancer.ingress[${i}].ip`, ip)
}
