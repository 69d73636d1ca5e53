// What Kubernetes says of a connection, read from the objects one by one: the definition of NetworkPolicy
// as plain as it can be written, to hold against what is programmed. For tests.

import { BlockList, isIPv6 } from 'node:net'
import { selectorMatcher } from '#api/selector/label.ts'
import type { Namespace, Pod } from '#api/types/core-v1.gen.ts'
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '#api/types/networking-v1.gen.ts'

export type World = { policies: readonly NetworkPolicy[]; pods: readonly Pod[]; namespaces: readonly Namespace[]; nodeName: string }

export type Connection = { from: string; to: string; protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP'; port: number }

/** Whether this node lets a connection through, as far as it is up to this node. */
export const allows = (world: World, { from, to, protocol, port }: Connection): boolean => {
  if (from === to) return true
  const source = podAt(world, from)
  const target = podAt(world, to)
  const on = (allowedPort: NetworkPolicyPort) =>
    allowedPort.protocol !== undefined && protocol === allowedPort.protocol && portFits(allowedPort, port, target)
  const fits = (ports: readonly NetworkPolicyPort[] | undefined) => !ports?.length || ports.some(on)
  if (source && isHere(world, source)) {
    const policies = selecting(world, source, 'Egress')
    const rules = policies.flatMap((policy) => (policy.spec.egress ?? []).map((rule) => ({ policy, rule })))
    if (policies.length > 0 && !rules.some(({ policy, rule }) => fits(rule.ports) && includes(world, policy, rule.to, to, target)))
      return false
  }
  if (target && isHere(world, target)) {
    const policies = selecting(world, target, 'Ingress')
    const rules = policies.flatMap((policy) => (policy.spec.ingress ?? []).map((rule) => ({ policy, rule })))
    if (policies.length > 0 && !rules.some(({ policy, rule }) => fits(rule.ports) && includes(world, policy, rule.from, from, source)))
      return false
  }
  return true
}

const isHere = ({ nodeName }: World, pod: Pod): boolean => pod.spec.nodeName === nodeName

const podAt = ({ pods }: World, address: string): Pod | undefined =>
  pods.find(
    ({ spec, status }) =>
      !spec.hostNetwork && status?.phase !== 'Succeeded' && status?.phase !== 'Failed' && status?.podIPs?.some(({ ip }) => ip === address),
  )

const selecting = ({ policies }: World, pod: Pod, type: 'Ingress' | 'Egress'): NetworkPolicy[] =>
  policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === pod.metadata.namespace &&
      spec.policyTypes?.includes(type) &&
      selectorMatcher(spec.podSelector)(pod.metadata.labels),
  )

const includes = (
  world: World,
  policy: NetworkPolicy,
  peers: NetworkPolicyPeer[] | undefined,
  address: string,
  pod: Pod | undefined,
): boolean =>
  !peers?.length ||
  peers.some(({ ipBlock, podSelector, namespaceSelector }) => {
    if (ipBlock) return inBlock(ipBlock.cidr, address) && !(ipBlock.except ?? []).some((except) => inBlock(except, address))
    if (!pod || (podSelector && !selectorMatcher(podSelector)(pod.metadata.labels))) return false
    if (!namespaceSelector) return pod.metadata.namespace === policy.metadata.namespace
    const home = world.namespaces.find(({ metadata }) => metadata.name === pod.metadata.namespace)
    return home !== undefined && selectorMatcher(namespaceSelector)(home.metadata.labels)
  })

const inBlock = (cidr: string, address: string): boolean => {
  const [network = '', prefix = ''] = cidr.split('/')
  const family = isIPv6(network) ? 'ipv6' : 'ipv4'
  if (isIPv6(address) !== (family === 'ipv6')) return false
  const list = new BlockList()
  list.addSubnet(network, Number(prefix), family)
  return list.check(address, family)
}

const portFits = ({ protocol, port, endPort }: NetworkPolicyPort, number: number, target: Pod | undefined): boolean => {
  if (port === undefined) return true
  if (typeof port === 'number') return number >= port && number <= (endPort ?? port)
  return (
    target?.spec.containers.some(({ ports }) =>
      ports?.some((named) => named.name === port && (named.protocol ?? 'TCP') === protocol && named.containerPort === number),
    ) ?? false
  )
}
