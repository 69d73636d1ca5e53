// A pod as the scheduler reckons with it: read out of its spec once, however many nodes are asked about it.

import type { Pod } from '#api/types/core-v1.gen.ts'
import { type Resources, requestsOf } from '../resources.ts'
import { type AffinityTerm, type PreferredTerm, preferredTerms, requiredTerms } from './affinity-term.ts'
import { type HostPort, hostPortsOf } from './host-ports.ts'

/** What a pod that asks for nothing is taken to cost where nodes are compared: CPU in thousandths, memory in bytes. */
const modest = { cpu: 100, memory: 200 * 1024 * 1024 }

export class PodInfo {
  readonly pod: Pod
  readonly uid: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly priority: number
  readonly requests: Resources
  /** Of the requests, those above nothing. */
  readonly wanted: readonly (readonly [name: string, amount: number])[]
  /** For scores only. */
  readonly cpu: number
  readonly memory: number
  readonly ports: readonly HostPort[]
  readonly affinity: readonly AffinityTerm[]
  readonly antiAffinity: readonly AffinityTerm[]
  /** Those of anti-affinity have weights below 0. */
  readonly preferred: readonly PreferredTerm[]

  constructor(pod: Pod) {
    const { metadata, spec } = pod
    this.pod = pod
    this.uid = metadata.uid
    this.namespace = metadata.namespace ?? ''
    this.labels = metadata.labels ?? {}
    this.priority = spec.priority ?? 0
    this.requests = requestsOf(pod)
    this.wanted = [...this.requests].filter(([, amount]) => amount > 0)
    this.cpu = this.requests.get('cpu') || modest.cpu
    this.memory = this.requests.get('memory') || modest.memory
    this.ports = hostPortsOf(pod)
    this.affinity = requiredTerms(pod, spec.affinity?.podAffinity)
    this.antiAffinity = requiredTerms(pod, spec.affinity?.podAntiAffinity)
    this.preferred = [...preferredTerms(pod, spec.affinity?.podAffinity, 1), ...preferredTerms(pod, spec.affinity?.podAntiAffinity, -1)]
  }
}
