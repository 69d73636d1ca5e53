// What a service says and nobody heeds, and what has a better name by now.

import type { Service } from '../../types/core-v1.gen.ts'
import { cidrWarnings, ipWarnings } from './address-warnings.ts'

export const oldTopologyKey = 'service.kubernetes.io/topology-aware-hints'
export const topologyKey = 'service.kubernetes.io/topology-mode'

export function* serviceWarnings({ metadata, spec }: Service): Generator<string> {
  const { type, clusterIPs = [], externalIPs = [], loadBalancerIP, externalName, trafficDistribution } = spec
  const headless = type === 'ClusterIP' && spec.clusterIP === 'None'
  const named = type === 'ExternalName'
  if (metadata.annotations?.[oldTopologyKey] !== undefined)
    yield `annotation ${oldTopologyKey} is deprecated, please use ${topologyKey} instead`
  for (const [i, ip] of clusterIPs.entries()) yield* ipWarnings(`spec.clusterIPs[${i}]`, ip)
  if (headless) {
    if (loadBalancerIP) yield 'spec.loadBalancerIP is ignored for headless services'
    if (externalIPs.length > 0) yield 'spec.externalIPs is ignored for headless services'
    if (spec.sessionAffinity !== 'None') yield 'spec.SessionAffinity is ignored for headless services'
  }
  for (const [i, ip] of externalIPs.entries()) yield* ipWarnings(`spec.externalIPs[${i}]`, ip)
  if (externalIPs.length > 0 && !headless && !named)
    yield 'spec.externalIPs is deprecated and may no longer be implemented in some clusters'
  if (loadBalancerIP) yield* ipWarnings('spec.loadBalancerIP', loadBalancerIP)
  for (const [i, range] of (spec.loadBalancerSourceRanges ?? []).entries())
    yield* cidrWarnings(`spec.loadBalancerSourceRanges[${i}]`, range)
  if (named && externalIPs.length > 0) yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
  if (!named && externalName) yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
  if (trafficDistribution === 'PreferClose') yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
}
