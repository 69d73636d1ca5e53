// What a pod sees as /etc/hosts, /etc/resolv.conf and its host name (kubernetes pkg/kubelet/network/dns,
// kubelet_pods.go).

import type { Pod } from '#api/types/core-v1.gen.ts'

export type DnsSettings = {
  /** The cluster's DNS addresses, one of each family, and its domain. */
  clusterDNS: readonly string[]
  clusterDomain: string
  /** The node's own resolv.conf, as text. */
  host: string
}

type Resolver = { nameservers: string[]; searches: string[]; options: string[] }

/** The kernel's limit on a host name. */
const HOSTNAME_MAX = 63
/** glibc's limits, and the kubelet's on searches. */
const NAMESERVERS_MAX = 3
const SEARCHES_MAX = 32
const SEARCH_CHARS_MAX = 2048

export const hostnameOf = (pod: Pod): string => (pod.spec.hostname || pod.metadata.name).slice(0, HOSTNAME_MAX).replace(/[-.]+$/, '')

/** `host.subdomain.namespace.svc.domain`, for a pod that has a subdomain. */
const fqdnOf = (pod: Pod, domain: string): string | undefined =>
  pod.spec.subdomain ? `${hostnameOf(pod)}.${pod.spec.subdomain}.${pod.metadata.namespace}.svc.${domain}` : undefined

/** What the pod's UTS namespace is called. */
export function kernelHostname(pod: Pod, domain: string): string {
  const fqdn = fqdnOf(pod, domain)
  return pod.spec.setHostnameAsFQDN && fqdn && fqdn.length <= HOSTNAME_MAX ? fqdn : hostnameOf(pod)
}

export function hostsFile(pod: Pod, ips: readonly string[], domain: string, ofHost = ''): string {
  const lines = pod.spec.hostNetwork
    ? ['# Kubernetes-managed hosts file (host network).', ofHost.trimEnd()]
    : [
        '# Kubernetes-managed hosts file.',
        '127.0.0.1\tlocalhost',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'fe00::0\tip6-localnet',
        'fe00::0\tip6-mcastprefix',
        'fe00::1\tip6-allnodes',
        'fe00::2\tip6-allrouters',
        ...ips.map((ip) => [ip, fqdnOf(pod, domain), hostnameOf(pod)].filter(Boolean).join('\t')),
      ]
  const aliases = pod.spec.hostAliases ?? []
  if (aliases.length > 0) lines.push('', '# Entries added by HostAliases.')
  for (const { ip, hostnames = [] } of aliases) lines.push([ip, ...hostnames].join('\t'))
  return `${lines.join('\n')}\n`
}

export function resolvConf(pod: Pod, { clusterDNS, clusterDomain, host }: DnsSettings): string {
  const own = pod.spec.dnsConfig ?? {}
  const base = basis(pod, parse(host), clusterDNS, clusterDomain)
  const nameservers = [...new Set([...base.nameservers, ...(own.nameservers ?? [])])].slice(0, NAMESERVERS_MAX)
  const searches = fitting([...new Set([...base.searches, ...(own.searches ?? [])])])
  const options = new Map(base.options.map((option) => [option.split(':')[0]!, option]))
  for (const { name, value } of own.options ?? []) if (name) options.set(name, value ? `${name}:${value}` : name)
  return [
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...nameservers.map((server) => `nameserver ${server}`),
    ...(options.size > 0 ? [`options ${[...options.values()].join(' ')}`] : []),
    '',
  ].join('\n')
}

function basis(pod: Pod, host: Resolver, clusterDNS: readonly string[], domain: string): Resolver {
  const policy = pod.spec.dnsPolicy ?? 'ClusterFirst'
  if (policy === 'None') return { nameservers: [], searches: [], options: [] }
  if (policy === 'Default' || (policy === 'ClusterFirst' && pod.spec.hostNetwork)) return host
  return {
    nameservers: [...clusterDNS],
    searches: [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain, ...host.searches],
    options: ['ndots:5'],
  }
}

function parse(text: string): Resolver {
  const resolver: Resolver = { nameservers: [], searches: [], options: [] }
  for (const line of text.split('\n')) {
    const [word, ...rest] = line.trim().split(/\s+/)
    if (word === 'nameserver' && rest[0]) resolver.nameservers.push(rest[0])
    else if (word === 'search') resolver.searches = rest
    else if (word === 'options') resolver.options.push(...rest)
  }
  return resolver
}

function fitting(searches: string[]): string[] {
  const kept: string[] = []
  for (const search of searches.slice(0, SEARCHES_MAX)) {
    if ([...kept, search].join(' ').length > SEARCH_CHARS_MAX) break
    kept.push(search)
  }
  return kept
}
