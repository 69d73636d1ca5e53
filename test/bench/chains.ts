// The layout that Kubernetes' own nftables proxy has, for comparison: a chain for each port of a service, one
// for each endpoint, and in the former a map from a random number to the latter. As `nft -f` takes it.

import { createHash } from 'node:crypto'

export type ChainService = { name: string; address: string; endpoints: readonly string[] }

export const chainsText = (services: readonly ChainService[], cluster: string): string => {
  const chains: string[] = []
  const elements: string[] = []
  for (const { name, address, endpoints } of services) {
    const service = `service-${hashOf(name)}-default/${name}/tcp/`
    const targets = endpoints.map((endpoint) => ({
      endpoint,
      chain: `endpoint-${hashOf(name + endpoint)}-default/${name}/tcp/__${endpoint}/8080`,
    }))
    for (const { endpoint, chain } of targets)
      chains.push(`  chain ${chain} {
    ip saddr ${endpoint} jump mark-for-masquerade
    meta l4proto tcp dnat to ${endpoint}:8080
  }`)
    chains.push(`  chain ${service} {
    ip daddr ${address} tcp dport 80 ip saddr != ${cluster} jump mark-for-masquerade
    numgen random mod ${targets.length} vmap { ${targets.map(({ chain }, i) => `${i} : goto ${chain}`).join(', ')} }
  }`)
    elements.push(`${address} . tcp . 80 : goto ${service}`)
  }
  return `table ip chains {
  chain mark-for-masquerade {
    meta mark set meta mark or 0x4000
  }
${chains.join('\n')}
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { ${elements.join(', ')} }
  }
  set cluster-ips {
    type ipv4_addr
    elements = { ${services.map(({ address }) => address).join(', ')} }
  }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips
  }
  chain nat-prerouting {
    type nat hook prerouting priority dstnat
    jump services
  }
  chain nat-output {
    type nat hook output priority -100
    jump services
  }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat
    meta mark & 0x4000 == 0x4000 meta mark set meta mark xor 0x4000 masquerade fully-random
  }
}
`
}

const hashOf = (name: string): string =>
  createHash('sha256').update(name).digest('base64url').replace(/[-_]/g, 'X').slice(0, 8).toUpperCase()
