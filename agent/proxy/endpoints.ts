// Which endpoints of a service's slices serve one of its ports from this node.

import type { ServicePort } from '#api/types/core-v1.gen.ts'
import type { EndpointHints, EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { canonicalAddress } from './address.ts'
import type { ProxyFamily } from './family.ts'

export type Backend = { readonly address: string; readonly port: number /** Runs on this node. */; readonly local: boolean }

/** `zone`: undefined where the node has none. */
export type Here = { readonly nodeName: string; readonly zone: string | undefined }

/** `fallback`: still serves while it terminates. */
type Candidate = Backend & { readonly ready: boolean; readonly fallback: boolean; readonly hints: EndpointHints | undefined }

export type Endpoints = {
  /** For whoever may be sent anywhere. */
  anywhere: readonly Backend[]
  /** Those of this node alone. */
  here: readonly Backend[]
  /** Addresses of the ready ones of this node. */
  readyHere: readonly string[]
}

export const endpointsOf = (
  slices: readonly EndpointSlice[],
  port: ServicePort,
  family: ProxyFamily,
  here: Here,
  fail: (reason: string) => void,
): Endpoints => {
  const all = candidatesOf(slices, port, family, here.nodeName, fail)
  const own = all.some(({ local }) => local) ? all.filter(({ local }) => local) : nowhere
  return {
    anywhere: nearest(usable(all), here),
    here: usable(own),
    readyHere: own.flatMap(({ ready, address }) => (ready ? [address] : [])),
  }
}

const nowhere: readonly Candidate[] = []

/** Ready endpoints; if there are none, those that still serve while they terminate. */
const usable = (candidates: readonly Candidate[]): readonly Candidate[] => {
  if (candidates.every(({ ready }) => ready)) return candidates
  const ready = candidates.filter((candidate) => candidate.ready)
  return ready.length > 0 ? ready : candidates.filter(({ fallback }) => fallback)
}

/** Those that are meant for this node or its zone; hints that not all endpoints have, or that leave nothing, do not count. */
const nearest = (candidates: readonly Candidate[], { nodeName, zone }: Here): readonly Candidate[] => {
  const meantFor = (kind: 'forNodes' | 'forZones', name: string | undefined): readonly Candidate[] => {
    if (name === undefined || !candidates.every(({ hints }) => hints?.[kind]?.length)) return []
    return candidates.filter(({ hints }) => hints?.[kind]?.some((hint) => hint.name === name))
  }
  for (const near of [meantFor('forNodes', nodeName), meantFor('forZones', zone)]) if (near.length > 0) return near
  return candidates
}

/** Each once, in the order of their addresses, whatever the order of the slices. */
const candidatesOf = (
  slices: readonly EndpointSlice[],
  servicePort: ServicePort,
  family: ProxyFamily,
  nodeName: string,
  fail: (reason: string) => void,
): Candidate[] => {
  const found: Candidate[] = []
  const type = family === 'ip' ? 'IPv4' : 'IPv6'
  for (const slice of slices) {
    if (slice.addressType !== type) continue
    for (const { name = '', protocol = 'TCP', port } of slice.ports ?? []) {
      if (port === undefined || name !== (servicePort.name ?? '') || protocol !== (servicePort.protocol ?? 'TCP')) continue
      for (const { addresses, conditions, nodeName: runsOn, hints } of slice.endpoints ?? []) {
        const address = addresses[0] ?? ''
        const canonical = canonicalAddress(address)
        if (canonical?.family !== family) {
          fail(`endpoint address ${address} is not ${type}`)
          continue
        }
        const ready = conditions?.ready ?? true
        const fallback = conditions?.terminating === true && (conditions.serving ?? ready)
        found.push({ address: canonical.text, port, local: runsOn === nodeName, ready, fallback, hints })
      }
    }
  }
  return withoutTwins(found.length > 1 ? found.sort(byAddress) : found)
}

const byAddress = (a: Backend, b: Backend): number => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port)

/** An endpoint that is in two slices while it moves is what either of them says. */
const withoutTwins = (sorted: Candidate[]): Candidate[] => {
  let kept = 0
  for (const candidate of sorted) {
    const last = sorted[kept - 1]
    if (kept > 0 && last && byAddress(last, candidate) === 0) sorted[kept - 1] = merged(last, candidate)
    else sorted[kept++] = candidate
  }
  sorted.length = kept
  return sorted
}

const merged = (a: Candidate, b: Candidate): Candidate => ({
  address: a.address,
  port: a.port,
  local: a.local || b.local,
  ready: a.ready || b.ready,
  fallback: a.fallback || b.fallback,
  hints: {
    forNodes: [...(a.hints?.forNodes ?? []), ...(b.hints?.forNodes ?? [])],
    forZones: [...(a.hints?.forZones ?? []), ...(b.hints?.forZones ?? [])],
  },
})
