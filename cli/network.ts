// The addresses of a cluster, from options that server and agents have in common.

import { addressAt, type Cidr, parseCidrs } from '#api/cidr.ts'

export type NetworkOptions = { clusterCidr?: Cidr[]; serviceCidr?: Cidr[]; clusterDns?: string[] }

export type ClusterNetwork = { pods: Cidr[]; services: Cidr[]; dns: string[] }

/** k3s' defaults. Throws RangeError where pods and services have not the same families: neither could use the other. */
export function networkOf({ clusterCidr, serviceCidr, clusterDns }: NetworkOptions): ClusterNetwork {
  const pods = clusterCidr ?? parseCidrs('10.42.0.0/16') ?? []
  const services = serviceCidr ?? parseCidrs('10.43.0.0/16') ?? []
  const families = (cidrs: readonly Cidr[]) => cidrs.map(({ family }) => family).join(' and ')
  if (families(pods) !== families(services))
    throw new RangeError(
      `--cluster-cidr has ${families(pods)} addresses, --service-cidr ${families(services)}: both need the same, in the same order`,
    )
  return { pods, services, dns: clusterDns ?? services.map((cidr) => addressAt(cidr, 10)) }
}
